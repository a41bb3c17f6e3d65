"""What each command prints and does.
Imports every other room of `flows`.
"""
