"""Stages, one file each: the chain from questions to report. Rooms beside them hold what stages are made of.

Imports go one way: resources <- storage <- models <- engine, fork_server <- pipeline <- the other rooms <- stages <- origins.
"""
