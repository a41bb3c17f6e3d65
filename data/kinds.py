"""One file a kind: what a folder of modules offers, found by looking, so that a new kind is one new file."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from data.errors import InputError, shown

LONGEST_COMPARED = 200
"""Characters of a name that is looked for among others: the comparison is slow for long ones."""


def names(package: str) -> tuple[str, ...]:
    """The kinds in a package, by its dotted name: its modules' names, sorted.

    A module whose name begins with `_` holds what several kinds share, and is none.
    """
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return tuple(sorted(module.name for module in modules if not module.name.startswith("_")))


def load(package: str, name: str, what: str) -> ModuleType:
    """The module of one kind.

    Raises:
        InputError: there is no such module; it names the nearest and all that there are.
    """
    found = names(package)
    if name not in found:
        raise InputError(unknown(what, name, found))
    return importlib.import_module(f"{package}.{name}")


def unknown(what: str, value: str, allowed: Iterable[str]) -> str:
    """One line that says a name is not among the allowed ones, and which of them it may have meant."""
    allowed = list(allowed)
    near = difflib.get_close_matches(value[:LONGEST_COMPARED], allowed, n=2, cutoff=0.5)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f"no {what} is called {shown(value)}{hint}. Allowed: {', '.join(allowed) or 'none, there are none'}"
