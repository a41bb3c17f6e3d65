"""The star-graph task: arms that meet in a centre, and the way from there to the end of one of them."""

from data.star_graph.graph import ANSWER, ASK, END, FIRST_LABEL, PAD, StarGraph, draw

__all__ = ["ANSWER", "ASK", "END", "FIRST_LABEL", "PAD", "StarGraph", "draw"]
