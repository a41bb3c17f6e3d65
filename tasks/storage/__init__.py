"""Rows, partial rows, artifacts and the store they are in: a folder or a URL.
Imports `data` and `resources`.
"""

DECIDES_NO_RESULT = True
