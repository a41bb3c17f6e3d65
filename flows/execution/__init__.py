"""Carrying out a plan: scheduler, replanning after failures, Prefect tasks, threads or Ray.
Imports `planning`, `server`, `ui` and `tasks`.
"""
