r"""Span: the final answer is one of the gold spans, by the official rule of SQuAD 2.0; its score is the token F1.

    {"answers": ["France", "in France"], "gold": "France", "response": "… Final answer: the France"}       correct, 1.0
    {"answers": [], "gold": "unanswerable", "response": "The text does not say.\nFinal answer: unanswerable"}  correct

Text is compared as evaluate-v2.0.py does (Rajpurkar et al. 2018, arXiv 1806.03822; MIT): in lower case, without ASCII
punctuation, without the words a, an and the, with single spaces. The verdict is its exact match, `partial` its F1 over
bags of tokens, each the best over the gold answers. Gold answers that normalise to nothing are left out; without any
left, nothing is the right answer.

The official way to abstain is an empty prediction; here it is the word `unanswerable`, alone, so that a response that
breaks off or says nothing is unparseable and earns nothing. (Always abstaining scores 52 on the official development
set: see `totals`.) "No answer" is a text like any other, as it is officially. The prediction is read from where the
final answer stands (`tasks.answer`); a response of one line without a mark is all prediction, one of several
lines is unparseable. Rows without `answers` have one gold answer, `gold`.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from data.row_contract import ListColumn
from tasks.answer.final_answer import NO_ANSWER, find, unmarked
from tasks.kinds.verifiers import Verdict
from tasks.verifiers.exact import unwrapped

COLUMN = ListColumn("answers", "the right answers, none where the question has no answer", may_be_empty=True)

UNANSWERABLE = "unanswerable"
"""What a response says that finds no answer in the text, and the gold answer where there is none."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by exact match, with F1 as the score. Needs `answers` (a list, empty for unanswerable) or `gold`."""
    golds = [normal(gold) for gold in answers(row)]
    golds = [gold for gold in golds if gold] or [""]
    found = find(response)
    answer = unwrapped(unmarked(response) if found is None else found.text)
    if found is None and "\n" in answer:
        return Verdict("unparseable", None, NO_ANSWER)
    if not answer.strip():
        return Verdict("unparseable", None, f"the final answer is empty, not {UNANSWERABLE!r}")
    if found is not None and (line := normal(found.line)) and line in golds:
        return Verdict("correct", line, partial=1.0)
    said = normal(answer)
    if said == UNANSWERABLE and said not in golds:
        said = ""
    exact = said in golds
    return Verdict(
        "correct" if exact else "wrong", said or UNANSWERABLE, partial=max(token_f1(gold, said) for gold in golds)
    )


def answers(row: Mapping[str, Any]) -> list[str]:
    """The gold answers of a row; none where it is unanswerable."""
    given = row.get("answers")
    if given is None:
        return [] if row["gold"] == UNANSWERABLE else [row["gold"]]
    if isinstance(given, str):
        raise ValueError(f"answers are a list of texts, not {given!r}")
    return [str(answer) for answer in given]


def normal(text: str) -> str:
    """The text as the official script compares it."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(gold: str, said: str) -> float:
    """F1 of two normal texts as bags of words, 0 to 1; with nothing on either side, 1 only if both have nothing."""
    want, have = gold.split(), said.split()
    if not want or not have:
        return float(want == have)
    shared = sum((Counter(want) & Counter(have)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(have), shared / len(want)
    return 2 * precision * recall / (precision + recall)


def totals(judged: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The official figures over judged rows (`verdict`, `score`, `answers` or `gold`), 0 to 100 as the script prints.

    `exact` and `f1` over all, then over the answerable (HasAns) and the unanswerable (NoAns) questions, with how many
    there are. No row is ever left out of a denominator, but for errors; a figure over no rows is NaN.
    """
    groups: dict[str, list[tuple[float, float]]] = {"": [], "HasAns_": [], "NoAns_": []}
    for row in judged:
        if row["verdict"] == "error":
            continue
        figures = (float(row["verdict"] == "correct"), float(row["score"]))
        groups[""].append(figures)
        groups["HasAns_" if answers(row) else "NoAns_"].append(figures)
    made: dict[str, float] = {}
    for name, rows in groups.items():
        for at, figure in enumerate(("exact", "f1")):
            made[name + figure] = 100 * math.fsum(row[at] for row in rows) / len(rows) if rows else math.nan
        made[name + "total"] = len(rows)
    return made
