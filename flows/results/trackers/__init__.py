"""Experiment trackers, one file each, with a function `tracker() -> Tracker`.
Import `flows.results.tracking`.
"""
