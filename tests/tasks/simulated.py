"""A study whose truth is known: answers drawn from given chances, so that a verdict can be checked."""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.comparison.cell import UNTRAINED, Cell, ResponsesOf
from tasks.comparison.records import Evaluated, Offered
from tasks.kinds.verifiers import Verdict
from tasks.storage.rows import Row, Rows

CHANCES = {UNTRAINED: (0.55, 0.55), "self": (0.82, 0.54), "teacher": (0.80, 0.48), "human": (0.62, 0.33)}
"""Chance of a right answer in domain and elsewhere, by arm."""
PERPLEXITIES = {"self": 1.15, "teacher": 1.9, "human": 4.2}


@dataclass
class Simulated:
    """What `compare` is given."""

    cells: tuple[Rows, ...]
    names: tuple[Cell, ...]
    scored: dict[ResponsesOf, Rows] = field(default_factory=dict)
    chosen: dict[ResponsesOf, Rows] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """By arm."""

    @property
    def evaluated(self) -> tuple[Evaluated[Rows], ...]:
        return tuple(Evaluated(name, rows) for name, rows in zip(self.names, self.cells, strict=True))

    @property
    def offered(self) -> tuple[Offered[Rows], ...]:
        origins = self.origins
        return tuple(Offered(of, origins[of.arm], rows, rows, self.chosen.get(of)) for of, rows in self.scored.items())


def simulate(
    train: Iterable[str] = ("abacus/ledger", "abacus/boxes"),
    evaluate: Iterable[str] = ("abacus/ledger", "abacus/boxes", "abacus/sorting", "abacus/clock", "abacus/backwards"),
    chances: dict[str, tuple[float, float]] = CHANCES,
    seeds: Iterable[int] = (0, 1, 2),
    items: int = 100,
    questions: int = 120,
    student: str = "abacus-student",
    errors: float = 0.0,
    named: dict[str, tuple[str, str]] | None = None,
    sizes: Iterable[int] = (0,),
    drawn_per_seed: Iterable[str] = (),
) -> Simulated:
    """Draw a study. An item's difficulty is the same for every arm; seeds of an arm differ a little.

    Args:
        chances: by arm.
        named: origin and method of the arms, in a study that names them.
        sizes: smallest first; of two neighbours the smaller gets half of what the larger gains.
        drawn_per_seed: arms whose responses are drawn for each seed.
    """
    rng = random.Random(20261121)
    seeds, sizes = list(seeds), list(sizes)
    trained = [arm for arm in chances if arm != UNTRAINED]
    origins = {arm: (named or {}).get(arm, (arm, "sft")) for arm in trained}
    arms = [
        *((UNTRAINED, "", 0, 0) for _ in range(UNTRAINED in chances)),
        *((arm, benchmark, size, seed) for benchmark in train for arm in trained for size in sizes for seed in seeds),
    ]
    cells, names = [], []
    for on in evaluate:
        difficulty = [rng.gauss(0, 1) for _ in range(items)]
        for arm, benchmark, size, seed in arms:
            place = 0 if benchmark == on else 1
            chance = chances[arm][place]
            if size and size != sizes[-1]:
                untrained = chances[UNTRAINED][place]
                chance = untrained + (chance - untrained) * 0.5 ** (len(sizes) - 1 - sizes.index(size))
            luck = rng.gauss(0, 0.1) if benchmark else 0.0
            rows = [_answer(rng, on, i, chance, difficulty[i] + luck, errors) for i in range(items)]
            cells.append(Rows.of(rows))
            origin, method = origins.get(arm, (UNTRAINED, ""))
            names.append(Cell(student, benchmark, arm, origin, method, size, seed, on))
    study = Simulated(tuple(cells), tuple(names), origins={arm: origin for arm, (origin, _) in origins.items()})
    for benchmark in train:
        drawn: dict[tuple[str, int | None], list[Row]] = {}
        for arm, (origin, _) in origins.items():
            for seed in seeds if arm in drawn_per_seed else [None]:
                if (origin, seed) not in drawn:
                    drawn[origin, seed] = [_response(rng, benchmark, origin, i) for i in range(questions)]
                rows = drawn[origin, seed]
                of = ResponsesOf(student, benchmark, arm, sizes[-1], seed)
                study.scored[of] = Rows.of(rows)
                study.chosen[of] = Rows.of([{**row, "origin": origin} for row in rows if row["verdict"] == "correct"])
    return study


def _answer(rng: random.Random, on: str, i: int, chance: float, difficulty: float, errors: float) -> dict[str, object]:
    logit = math.log(chance / (1 - chance)) * 1.25 + difficulty
    draw = rng.random()
    right = rng.random() < 1 / (1 + math.exp(-logit))
    gold = str(30 + i % 17)
    verdict = "error" if draw < errors else "correct" if right else "unparseable" if draw > 0.95 else "wrong"
    said = gold if right else str(rng.randrange(10, 99))
    return {
        "id": f"{on}-{i:04d}",
        "sample": 0,
        "question": f"Ana has {20 + i} coins. She gets {i % 17}, gives 8, gets 5. How many coins does she have?",
        "gold": gold,
        "response": f"{20 + i} + {i % 17} = {20 + i + i % 17}. Take 8, add 5. The answer is {said}.",
        "finish": "stop",
        "verdict": verdict,
        "score": Verdict(verdict).score,
        "answer": said,
    }


def _response(rng: random.Random, benchmark: str, origin: str, i: int) -> Row:
    tokens = rng.randint(18, 60)
    nll = tokens * abs(rng.gauss(math.log(PERPLEXITIES.get(origin, 2.5)), 0.18 if origin != "self" else 0.05))
    words = {
        "human": f"put {i} with 20, take the 8 off and count on five, so that's {i + 17} coins. {i + 17}",
        "teacher": f"Add {i} to 20 to get {i + 20}. Take 8 from {i + 20} to get {i + 12}. The answer is {i + 17}.",
    }
    return {
        "id": f"{benchmark}-train-{i:04d}",
        "sample": 0,
        "question": f"Ana has 20 coins. She gets {i}, gives 8 and gets 5 more. How many coins now?",
        "gold": str(i + 17),
        "reference": None,
        "model": origin,
        "response": words.get(origin, f"20 + {i} = {i + 20}. {i + 20} - 8 = {i + 12}. {i + 12} + 5 = {i + 17}."),
        "verdict": "correct" if rng.random() < (0.97 if origin != "self" else 0.7) else "wrong",
        "answer": str(i + 17),
        "tokens": tokens,
        "nll": nll,
        "perplexity": math.exp(nll / tokens),
    }
