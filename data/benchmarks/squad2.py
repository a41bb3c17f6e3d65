"""SQuAD 2.0: questions about a passage, answered with words of the passage or not answered by it at all.

    {"id": "56ddde6b9a695914005b9628", "title": "Normans", "context": "The Normans … were the people who in the 10th and
     11th centuries gave their name to Normandy, a region in France. …", "question": "In what country is Normandy
     located?", "answers": {"text": ["France", "France"], "answer_start": [159, 159]}}

The right answers are the distinct texts (`answers`, none where the passage has no answer), the gold answer is the first
of them or the word `unanswerable`, which the prompt asks for. A response earns exact match and F1 as the official
evaluate-v2.0.py computes them (Rajpurkar et al. 2018, arXiv 1806.03822). There is no reference: nobody wrote more than
the answer (the origin `gold_only` gives that).

Licence CC BY-SA 4.0. Hub rajpurkar/squad_v2, 130,319 training and 11,873 test questions (86,821 and 5,928 of them with
an answer); the test is what is published as dev, since the answers of the real one are not. Or the authors' files
(train-v2.0.json, dev-v2.0.json), where a document has articles, these paragraphs, and these `qas`.
"""

from collections.abc import Iterable
from typing import Any

from data.benchmark import Benchmark
from data.prompt import prompt
from data.row_values import Row
from data.source import Hub

UNANSWERABLE = "unanswerable"


def row(raw: Row) -> Row:
    answers = list(dict.fromkeys(raw["answers"]["text"]))
    return {
        "id": raw["id"],
        "question": raw["question"],
        "gold": answers[0] if answers else UNANSWERABLE,
        "reference": None,
        "context": raw["context"],
        "title": raw["title"],
        "answers": answers,
    }


def questions(document: Any) -> Iterable[Row]:
    """The questions of an official file, in the form that they have on the hub."""
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                if asked["is_impossible"] == bool(asked["answers"]):
                    raise ValueError(f"question {asked['id']} has is_impossible {asked['is_impossible']}, but answers")
                yield {
                    "id": asked["id"],
                    "title": article["title"],
                    "context": paragraph["context"],
                    "question": asked["question"],
                    "answers": {"text": [answer["text"] for answer in asked["answers"]]},
                }


BENCHMARKS = (
    Benchmark(
        name="squad2",
        source=Hub(
            "rajpurkar/squad_v2",
            "squad_v2",
            revision="3ffb306f725f7d2ce8394bc1873b24868140c412",
            splits={"test": "validation"},
        ),
        id="id",
        row=row,
        prompt=prompt("find_answer"),
        verifier="span",
        licence="CC BY-SA 4.0",
        layouts={"train": ("train-v2.0.json",), "test": ("dev-v2.0.json",)},
        document=questions,
    ),
)
