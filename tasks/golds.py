"""Gold answers that no response could be judged against, found without any response."""

import sys
from collections.abc import Iterable, Iterator
from types import FunctionType

from tasks.rows import Row


def unusable(rows: Iterable[Row], verifier: FunctionType) -> Iterator[tuple[Row, str]]:
    """The rows whose gold answer (or options, labels, references) the verifier cannot read, each with why not.

    Every verifier reads the row before the response, and raises ValueError for one that it cannot use: so an empty
    response is enough to ask it, and costs nothing. One that has to run its gold answers says so (`READS_GOLD`).
    """
    if not getattr(sys.modules[verifier.__module__], "READS_GOLD", True):
        return
    for row in rows:
        try:
            verifier("", row)
        except (ValueError, TypeError, KeyError) as error:
            yield row, str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
