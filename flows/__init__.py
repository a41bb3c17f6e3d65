"""What is run: the study schema, the plan, the study flow, the command line."""
