"""What an origin, a method and a verifier is, and how one is found by the name of its file.
Imports `data`, `models`, `storage` and `pipeline`; never `origins`, `methods` or `verifiers`.
"""
