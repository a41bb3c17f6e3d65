"""The stage contract: a step and its cache key, how it is run, shared out and resumed.
Imports `data`, `resources`, `storage`, `models`, `engine` and `fork_server`.
"""

DECIDES_NO_RESULT = True
