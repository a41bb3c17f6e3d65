"""Verifiers, one file a kind, each with a function `judge(response, row) -> Verdict`.
Import `data`, `kinds`, `answer` and `sandbox`; a new verifier is one new file here.
"""
