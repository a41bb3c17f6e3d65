"""BoolQ: yes-no questions that people typed into a search engine, each with a Wikipedia passage that answers it.

    {"question": "do moles sleep through the winter", "answer": false, "title": "Mole (animal)",
     "passage": "Moles do not hibernate. They stay active in deeper tunnels …"}

The gold answer is `yes` where `answer` is true and `no` where it is false; a response is right when its final answer is
that label (accuracy: Clark et al. 2019, arXiv 1905.10044; github.com/google-research-datasets/boolean-questions). The
passage is the column `context`. There is no reference: nobody wrote more than the answer (the origin `gold_only` gives
that).

Licence CC BY-SA 3.0. Hub google/boolq, 9,427 training and 3,270 test questions; the test is what is published as dev,
since the answers of the real one are not. Or the authors' files (train.jsonl, dev.jsonl).
"""

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

_LABELS = {True: "yes", False: "no", "True": "yes", "False": "no", "true": "yes", "false": "no"}


def row(raw: Row) -> Row:
    if raw["answer"] not in (True, False, "True", "False", "true", "false"):
        raise ValueError(f"column 'answer' is {raw['answer']!r}; allowed: true or false")
    return {
        "question": raw["question"],
        "gold": _LABELS[raw["answer"]],
        "reference": None,
        "context": raw["passage"],
    }


BENCHMARKS = (
    Benchmark(
        name="boolq",
        source=Hub(
            "google/boolq",
            "default",
            revision="35b264d03638db9f4ce671b711558bf7ff0f80d5",
            splits={"test": "validation"},
        ),
        row=row,
        labels=("yes", "no"),
        prompt=prompt("yes_or_no"),
        verifier="label",
        licence="CC BY-SA 3.0",
        layouts={"test": ("dev.jsonl",)},
    ),
)
