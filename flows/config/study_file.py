"""Reading a study file: YAML, `--set` laid over it, checked against the schema."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data import row_values
from data.errors import LONGEST_VALUE, InputError, at
from data.options import explain
from flows.config import known_names, yaml_values
from flows.config.schema import Study

STUDIES = Path(__file__).resolve().parents[2] / "data" / "studies"


def load(path: str, overrides: list[str] | None = None) -> Study:
    """Read a study file, or a bundled study by name, with `--set a.b=c` values laid over it.

    Raises:
        InputError: one line with the file, the key, the value and what is allowed.
    """
    given = read(path, overrides)
    with at(path):
        study = checked(given, locate(path).parent.absolute(), named_by_hand(overrides or []))
    study._file = path
    study._overrides = tuple(overrides or [])
    return study


def read(path: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """What a study file says, `--set` values laid over it, before any of it is checked.

    Raises:
        InputError: there is no such file, it is no map, or an override is none.
    """
    return values_of(locate(path), path, overrides, "a study file")


def values_of(file: Path, path: str, overrides: list[str] | None, what: str) -> dict[str, Any]:
    """What a YAML file says, `--set` values laid over it.

    Args:
        path: the file as it was named, for errors.
        what: what kind of file it is.

    Raises:
        InputError: it cannot be read or is no map, or an override is none.
    """
    try:
        size = file.stat().st_size
        if size > yaml_values.LARGEST:
            raise InputError(f"{path}: is {size:,} bytes large; allowed: at most {yaml_values.LARGEST:,}")
        given = yaml_values.parse(file.read_bytes().decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start + 1})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(given, dict):
        raise InputError(f"{path}: {what} is a map of keys; this one is {row_values.kind(given)}")
    for override in overrides or []:
        _lay_over(given, override)
    return given


def checked(given: Mapping[str, Any], folder: Path | None = None, named: Sequence[Path] = ()) -> Study:
    """The study that values describe, ready to be planned.

    Args:
        folder: where relative paths are looked up before the current folder.
        named: files and folders beside these that the study may read; see `data.allowed_paths`.

    Raises:
        InputError: one line with the key, the value and what is allowed.
    """
    study = raw(given)
    study._roots = (*([folder] if folder else []), Path.cwd(), *named)
    known_names.check(study)
    return study


def raw(given: Mapping[str, Any]) -> Study:
    """The study that values describe, for a look at it on a machine that need not run it.

    Raises:
        InputError: as `checked`; but no file is looked for.
    """
    try:
        return Study.model_validate(given)
    except ValidationError as error:
        raise InputError(explain(error, Study)) from None


def locate(path: str) -> Path:
    """The file a study argument means: a path, or the name of a bundled study."""
    if file := existing(Path(path), STUDIES / f"{path}.yaml"):
        return file
    known = ", ".join(sorted(p.stem for p in STUDIES.glob("*.yaml")))
    raise InputError(f"{path}: no such study file. Allowed: a path to a YAML file, or a bundled study ({known})")


def existing(*files: Path) -> Path | None:
    """The first of these that is a file; None where none is."""
    for file in files:
        with contextlib.suppress(OSError):  # a name longer than the file system allows is no file's
            if file.is_file():
                return file
    return None


def _lay_over(given: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    cut = override if len(override) <= LONGEST_VALUE else f"{override[:LONGEST_VALUE]} …"
    if not sign or not key:
        raise InputError(f"--set {cut}: allowed is key.inner=value")
    here: Any = given
    *outer, last = key.split(".")
    for depth, part in enumerate(outer, start=1):
        if isinstance(here.get(part), list):
            raise InputError(f"--set {cut}: {'.'.join(outer[:depth])} is a list; allowed is a value for all of it")
        if not isinstance(here.get(part), dict):
            by_kind = part == "method" or (depth == 2 and outer[0] == "origins")  # whose bare name is a kind's
            here[part] = {"kind": here[part]} if by_kind and isinstance(here.get(part), str) else {}
        here = here[part]
    here[last] = yaml_values.parse(text, f"--set {cut}")


def named_by_hand(overrides: list[str]) -> list[Path]:
    """The files and folders that `--set` values name: whoever runs the command does, so they may lie anywhere."""
    return [path for override in overrides for path in _paths(yaml_values.parse(override.partition("=")[2], override))]


def _paths(value: Any) -> list[Path]:
    if isinstance(value, dict | list):
        return [path for inner in (value.values() if isinstance(value, dict) else value) for path in _paths(inner)]
    if not isinstance(value, str) or os.sep not in value:
        return []
    path = Path(value).expanduser().absolute()
    return [path] if path.exists() else []
