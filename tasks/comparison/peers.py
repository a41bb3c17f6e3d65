"""Which arms are expected to vary over training seeds as much as an arm does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from tasks.comparison.cell import UNTRAINED, Arm
from tasks.comparison.seed_variance import Peer

if TYPE_CHECKING:
    import numpy as np


def peers(scores: Mapping[tuple[Arm, str], np.ndarray]) -> Callable[[Arm, Collection[str]], list[Peer]]:
    """The peers of an arm on some benchmarks: all arms of its student, size and method, among them its kin, which are
    the same arm on the other training benchmarks.

    How much seeds matter depends on the method (one that starts from another arm's adapter has that arm's luck too) and
    on how much there is to learn from, so arms of other methods and sizes tell nothing where there are nearer ones. An
    arm that is alone with its method has all arms of its student and size for peers: two or three seeds of a single
    arm agree by luck too often for it to be its own measure.

    An arm that was trained on another benchmark is a peer with these two benchmarks exchanged, so that scores in domain
    are held against scores in domain. On a single benchmark that it was not trained on, an arm's kin are itself and
    its like on every such benchmark.
    """
    groups: dict[tuple[str, int, str], list[Arm]] = {}
    every: dict[tuple[str, int], list[Arm]] = {}
    for arm in dict.fromkeys(arm for arm, _ in scores if arm.arm != UNTRAINED):
        groups.setdefault((arm.student, arm.size, arm.method), []).append(arm)
        every.setdefault((arm.student, arm.size), []).append(arm)
    benchmarks = list(dict.fromkeys(on for _, on in scores))

    def found(arm: Arm, on: Collection[str]) -> Iterator[Peer]:
        here = arm.train_benchmark
        alike = groups[arm.student, arm.size, arm.method]
        if len({other.arm for other in alike}) == 1:
            alike = every[arm.student, arm.size]
        for other in alike:
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
