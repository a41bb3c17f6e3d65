"""Serving a model with vLLM, one engine a base model, adapters side by side.
Imports `data`, `resources`, `storage` and `models`.
"""
