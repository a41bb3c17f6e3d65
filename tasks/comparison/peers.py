"""Which arms are expected to vary over training seeds as much as an arm does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from tasks.comparison.cell import Arm
from tasks.comparison.seed_variance import Peer

if TYPE_CHECKING:
    import numpy as np


def peers(scores: Mapping[tuple[Arm, str], np.ndarray]) -> Callable[[Arm, Collection[str]], list[Peer]]:
    """The peers of an arm on some benchmarks: all arms of its student and method, among them its kin, of its origin.

    An arm that was trained on another benchmark is a peer with these two benchmarks exchanged, so that scores in domain
    are held against scores in domain. On a single benchmark that it was not trained on, an arm's kin are its origin's
    arms on every such benchmark.
    """
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in dict.fromkeys(arm for arm, _ in scores):
        groups.setdefault((arm.student, arm.method), []).append(arm)
    benchmarks = list(dict.fromkeys(on for _, on in scores))

    def found(arm: Arm, on: Collection[str]) -> Iterator[Peer]:
        here = arm.train_benchmark
        for other in groups[arm.student, arm.method]:
            there = other.train_benchmark
            exchanged = {here: there, there: here}
            kin = other.arm == arm.arm
            if other != arm:
                yield Peer(other, exchanged, kin)
            if kin and len(on) == 1 and here not in on:
                (one,) = on
                elsewhere = [benchmark for benchmark in benchmarks if benchmark not in (there, exchanged.get(one, one))]
                yield from (Peer(other, {one: benchmark}, kin, counted=False) for benchmark in elsewhere)

    return lambda arm, on: list(found(arm, on))
