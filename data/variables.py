"""`${NAME}` in a study file: the part of a path that differs between machines.

It is replaced only where a file or a model is looked for; all that is kept or shown of a study has it as written.
A study file can come from somebody else, so only variables that whoever runs the study allows are read: those that
bundled studies name, MOTHERTONGUE_*, and those that --allow-env or MOTHERTONGUE_ALLOW_ENV name, alone or by prefix.
"""

import functools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data.errors import InputError

ALLOW = "MOTHERTONGUE_ALLOW_ENV"
ALLOW_PATHS = "MOTHERTONGUE_ALLOW_PATHS"
"""Folders that studies may read; see `data.allowed_paths`."""
OWN = ("MOTHERTONGUE_*",)
STUDIES = Path(__file__).resolve().parent / "studies"
VARIABLE = re.compile(r"\$\{(\w+)\}")
PATTERN = re.compile(r"[A-Za-z_]\w*\*?", re.ASCII)
"""A name, or the beginning of names with `*` after it."""
SECRET = re.compile(
    r"(^|_)(key|keys|token|tokens|secret|secrets|pass|passwd|password|passphrase|pwd|pat|webhook|credential|credentials"
    r"|auth|cookie)(_|$)|passw(or)?d|api_?key|secret|credential",
    re.IGNORECASE,
)
"""Names that say that a secret is held: not read even where a prefix allows them."""
TEXTS = (("about",), ("notes",), ("contrasts", "*", "claim"), ("benchmarks", "*", "licence"))
"""Keys of a study file with texts for readers, which may speak of variables."""
PLACES = (
    ("student",),
    ("student", "*"),
    ("trust_remote_code", "*"),
    ("benchmarks", "*", "train"),
    ("benchmarks", "*", "test"),
    ("benchmarks", "*", "path"),
    ("benchmarks", "*", "path", "*"),
    ("benchmarks", "*", "prompt"),
    ("origins", "*", "path"),
    ("origins", "*", "model"),
    ("origins", "*", "prompt"),
    ("origins", "*", "response"),
)
"""Keys of a study file that name a file or a model."""


def allow(names: Iterable[str]) -> None:
    """Let the studies that this process and those it starts run read more variables.

    Raises:
        InputError: a name is none.
    """
    for name in names:
        _check_pattern(name, f"--allow-env {name}")
    if more := list(names):
        os.environ[ALLOW] = ",".join([*filter(None, [os.environ.get(ALLOW)]), *more])


def check(given: Any) -> None:
    """See that a study's values ask only for variables that they may, where they may.

    Args:
        given: the values of a study file.

    Raises:
        InputError: names the place and the variable.
    """
    for place, text in _texts(given, ()):
        where = ".".join(place)
        is_template = "{{" in text or "{%" in text
        for name in VARIABLE.findall(text):
            if SECRET.search(name):
                raise InputError(f"{where}: this looks like a key (${{{name}}}). {_allowed()}")
            if _is_one(place, TEXTS) or is_template:
                continue
            if not _is_one(place, PLACES) or text.startswith("api:"):
                raise InputError(
                    f"{where}: ${{{name}}} is not allowed here. Allowed: variables in the names of files and models, "
                    "and in `about`, `notes` and templates, where they stay as written"
                )
            _refuse(name, where)


def expanded(text: str, where: str = "") -> str:
    """A path or a model's name with each `${NAME}` replaced by the environment's value.

    Args:
        where: the text's place in the study file, for errors.

    Raises:
        InputError: a variable is not allowed, or not set; names it, never a value.
    """

    def value(found: re.Match[str]) -> str:
        _refuse(found[1], where)
        if found[1] not in os.environ:
            raise InputError(f"{where}: {text!r} needs the environment variable {found[1]}, which is not set")
        return os.environ[found[1]]

    return VARIABLE.sub(value, text)


def as_written(path: Path) -> str:
    """A path as a study that names it by a variable has it, for messages: `${GSM8K}/train.jsonl`."""
    patterns = [*OWN, *bundled(), *_named()]
    folders = {name: value for name, value in os.environ.items() if len(value) > 1 and os.path.isabs(value)}
    folders.pop(ALLOW_PATHS, None)
    found = [name for name, value in folders.items() if _matches(name, patterns) and path.is_relative_to(value)]
    if not found:
        return str(path)
    name = max(found, key=lambda name: (len(folders[name]), not _matches(name, OWN)))
    return str(Path(f"${{{name}}}") / path.relative_to(folders[name]))


def named(given: Any) -> list[str]:
    """The variables that a study's values ask for where files and models are named, each once."""
    found = (VARIABLE.findall(text) for place, text in _texts(given, ()) if _is_one(place, PLACES))
    return list(dict.fromkeys(name for names in found for name in names))


@functools.cache
def bundled() -> frozenset[str]:
    """The variables by which bundled studies name folders of data; nobody sets them for anything else."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(STUDIES.glob("*.yaml")))
    return frozenset(name for text in texts for name in VARIABLE.findall(text))


def _refuse(name: str, where: str) -> None:
    if SECRET.search(name) or not _matches(name, [*OWN, *bundled(), *_named()]):
        raise InputError(f"{where}: ${{{name}}} is a variable that a study may not read. {_allowed()}")


def _allowed() -> str:
    known = ", ".join(dict.fromkeys([*OWN, *sorted(bundled()), *_named()]))
    return (
        f"Allowed: {known}, names of secrets aside; more with --allow-env, or {ALLOW} in the environment. "
        "An endpoint's key is named by endpoints.<model id>.key_env"
    )


def _named() -> list[str]:
    """What the environment allows.

    Raises:
        InputError: a name is none.
    """
    names = [name for name in re.split(r"[\s,:]+", os.environ.get(ALLOW, "")) if name]
    for name in names:
        _check_pattern(name, f"{ALLOW}={name}")
    return names


def _check_pattern(name: str, said: str) -> None:
    if not PATTERN.fullmatch(name):
        raise InputError(f"{said}: allowed are names of environment variables, or their beginning and *, as DATA_*")


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in patterns)


def _is_one(place: tuple[str, ...], patterns: Iterable[tuple[str, ...]]) -> bool:
    return any(
        len(place) == len(one) and all(part in ("*", here) for part, here in zip(one, place, strict=True))
        for one in patterns
    )


def _texts(given: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of the values with its place; keys are none."""
    if isinstance(given, dict):
        for key, value in given.items():
            yield from _texts(value, (*place, str(key)))
    elif isinstance(given, list):
        for index, value in enumerate(given):
            yield from _texts(value, (*place, str(index)))
    elif isinstance(given, str):
        yield place, given
