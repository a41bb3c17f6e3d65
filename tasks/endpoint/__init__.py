"""Requests to models behind OpenAI-compatible endpoints: budget, rate limit, cache, secrets.
Imports `data`, `answer`, `models`, `storage`, `resources` and `pipeline`.
"""
