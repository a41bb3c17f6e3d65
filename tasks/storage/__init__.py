"""Rows, unfinished rows, artifacts and their store, in a folder or at a URL.
Imports `data` and `resources`.
"""
