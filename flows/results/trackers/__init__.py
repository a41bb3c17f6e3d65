"""Experiment trackers, one file each, with a function `tracker() -> Tracker`.
Import `results` and `tasks`.
"""
