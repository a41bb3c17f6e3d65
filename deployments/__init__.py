"""Where it runs: locked requirements, Prefect deployments."""
