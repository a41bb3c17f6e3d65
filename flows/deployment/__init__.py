"""Studies on a Prefect server: deployments and work pools.
Imports `config`, `server`, `study` (the flow) and `tasks`.
"""
