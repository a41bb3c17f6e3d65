"""The report page and its figures, drawn from the comparison's data.
Imports `data`, `comparison`, `selection`, `storage` and `pipeline`.
"""
