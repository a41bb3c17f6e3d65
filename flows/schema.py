"""The study file: one YAML file that says which arms are trained and where they are evaluated."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SerializeAsAny, ValidationError, field_validator

from data import benchmark as bundled
from data import kinds
from data.benchmark import Benchmark
from data.errors import InputError
from data.user_benchmark import LocatedBenchmark, UserBenchmark
from tasks import methods, origins
from tasks.cell import UNTRAINED
from tasks.methods import Method
from tasks.origins import Origin
from tasks.sampling import Sampling
from tasks.select import Match

STUDIES = Path(__file__).resolve().parent.parent / "data" / "studies"
VARIABLE = re.compile(r"\$\{(\w+)\}")
ORIGIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]*$")


class Questions(BaseModel):
    """How many questions, and from which split of a benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: int | None = Field(300, gt=0, description="training questions of each benchmark; null for all of them")
    keep: int | None = Field(None, gt=0, description="questions an arm trains on; null for as many as all origins have")
    evaluate: int | None = Field(100, gt=0, description="evaluation questions of each benchmark; null for all of them")
    train_split: str = Field("train", description="the split that training questions come from")
    evaluate_split: str = Field("test", description="the split that evaluation questions come from")
    seed: int = Field(0, ge=0, description="which questions are drawn")


class Study(BaseModel):
    """A study: student x training benchmark x origin x method x seed, each evaluated on every benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="names the results folder; lower-case letters, digits, dot, dash, underscore")
    about: str = Field("", description="one sentence: what this study asks")
    notes: str = Field("", description="what a reader of the report must know; shown in it")
    student: str = Field(
        description="the model that is fine-tuned: a bundled name, a folder, or a hub id with revision"
    )
    benchmarks: dict[str, UserBenchmark | LocatedBenchmark] = Field(
        default_factory=dict, description="benchmarks of your own, and where the files of bundled ones lie, by name"
    )
    train: list[str] = Field(min_length=1, description="benchmarks to train on, each on its own")
    evaluate: list[str] = Field(
        min_length=1, description="benchmarks that every adapter answers; `abacus/*` for a family"
    )
    questions: Questions = Field(default_factory=Questions)
    origins: dict[str, SerializeAsAny[Origin]] = Field(
        min_length=1, description="where training responses come from, by name"
    )
    match: Match = Field(default_factory=Match, description="what the arms are matched for")
    method: SerializeAsAny[Method] = Field(description="how the student learns", validate_default=True, default="sft")
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1, description="one adapter for each")
    decoding: Sampling = Field(default_factory=Sampling, description="how adapters answer when evaluated")
    _roots: tuple[Path, ...] = PrivateAttr(default=(Path(),))

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME.match(name):
            raise ValueError("allowed are lower-case letters, digits, dot, dash and underscore")
        return name

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _named_benchmarks(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise ValueError("allowed is a map from a name to its options")
        return {
            name: _checked(
                LocatedBenchmark if "path" in options else UserBenchmark,
                {**options, "name": name},
                f"benchmarks.{name}",
            )
            if isinstance(options, Mapping)
            else options
            for name, options in given.items()
        }

    @field_validator("origins", mode="before")
    @classmethod
    def _known_origins(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise ValueError("allowed is a map from a name to its options")
        for name in given:
            if not isinstance(name, str) or not ORIGIN.match(name) or name == UNTRAINED:
                raise _Unknown(
                    f"origins.{name}: allowed are letters, digits, dot, dash and underscore, and not {UNTRAINED}"
                )
        known = {kind: origins.find(kind) for kind in origins.names()}
        return {name: _kind(known, options, name, f"origins.{name}", "origin") for name, options in given.items()}

    @field_validator("method", mode="before")
    @classmethod
    def _known_method(cls, given: Any) -> Any:
        return _kind(methods.kinds(), given, "sft", "method", "method")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError("allowed are distinct numbers from 0 up")
        return seeds

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders from which relative paths of the study are looked up: the study file's, then the current one."""
        return self._roots

    def find(self, name: str) -> tuple[Benchmark, ...]:
        """The benchmarks a name stands for: one of the study's own, a bundled one, or a family of them (`abacus/*`).

        Raises:
            InputError: there is none; names the nearest and all there are.
        """
        if name in self.benchmarks:
            return (self.benchmarks[name].resolve(self.roots),)
        if "*" in name:
            return bundled.matching(name)
        if name not in bundled.names():
            raise InputError(kinds.unknown("benchmark", name, [*self.benchmarks, *bundled.names()]))
        return (bundled.find(name),)


class _Unknown(ValueError):
    """A value inside the study that has a message of its own."""


def _kind(known: Mapping[str, type[BaseModel]], options: Any, default: str, where: str, what: str) -> Any:
    """Options whose `kind` says which model they follow; a bare name is a kind without options."""
    if isinstance(options, BaseModel):
        return options
    options = {"kind": options} if isinstance(options, str) else {} if options is None else options
    if not isinstance(options, Mapping):
        raise _Unknown(f"{where}: {options!r} is not allowed: a map of options is")
    kind = options.get("kind", default)
    if kind not in known:
        raise _Unknown(f"{where}{'.kind' if 'kind' in options else ''}: {kinds.unknown(what, str(kind), known)}")
    return _checked(known[kind], {**options, "kind": kind}, where)


def _checked(model: type[BaseModel], options: Mapping[str, Any], where: str) -> BaseModel:
    try:
        return model.model_validate(options)
    except ValidationError as error:
        raise _Unknown(explain(error, model, where)) from None


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """A validation error as one line: the key, the value, and what is allowed."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, _Unknown | InputError):
        return str(cause)
    where = ".".join(str(part) for part in (*filter(None, [prefix]), *first["loc"])) or "the file"
    match first["type"]:
        case "extra_forbidden":
            allowed = ", ".join(sorted(_fields(model, first["loc"][:-1])))
            return f"{where}: unknown key; allowed: {allowed}"
        case "missing":
            return f"{where}: missing; it is required"
        case "value_error":
            return f"{where}: {first['input']!r} is not allowed: {cause}"
    return f"{where}: {first['input']!r} is not allowed: {first['msg'][0].lower()}{first['msg'][1:]}"


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields allowed at a place inside a model."""
    here: Any = model
    for part in location:
        field = getattr(here, "model_fields", {}).get(part)
        if field is not None:
            here = field.annotation
        for inner in (here, *getattr(here, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                here = inner
                break
    return list(getattr(here, "model_fields", {}))


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
        study = Study.model_validate(_with_environment(given, ""))
        study._roots = (file.parent.absolute(), Path.cwd())
        for name in [*study.train, *study.evaluate]:
            study.find(name)
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
