"""One question of the star-graph task of Bachmann and Nagarajan 2024 (arXiv 2403.06963), as token ids.

A question lists the edges in random order, then the centre and the goal; the answer is the path between them:

    7 12  30 7  5 19  30 5  /  30 19  =  30 5 19 <end>

A node is its own token. Which way to turn at the centre is said only by the goal's end of the arm, read backwards;
every other step is looked up in the edge of the node before.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

PAD, END, ASK, ANSWER = 0, 1, 2, 3
FIRST_LABEL = 4
"""The lowest token that is a node."""


@dataclass(frozen=True)
class StarGraph:
    """`edges` lead outwards, in the order in which the question lists them; `path` is the one from centre to goal."""

    edges: tuple[tuple[int, int], ...]
    path: tuple[int, ...]

    @property
    def question(self) -> list[int]:
        """Token ids; questions about graphs of one size are equally long."""
        return [*(node for edge in self.edges for node in edge), ASK, self.path[0], self.path[-1], ANSWER]

    @property
    def answer(self) -> list[int]:
        """Token ids, `END` included."""
        return [*self.path, END]

    def is_right(self, response: Sequence[int]) -> bool:
        """Whether the response, `END` included, is the path: there is only one."""
        return list(response) == self.answer


def draw(rng: random.Random, arms: int, length: int, labels: int) -> StarGraph:
    """A graph of `arms` arms with `length` edges each, its nodes drawn from `labels` labels, and an arm's end as goal.

    Raises:
        ValueError: there are fewer labels than nodes.
    """
    nodes = arms * length + 1
    if labels < nodes:
        raise ValueError(f"labels is {labels}; {arms} arms of length {length} need at least {nodes}")
    centre, *others = rng.sample(range(FIRST_LABEL, FIRST_LABEL + labels), nodes)
    ways = [(centre, *others[at : at + length]) for at in range(0, len(others), length)]
    edges = [edge for way in ways for edge in pairwise(way)]
    rng.shuffle(edges)
    return StarGraph(tuple(edges), rng.choice(ways))
