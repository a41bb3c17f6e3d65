"""Fine-tuning in a process of its own: loop, batches, checkpoints, fork server.
Imports `kinds`, `models`, `scoring`, `storage`, `pipeline` and `resources`; never a method by name.
"""
