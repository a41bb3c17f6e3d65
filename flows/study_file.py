"""Reading a study file: YAML, `--set` laid over it, `${NAME}` from the environment, checked against the schema."""

import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from data.errors import InputError
from flows.schema import Study
from tasks import endpoint
from tasks.endpoint import secrets
from tasks.options import explain

STUDIES = Path(__file__).resolve().parent.parent / "data" / "studies"
VARIABLE = re.compile(r"\$\{(\w+)\}")


def load(path: str, overrides: list[str] | None = None) -> Study:
    """Read a study file, or a bundled study by name, with `--set a.b=c` values laid over it.

    Raises:
        InputError: one line with the file, the key, the value and what is allowed.
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
    try:
        given = _with_environment(given, "")
        secrets.refuse(given)
        study = Study.model_validate(given)
        endpoint.use(study.endpoints, study.name)
        study._roots = (file.parent.absolute(), Path.cwd())
        study.check()
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error, Study)}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return study


def _with_environment(given: Any, where: str) -> Any:
    """The values with each `${NAME}` replaced by the environment's."""
    if isinstance(given, dict):
        return {key: _with_environment(value, f"{where}.{key}".lstrip(".")) for key, value in given.items()}
    if isinstance(given, list):
        return [_with_environment(value, f"{where}.{index}") for index, value in enumerate(given)]
    if not isinstance(given, str):
        return given

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise InputError(f"{where}: {given!r} needs the environment variable {found[1]}, which is not set")
        return os.environ[found[1]]

    return VARIABLE.sub(value, given)


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
