"""Studies of every kind that there is, as study files give them, and the files that they name."""

import json
from pathlib import Path
from typing import Any

from flows.config import study_file
from tasks.kinds import origins

BUNDLED = sorted(file.stem for file in study_file.STUDIES.glob("*.yaml"))


def row(question: str, answer: int) -> dict[str, str]:
    even = "no" if answer % 2 else "yes"
    return {"q": question, "a": str(answer), "said": f"It is {answer}.\n#### {answer}", "even": even}


TRAIN = [row(f"What is {n} plus {n + n % 3}?", n + n + n % 3) for n in range(40)]
TEST = [row(f"What is {n} plus 1?", n + 1) for n in range(50, 70)]
OWN = {
    "train": "train.jsonl",
    "test": "test.jsonl",
    "columns": {"question": "q", "gold": "a", "reference": "said"},
    "verifier": "number",
}
TICKETS: dict[str, Any] = {
    "student": "abacus-student",
    "benchmarks": {"tickets": OWN},
    "train": ["tickets"],
    "evaluate": ["tickets"],
    "questions": {"train": 12, "evaluate": 4},
    "origins": {"human": {}},
    "match": {"correct": "any"},
    "method": {"epochs": 1, "batch": 4},
    "decoding": {"max_tokens": 24},
}
"""A study with a benchmark of its own, small enough to be run."""
ABACUS: dict[str, Any] = {
    "student": "abacus-student",
    "train": ["abacus/ledger"],
    "evaluate": ["abacus/*"],
    "origins": {"human": {}, "self": {"samples": 2}},
}
NEEDED: dict[str, dict[str, Any]] = {
    "by_perplexity": {"of": ["self", "teacher"]},
    "mixture": {"of": {"self": 1, "human": 2.5}},
    "imported": {"path": "old.jsonl", "columns": {"id": "id"}, "model": "m", "calculator_marks": False},
}
"""What kinds of origins cannot do without; those that a model writes get a model, those that rework another an `of`."""


def options(kind: str) -> dict[str, Any]:
    fields = origins.find(kind).model_fields
    found = dict(NEEDED.get(kind, {}))
    if "model" not in found and "model" in fields:
        found["model"] = "abacus-teacher"
    if "of" not in found and "of" in fields and fields["of"].is_required():
        found["of"] = "self"
    if "by" in fields and fields["by"].is_required():
        found["by"] = "first"
    return found


def with_origin(kind: str) -> dict[str, Any]:
    """A study with an origin of the kind, trained on by a method that takes its rows."""
    given = {"human": {}, "self": {"samples": 2}, "teacher": {"model": "abacus-teacher"}}
    study = {**ABACUS, "origins": {**given, kind: options(kind)}, "match": {"questions": False}}
    if origins.find(kind).gives == "responses" and "by" not in options(kind):
        return study
    learns = {"method": "dpo", "after": "first"} if origins.find(kind).gives == "pairs" else {}
    return {**study, "arms": {"first": {"on": "human"}, "second": {"on": kind, **learns}}}


def studies() -> dict[str, dict[str, Any]]:
    """Every kind by name; the bundled studies are among them."""
    kinds: dict[str, dict[str, Any]] = {
        "own-benchmark": TICKETS,
        "own-benchmark-with-labels": {
            **TICKETS,
            "benchmarks": {
                "tickets": {
                    **OWN,
                    "columns": {"question": "q", "gold": "even"},
                    "verifier": "label",
                    "labels": ["yes", "no"],
                    "licence": "ours",
                }
            },
            "origins": {"self": {}},
        },
        "own-benchmark-with-prompt": {**TICKETS, "benchmarks": {"tickets": {**OWN, "prompt": "{{ question }}\n>"}}},
        "own-benchmark-only-tested": {
            **ABACUS,
            "benchmarks": {"tickets": {"test": "test.jsonl", "columns": OWN["columns"], "verifier": "exact"}},
            "evaluate": ["abacus/ledger", "tickets"],
        },
        "located-benchmark": {
            **ABACUS,
            "benchmarks": {"gsm8k": {"path": {"train": "gsm8k.jsonl", "test": "gsm8k.jsonl"}, "prompt": "question"}},
            "train": ["gsm8k"],
            "evaluate": ["gsm8k"],
        },
        "both-kinds-of-benchmarks": {
            **TICKETS,
            "benchmarks": {"tickets": OWN, "gsm8k": {"path": {"train": "gsm8k.jsonl", "test": "gsm8k.jsonl"}}},
            "evaluate": ["tickets", "gsm8k"],
        },
        "several-students": {**ABACUS, "student": ["abacus-student", "abacus-tutor"]},
        "controls": {
            **ABACUS,
            "controls": {
                "same_length": {"origins": ["human", "self"], "match": {"tokens": 0.05}, "train": ["abacus/ledger"]},
                "same_questions": {"origins": ["self"], "match": {"correct": "same"}, "same_questions": True},
            },
        },
        "contrasts": {
            **ABACUS,
            "contrasts": [
                {"claim": "own words teach more", "better": "self", "than": "human"},
                {"claim": "own words are familiar", "better": "self", "than": "human", "on": "perplexity"},
                {"claim": "training helps", "better": "human", "than": "base", "on": "other"},
            ],
        },
        "api-teachers": {
            **ABACUS,
            "origins": {
                "gpt": {"kind": "teacher", "model": "api:gpt-4.1-mini", "samples": 2},
                "claude": {"kind": "teacher", "model": "api:anthropic/claude-3-5-sonnet"},
            },
            "endpoints": {
                "gpt-4.1-mini": {"budget_tokens": 1000000, "extra": {"reasoning": {"effort": "low"}}},
                "anthropic/claude-3-5-sonnet": {
                    "key_env": "ANTHROPIC_KEY",
                    "base_url_env": "prefect-block:address",
                    "leave_out": ["seed", "top_p"],
                    "requests_per_minute": 60,
                },
            },
        },
        "imported": {
            **ABACUS,
            "origins": {
                "first": {"kind": "imported", "path": "old.jsonl"},
                "second": {"kind": "imported", "path": "old.jsonl", "columns": {"response": "text"}, "model": "b"},
                "imported": {"path": "old.jsonl"},
            },
        },
        "short-forms": {**ABACUS, "origins": {"human": None, "mine": "self", "gold_only": {}}, "method": "sft"},
        "every-value": {
            **ABACUS,
            "about": "Asked?",
            "notes": "Noted: ${HOME} stays.",
            "questions": {
                "train": None,
                "keep": 50,
                "evaluate": None,
                "train_each": {"abacus/ledger": 5},
                "evaluate_each": {"abacus/ledger": None},
                "train_split": "train",
                "evaluate_split": "test",
                "seed": 2**32 - 1,
            },
            "match": {"questions": True, "correct": "only", "tokens": 0.1},
            "method": {"kind": "sft", "epochs": 2, "learning_rate": 0.001, "rank": 4},
            "seeds": [0, 7, 2**32 - 1],
            "decoding": {"temperature": 0.5, "top_p": 0.9, "max_tokens": 20},
            "trust_remote_code": ["abacus-student"],
        },
    }
    kinds |= {f"origin-{kind}".replace("_", "-"): with_origin(kind) for kind in origins.names()}
    named = {name: {**study, "name": name} for name, study in kinds.items()}
    return named | {name: study_file.read(name) for name in BUNDLED}


def write_files(folder: Path) -> None:
    """The files that the studies name."""
    for name, rows in {"train": TRAIN, "test": TEST}.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    gsm8k = [{"question": row["q"], "answer": f"So.\n#### {row['a']}"} for row in TRAIN]
    (folder / "gsm8k.jsonl").write_text("\n".join(map(json.dumps, gsm8k)))
    (folder / "old.jsonl").write_text(json.dumps({"id": "1", "question": "q", "response": "r", "text": "t"}))
