"""Which split a problem belongs to: its numbers decide, so no two splits or seeds can ever share one."""

import random
from hashlib import blake2b
from typing import Any, Literal, get_args

from data.abacus.family import Family

Split = Literal["pretrain", "train", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_SIXTEENTHS: dict[Split, range] = {"test": range(0, 2), "train": range(2, 5), "pretrain": range(5, 16)}


def split_of(family: Family[Any], problem: Any) -> Split:
    """The one split this problem can appear in."""
    digest = blake2b(f"{family.name} {family.canonical(problem)}".encode(), digest_size=4).digest()
    sixteenth = digest[0] % 16
    return next(split for split, part in _SIXTEENTHS.items() if sixteenth in part)


def draw(family: Family[Any], split: Split, rng: random.Random) -> Any:
    """A random problem of the split."""
    while True:
        problem = family.draw(rng)
        if split_of(family, problem) == split:
            return problem
