"""One file a kind: what a folder of modules offers, found by looking, so that a new kind is one new file."""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Iterable
from types import ModuleType
from typing import TypeVar

from data.errors import InputError, shown

Kind = TypeVar("Kind")

LONGEST_COMPARED = 200
"""Characters of a name that is looked for among others: the comparison is slow for long ones."""
NAMED = 4
"""Names of one family that a message lists; of more it says the family."""


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


def about(package: str, name: str, what: str) -> str:
    """What one kind is: the first sentence of its module's docstring.

    Raises:
        InputError: as `load`.
    """
    return first_sentence(load(package, name, what).__doc__ or "")


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line: up to a stop before a capital, or before the next paragraph."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.?!])\s+(?=[A-Z`(])", paragraph)[0]


def only_class(module: ModuleType, base: type[Kind]) -> type[Kind]:
    """The one subclass of `base` that a module defines itself, beside those that it imports."""
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
    ]
    assert len(classes) == 1, f"{module.__name__} must define one {base.__name__}, not {len(classes)}"
    return classes[0]


def unknown(what: str, value: str, allowed: Iterable[str]) -> str:
    """One line that says a name is not among the allowed ones, and which of them it may have meant.

    Families of many names (`abacus/ledger`, `abacus/boxes`, …) are said as one, `abacus/*`, as study files may have it.
    """
    allowed = list(allowed)
    near = difflib.get_close_matches(value[:LONGEST_COMPARED], allowed, n=2, cutoff=0.5)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return (
        f"no {what} is called {shown(value)}{hint}. Allowed: {', '.join(_by_family(allowed)) or 'none, there are none'}"
    )


def _by_family(names: Iterable[str]) -> list[str]:
    """The names, those of one family of more than `NAMED` as one, with how many they are."""
    families: dict[str, list[str]] = {}
    for name in names:
        family, slash, _ = name.partition("/")
        families.setdefault(f"{family}/*" if slash else name, []).append(name)
    said: list[str] = []
    for family, members in families.items():
        said += [f"{family} ({len(members)})"] if len(members) > NAMED else members
    return said
