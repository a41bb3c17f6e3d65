"""What an origin, a method, a verifier, a predictor and a stage is, and how one is found by the name of its file.
Imports `data`, `models`, `storage` and `pipeline`; the kinds themselves, and the stages, it finds by name.
"""
