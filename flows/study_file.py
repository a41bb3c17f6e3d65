"""Reading a study file: YAML, `--set` laid over it, checked against the schema."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from data.errors import InputError
from flows.schema import RAW, Study
from tasks import endpoint
from tasks.options import explain

STUDIES = Path(__file__).resolve().parent.parent / "data" / "studies"


def load(path: str, overrides: list[str] | None = None) -> Study:
    """Read a study file, or a bundled study by name, with `--set a.b=c` values laid over it.

    Raises:
        InputError: one line with the file, the key, the value and what is allowed.
    """
    given = read(path, overrides)
    try:
        return checked(given, locate(path).parent.absolute(), named_by_hand(overrides or []))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read(path: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """What a study file says, `--set` values laid over it, before any of it is checked.

    Raises:
        InputError: there is no such file, it is no map, or an override is none.
    """
    file = locate(path)
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(given, dict):
        raise InputError(f"{path}: a study file is a map of keys; this one is {type(given).__name__}")
    for override in overrides or []:
        _lay_over(given, override)
    plain: dict[str, Any] = _with_texts_as_keys(given)
    return plain


def _with_texts_as_keys(given: Any) -> Any:
    """The values as JSON can hold them: YAML reads the bare keys `on` and `5` as true and a number."""
    if isinstance(given, dict):
        return {"on" if key is True else str(key): _with_texts_as_keys(value) for key, value in given.items()}
    return [_with_texts_as_keys(value) for value in given] if isinstance(given, list) else given


def checked(given: Mapping[str, Any], folder: Path | None = None, named: Sequence[Path] = ()) -> Study:
    """The study that values describe, ready to be planned; `${NAME}` in them is the environment's.

    Args:
        folder: where relative paths are looked up before the current folder.
        named: files and folders beside these that the study may read; see `data.allowed_paths`.

    Raises:
        InputError: one line with the key, the value and what is allowed.
    """
    study = _validated(given)
    endpoint.use(study.endpoints, study.name)
    study._roots = (*([folder] if folder else []), Path.cwd(), *named)
    study.check()
    return study


def raw(given: Mapping[str, Any]) -> Study:
    """The study that values describe, each `${NAME}` left as it is: for a look at it on a machine that need not run it.

    Raises:
        InputError: as `checked`; but no file is looked for.
    """
    return _validated(given, RAW)


def _validated(given: Mapping[str, Any], context: Any = None) -> Study:
    try:
        return Study.model_validate(given, context=context)
    except ValidationError as error:
        raise InputError(explain(error, Study)) from None


def locate(path: str) -> Path:
    """The file a study argument means: a path, or the name of a bundled study."""
    bundled = STUDIES / f"{path}.yaml"
    for file in (Path(path), bundled):
        if file.is_file():
            return file
    known = ", ".join(sorted(p.stem for p in STUDIES.glob("*.yaml")))
    raise InputError(f"{path}: no such study file. Allowed: a path to a YAML file, or a bundled study ({known})")


def _lay_over(given: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise InputError(f"--set {override}: allowed is key.inner=value")
    here: Any = given
    *outer, last = key.split(".")
    for part in outer:
        if not isinstance(here.get(part), dict):
            here[part] = {}
        here = here[part]
    try:
        here[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: the value is not valid YAML: {getattr(error, 'problem', error)}") from None


def named_by_hand(overrides: list[str]) -> list[Path]:
    """The files and folders that `--set` values name: whoever runs the command does, so they may lie anywhere."""
    return [path for override in overrides for path in _paths(yaml.safe_load(override.partition("=")[2]))]


def _paths(value: Any) -> list[Path]:
    if isinstance(value, dict | list):
        return [path for inner in (value.values() if isinstance(value, dict) else value) for path in _paths(inner)]
    if not isinstance(value, str) or os.sep not in value:
        return []
    path = Path(value).expanduser().absolute()
    return [path] if path.exists() else []
