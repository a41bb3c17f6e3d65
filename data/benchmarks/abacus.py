"""Abacus: the project's own small world, one benchmark for each of its families (`abacus/ledger`, `abacus/boxes`, …).

    {"id": "ledger/train/000017", "question": "Ana has 34 coins, gets 17, gives 8. How many at the end?", "gold": "43",
     "reference": "ok, 34 plus 17 makes 51; … Final answer: 43", "reference_terse": "51 - 8 is 43. Final answer: 43"}

Questions are generated, as many as are asked for; a problem's numbers decide its split, so no two splits share one.
`reference` is a person's response with every step, `reference_terse` one that leaves steps out. A response is right
when its final answer (after `Final answer:`) is the gold number, text or letter. Its people, who say of a response
whether it is right and why, are simulated as all else is. Licence MIT, as the project.
"""

from functools import partial

from data.abacus import FAMILIES, questions
from data.abacus.approach import APPROACHES, approach
from data.abacus.human_feedback import human_feedback
from data.benchmark import Benchmark
from data.prompt import prompt
from data.source import Generated

BENCHMARKS = tuple(
    Benchmark(
        name=f"abacus/{family.name}",
        source=Generated(questions, family.name),
        id="id",
        prompt=prompt("question"),
        verifier=family.answer,
        licence="MIT",
        approach=partial(approach, family.name),
        approaches=APPROACHES,
        feedback=partial(human_feedback, family.name),
    )
    for family in FAMILIES.values()
)
