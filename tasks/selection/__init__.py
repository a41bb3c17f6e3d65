"""Which responses an arm trains on: candidates, exclusions, matching.
Imports `models` and `storage`; never a stage.
"""
