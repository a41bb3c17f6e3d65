"""Published results: the folder of a study, its history, comparisons of runs, trackers.
Imports `config`, `planning` and `tasks`.
"""
