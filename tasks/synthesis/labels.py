"""The labels of a classification task: the answers that there are."""

from collections import Counter
from collections.abc import Sequence
from math import log2

from data.errors import InputError
from tasks.storage.rows import Rows


def label_set(questions: Rows, where: str) -> tuple[str, ...]:
    """The labels of a benchmark: those that its first question allows (`labels`), else its distinct gold answers.

    Args:
        where: begins an error.

    Raises:
        InputError: there is one alone.
    """
    given = next(iter(questions)).get("labels")
    found = tuple(dict.fromkeys(given)) if given else tuple(sorted(set(questions.column("gold"))))
    if len(found) < 2:
        raise InputError(
            f"{where}: the label set has one label alone, {', '.join(found)}; allowed for classification: two or more "
            "(column `labels`, or gold answers that differ)"
        )
    return found


def entropy(labels: Sequence[str]) -> float:
    """Bits of the distribution of labels: 0 where all are the same, 1 for two as frequent."""
    total = len(labels)
    return -sum(count / total * log2(count / total) for count in Counter(labels).values()) + 0.0
