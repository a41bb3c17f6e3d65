"""Which responses an arm trains on: candidates, exclusions, matching.
Imports `data`, `models`, `scoring` and `storage`; never a stage.
"""
