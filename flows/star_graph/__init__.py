"""The star-graph study: whether negatives help depends on the model that judges their steps.
Import `small_llama`, `data` and `tasks`.
"""
