"""Abacus by examples: the same questions asked with an instruction and three examples (`abacus_few_shot/ledger`, …).

    {"id": "ledger/train/000017", "question": "Ana has 34 coins, gets 17, gives 8. How many at the end?", "gold": "43",
     "context": "Work out how many things someone has at the end.", "demos": [{"input": "Ben …", "output": "51"}, …]}

The columns are those of `abacus/ledger`, and the task's instruction (`context`) and examples (`demos`), which are the
same in all rows. The student chats in reply to such a prompt, and takes less care: what SELF-GUIDE (Zhao et al. 2024,
arXiv 2407.12874) filters out and trains on. Licence MIT, as the project.
"""

from dataclasses import replace
from typing import Any

from data.abacus.families import FAMILIES
from data.abacus.few_shot import demonstrations
from data.abacus.questions import questions
from data.abacus.splits import Split
from data.benchmarks import abacus
from data.prompt import prompt
from data.source import Generated


def with_examples(family: str, split: Split, count: int, seed: int) -> list[dict[str, Any]]:
    """The family's questions, each with its instruction and examples."""
    shared = {"context": FAMILIES[family].instruction, "demos": demonstrations(FAMILIES[family])}
    return [{**row, **shared} for row in questions(family, split, count, seed)]


BENCHMARKS = tuple(
    replace(
        benchmark,
        name=benchmark.name.replace("abacus/", "abacus_few_shot/"),
        source=Generated(with_examples, family),
        prompt=prompt("few_shot"),
    )
    for family, benchmark in zip(FAMILIES, abacus.BENCHMARKS, strict=True)
)
