"""e-SNLI: does a hypothesis follow from a premise? With the reasons that people gave for their label.

    {"premise": "A woman smiles at the child.", "hypothesis": "A woman is present.", "label": 0,
     "explanation_1": "A woman must be present to smile.", "explanation_2": "A woman smiling implies that she is …",
     "explanation_3": "A smiling woman is also present."}

The authors' CSV files call these columns Sentence1, Sentence2, gold_label (in words), Explanation_1 and so on.

Labels are entailment (0), neutral (1) and contradiction (2); a response is right when its final answer is the gold
label (accuracy, as SNLI is scored: Camburu et al. 2018, arXiv 1812.01193). The reference is the first explanation with
the last line `Final answer: entailment`. The few rows without a hypothesis or a label are left out.

Licence MIT. Hub ErfanMoosaviMonazzah/esnli-seq2seq, the same rows as esnli/esnli (a script, which `datasets` no longer
runs): 549,367 training, 9,842 validation and 9,824 test pairs. Or the authors' files (github.com/OanaMariaCamburu/
e-SNLI: esnli_train_1.csv, esnli_train_2.csv, esnli_dev.csv, esnli_test.csv).
"""

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

LABELS = ("entailment", "neutral", "contradiction")


def row(raw: Row) -> Row:
    official = "gold_label" in raw
    premise, hypothesis, label, explanation = (
        raw[name]
        for name in (
            ("Sentence1", "Sentence2", "gold_label", "Explanation_1")
            if official
            else ("premise", "hypothesis", "label", "explanation_1")
        )
    )
    gold = LABELS[label] if label in range(len(LABELS)) else label if label in LABELS else ""
    reason = str(explanation or "").strip()
    return {
        "question": f"Premise: {premise}\nHypothesis: {hypothesis}" if premise and hypothesis else "",
        "gold": gold,
        "reference": f"{reason}\nFinal answer: {gold}" if reason else None,
    }


def whole(row: Row, split: str) -> bool:
    return bool(row["question"] and row["gold"])


BENCHMARKS = (
    Benchmark(
        name="esnli",
        source=Hub(
            "ErfanMoosaviMonazzah/esnli-seq2seq", "default", revision="bcfa84f724516afa2ffb422da5260d234cac7738"
        ),
        row=row,
        keep=whole,
        labels=LABELS,
        prompt=prompt("entailment"),
        verifier="label",
        licence="MIT",
        splits=("train", "validation", "test"),
        layouts={
            "train": ("esnli_train_*.csv",),
            "validation": ("esnli_dev.csv",),
            "test": ("esnli_test.csv",),
        },
    ),
)
