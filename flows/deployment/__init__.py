"""Studies on a Prefect server: deployments and work pools.
Imports `config`, `server` and the study flow.
"""
