"""Reading final answers out of responses: numbers, formulas, sets, labels.
Imports `data` alone.
"""
