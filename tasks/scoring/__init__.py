"""Log-likelihoods of responses, token by token.
Imports `models`.
"""
