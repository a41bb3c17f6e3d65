"""Paired statistics over evaluated answers: estimates, claims, contrasts, the verdict as data.
Imports `verification`, `scoring` and `storage`; never `reporting`.
"""
