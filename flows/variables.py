"""`${NAME}` in a study file: a value that each machine has of its own, taken from the environment when it is needed."""

import os
import re
from collections.abc import Iterator
from typing import Any

from data.errors import InputError
from tasks.endpoint import secrets

VARIABLE = re.compile(r"\$\{(\w+)\}")


def resolved(given: Any, where: str = "") -> Any:
    """The values with each `${NAME}` replaced by the environment's.

    Raises:
        InputError: a variable is not set, or its name says that it holds a secret; names it and the place.
    """
    if isinstance(given, dict):
        return {key: resolved(value, f"{where}.{key}".lstrip(".")) for key, value in given.items()}
    if isinstance(given, list):
        return [resolved(value, f"{where}.{index}") for index, value in enumerate(given)]
    if not isinstance(given, str):
        return given

    def value(found: re.Match[str]) -> str:
        secrets.refuse_variable(found[1], where)
        if found[1] not in os.environ:
            raise InputError(f"{where}: {given!r} needs the environment variable {found[1]}, which is not set")
        return os.environ[found[1]]

    return VARIABLE.sub(value, given)


def named(given: Any) -> Iterator[str]:
    """The names of the variables that the values ask for."""
    if isinstance(given, dict):
        for value in given.values():
            yield from named(value)
    elif isinstance(given, list):
        for value in given:
            yield from named(value)
    elif isinstance(given, str):
        yield from VARIABLE.findall(given)
