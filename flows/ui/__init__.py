"""What the Prefect UI shows: log lines, progress, tables, the verdict.
Imports `tasks`.
"""
