"""Paired statistics over evaluated answers: estimates, claims, contrasts, the verdict as data.
Imports `data`, `verification`, `scoring`, `storage` and `resources`; never `reporting`.
"""
