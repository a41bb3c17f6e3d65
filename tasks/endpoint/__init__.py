"""Asking a model behind an OpenAI-compatible endpoint: budget, rate limit, cache, secrets.
Imports `data`, `models`, `storage`, `resources` and `pipeline`.
"""
