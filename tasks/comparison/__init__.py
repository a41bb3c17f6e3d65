"""Paired statistics over evaluated answers: estimates, claims, contrasts, the verdict as data.
Imports `verification`, `scoring`, `storage` and `resources`; never `reporting`.
"""
