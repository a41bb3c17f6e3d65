"""Models: found, checked, their templates and tokens, and how their responses are sampled.
Imports `data`, `resources` and `storage`.
"""
