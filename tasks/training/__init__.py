"""Fine-tuning an adapter: batches, the loop, checkpoints, memory, what is measured before and after.
Imports `data`, `kinds`, `models`, `scoring`, `storage`, `pipeline` and `resources`; never a method by name.
"""
