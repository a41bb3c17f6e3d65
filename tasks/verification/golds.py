"""Gold answers that no response could be judged against, found without any response."""

import sys
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType

from tasks.storage.rows import Row


def are_answers(verifier: Callable[..., object]) -> bool:
    """Whether a response's answer could be a gold answer itself: not where those are tests, which run it."""
    return not hasattr(sys.modules[verifier.__module__], "gold_problem")


def unusable(rows: Iterable[Row], verifier: FunctionType) -> Iterator[tuple[Row, str]]:
    """The rows whose gold answer (or options, labels, references) the verifier cannot read, each with why not.

    Every verifier reads the row before the response, and raises ValueError for one that it cannot use: so an empty
    response is enough to ask it, and costs nothing. One that has to run its gold answers has a `gold_problem`, which
    looks at a row without that.
    """
    without_running = getattr(sys.modules[verifier.__module__], "gold_problem", None)
    for row in rows:
        if without_running is not None:
            if why := without_running(row):
                yield row, why
            continue
        try:
            verifier("", row)
        except (ValueError, TypeError, KeyError) as error:
            yield row, str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
