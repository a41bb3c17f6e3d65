"""Which columns of somebody's file hold the question, the right answer and people's responses, by their names."""

import re
from collections.abc import Collection, Iterable, Sequence
from types import FunctionType

from data.row_values import Row
from tasks.kinds import verifiers
from tasks.verification import golds

QUESTION = (
    *("question", "prompt", "instruction", "input", "query", "problem", "task", "text", "message", "ticket", "request"),
)
GOLD = (
    *("gold", "gold_answer", "gold_label", "correct_answer", "right_answer", "expected_answer", "expected"),
    *("ground_truth", "label", "target", "final_answer", "category", "class", "answer", "output"),
)
GOLD_WORDS = frozenset(["gold", "correct", "expected", "truth", "label"])
RESPONSE_WORDS = frozenset(
    ["reference", "response", "answer", "output", "completion", "rationale", "solution", "explanation", "reply"]
)
MOST_LABELS = 20
"""Different right answers that are taken for labels, each of which stands in `LEAST_ROWS` rows on average."""
LEAST_ROWS = 3
LONGEST_LABEL = 40


def question(columns: Sequence[str]) -> str | None:
    """The column with what is asked; None where no name says so."""
    return _named(columns, QUESTION) or _with_word(columns, frozenset(QUESTION))


def gold(columns: Sequence[str]) -> str | None:
    """The column with the right answer; None where no name says so. Two that are called alike are none: `answer_a`."""
    return _named(columns, GOLD) or _with_word(columns, GOLD_WORDS)


def responses(columns: Sequence[str]) -> list[str]:
    """The columns with responses that people wrote."""
    return [column for column in columns if RESPONSE_WORDS & set(_words(column))]


def verifier(rows: Sequence[Row], column: str) -> tuple[str, list[str]]:
    """How answers can be judged, and the labels where the right answers are some: `number`, `label`, or else `exact`.

    Args:
        rows: rows that have a right answer in `column`.
    """
    right = [str(row[column]).strip() for row in rows]
    distinct = sorted(set(right))
    if _usable("number", right, []):
        return "number", []
    few = len(distinct) <= min(MOST_LABELS, len(right) // LEAST_ROWS) and max(map(len, distinct)) <= LONGEST_LABEL
    if len(distinct) > 1 and few and _usable("label", right, distinct):
        return "label", distinct
    return "exact", []


def _usable(name: str, right: Iterable[str], labels: Collection[str]) -> bool:
    judge: FunctionType = verifiers.find(name)
    return not any(golds.unusable([{"gold": each, "labels": list(labels)} for each in right], judge))


def _named(columns: Sequence[str], names: Iterable[str]) -> str | None:
    plain = {"_".join(_words(column)): column for column in reversed(columns)}
    return next((plain[name] for name in names if name in plain), None)


def _with_word(columns: Sequence[str], words: frozenset[str]) -> str | None:
    """The one column whose name has one of the words."""
    found = [column for column in columns if words & set(_words(column))]
    return found[0] if len(found) == 1 else None


def _words(column: str) -> list[str]:
    """`Gold label`, `gold-label` and `goldLabel` have the same words."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).casefold())
