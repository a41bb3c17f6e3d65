"""A pilot of a study: all arms with few training questions first, then those that may still be the best.
Imports `config`, `planning`, `execution` and `tasks`.
"""
