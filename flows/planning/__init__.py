"""A study's plan: its steps, what they cost, and what would stop them.
Imports `config` and `tasks`.
"""
