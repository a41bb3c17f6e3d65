"""Origins of training rows, one file a kind, each with one subclass of `Origin`.
Import stages and any other room; a new origin is one new file here.
"""
