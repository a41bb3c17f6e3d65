"""The verdict on a response: in parallel, missing responses and unusable gold answers told apart.
Imports `data`, `kinds`, `answer`, `models` and `storage`; never a stage.
"""
