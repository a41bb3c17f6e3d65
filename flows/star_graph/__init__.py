"""The star-graph study: whether negatives help depends on the model that judges their steps.
Import `pretrain`, `data` and `tasks`.
"""
