"""Carrying out a plan: scheduler, replanning after failures, Prefect tasks, threads or Ray.
Imports `planning`, `results`, `server`, `ui` and `tasks`.
"""
