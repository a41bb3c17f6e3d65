"""Processes that are forked from one with all imports done: for the trainers.
Imports `data` and `resources`; what runs in the processes is named by text.
"""

DECIDES_NO_RESULT = True
