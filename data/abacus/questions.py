"""Questions of a family with gold answers and human references: what a benchmark reads.

{"id": "ledger/train/000017", "question": "Ana has 34 coins, gets 17, …", "gold": "48",
 "reference": "ok, 34 plus 17 makes 51; …", "reference_terse": "51 minus 8 is 43. Final answer: 48"}
"""

import random

from data.abacus.families import FAMILIES
from data.abacus.registers import respond
from data.abacus.splits import SPLITS, Split, draw

PATIENCE = 2_000
"""Draws in a row that bring nothing new before a split counts as exhausted."""


def questions(family: str, split: Split, count: int, seed: int) -> list[dict[str, str]]:
    """`count` different questions of a split, the same for the same seed.

    Each row has `id`, `question`, `gold`, `reference` (a person's response with every step) and `reference_terse`
    (a person's response that leaves steps out). No two splits share a question, whatever the seeds.

    Raises:
        ValueError: the family or split does not exist, or the split has fewer than `count` questions.
    """
    if family not in FAMILIES:
        raise ValueError(f"no family {family!r} in the abacus world; there are {', '.join(FAMILIES)}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    kind = FAMILIES[family]
    rng = random.Random(f"{family} {split} {seed}")
    seen: set[str] = set()
    rows: list[dict[str, str]] = []
    misses = 0
    while len(rows) < count:
        problem = draw(kind, split, rng)
        if (same := kind.canonical(problem)) in seen:
            misses += 1
            if misses > PATIENCE:
                raise ValueError(f"{family}/{split} has about {len(rows)} questions, {count} were asked for")
            continue
        misses = 0
        seen.add(same)
        work = kind.work(problem)
        rows.append(
            {
                "id": f"{family}/{split}/{len(rows):06d}",
                "question": kind.ask(problem, rng),
                "gold": work.answer,
                "reference": respond(kind, problem, work, "human", rng),
                "reference_terse": respond(kind, problem, work, "terse", rng),
            }
        )
    return rows
