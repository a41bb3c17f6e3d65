"""Prefect's server and workers, and the processes that must not outlive a run.
Imports `data` and `tasks`.
"""
