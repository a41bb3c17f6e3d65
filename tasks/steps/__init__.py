"""Steps of a response and what they are worth: splitting, rollouts, the search for the pit, values.
Imports `comparison`, `engine`, `models`, `pipeline`, `resources`, `storage` and `verification`; never a stage.
"""
