"""Running programs that models wrote, inside bubblewrap.
Imports nothing of the project.
"""
