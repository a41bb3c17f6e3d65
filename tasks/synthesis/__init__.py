"""Texts that a model writes for itself: which are kept, the task's examples and labels, and what is said of them.
Imports `data`, `models`, `storage` and `verification`; never a stage.
"""
