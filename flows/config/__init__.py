"""The study file: its schema, its form, and how it is read and checked.
Imports `data` and `tasks`.
"""
