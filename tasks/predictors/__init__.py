"""Predictors, one file each, with one subclass of `Predictor`; its name is the file's.
Import `kinds`; a new predictor is one new file here.
"""
