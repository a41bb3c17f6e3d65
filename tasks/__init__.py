"""Stages, one file each: the chain from questions to report. Rooms beside them hold what stages are made of.

Imports go one way: resources <- storage, fork_server <- models <- engine <- pipeline <- other rooms <- stages <-
origins.
"""
