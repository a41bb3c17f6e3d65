"""JSON that can be read in one way only."""

import json
from typing import Any

from data.errors import shown


def parsed(text: str) -> Any:
    """A JSON text's value.

    Raises:
        ValueError: it is no JSON, is nested too deep, has a key twice in one object, or a number of more than 4,300
            digits; says which, and where.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("is not valid JSON: it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON: {error}") from None
    except _Twice as error:
        raise ValueError(f"has the key {shown(error.args[0])} twice in one object") from None
    except ValueError:
        raise ValueError("has a whole number of more than 4,300 digits; allowed: fewer, or it as text") from None


class _Twice(Exception):
    """An object names a key a second time."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        raise _Twice(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return found
