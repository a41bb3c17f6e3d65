"""The study file: one YAML file that says which arms are trained and where they are evaluated."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data import benchmark as benchmarks
from data.benchmark import UserBenchmark
from data.errors import InputError
from tasks import methods, origins
from tasks.methods import Method
from tasks.origins import Origin
from tasks.sampling import Sampling
from tasks.select import Match

STUDIES = Path(__file__).resolve().parent.parent / "data" / "studies"
NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]*$")


class Questions(BaseModel):
    """How many questions, and from which split of a benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: int | None = Field(300, gt=0, description="training questions of each benchmark; null for all of them")
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
    student: str = Field(description="the model that is fine-tuned: a bundled name, a folder, or a hub id with revision")
    benchmarks: dict[str, UserBenchmark] = Field(default_factory=dict, description="benchmarks of your own, by name")
    train: list[str] = Field(min_length=1, description="benchmarks to train on, each on its own")
    evaluate: list[str] = Field(min_length=1, description="benchmarks that every adapter answers; `abacus/*` for a family")
    questions: Questions = Field(default_factory=Questions)
    origins: dict[str, Origin] = Field(min_length=1, description="where training responses come from, by name")
    match: Match = Field(default_factory=Match, description="what the arms are matched for")
    method: Method = Field(description="how the student learns", validate_default=True, default={"kind": "sft"})  # type: ignore[assignment]
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1, description="one adapter for each")
    decoding: Sampling = Field(default_factory=Sampling, description="how adapters answer when evaluated")

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME.match(name):
            raise ValueError("allowed are lower-case letters, digits, dot, dash and underscore")
        return name

    @field_validator("origins", mode="before")
    @classmethod
    def _known_origins(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise ValueError("allowed is a map from a name to its options")
        return {name: _kind(origins.kinds(), options, name, f"origins.{name}") for name, options in given.items()}

    @field_validator("method", mode="before")
    @classmethod
    def _known_method(cls, given: Any) -> Any:
        return _kind(methods.kinds(), given, None, "method")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError("allowed are distinct numbers from 0 up")
        return seeds

    @model_validator(mode="after")
    def _known_benchmarks(self) -> "Study":
        for name in [*self.train, *self.evaluate]:
            self.find(name)
        return self

    def find(self, name: str) -> list[benchmarks.Benchmark]:
        """The benchmarks a name stands for: one of the study's own, a bundled one, or a family of them (`abacus/*`)."""
        if name in self.benchmarks:
            return [self.benchmarks[name].benchmark(name)]
        if name.endswith("*"):
            found = [known for known in benchmarks.names() if known.startswith(name[:-1])]
            if found:
                return [benchmarks.find(known) for known in found]
        return [benchmarks.find(name, also=tuple(self.benchmarks))]


class _Unknown(ValueError):
    """A value inside the study that has a message of its own."""


def _kind(kinds: Mapping[str, type[BaseModel]], options: Any, default: str | None, where: str) -> Any:
    if isinstance(options, BaseModel):
        return options
    options = {} if options is None else options
    if isinstance(options, str):
        options = {"kind": options}
    if not isinstance(options, Mapping):
        raise _Unknown(f"{where}: {options!r} is no map of options")
    kind = options.get("kind", default)
    if kind not in kinds:
        what = f"{where}.kind: {kind!r}" if "kind" in options else f"{where}: {kind!r}"
        raise _Unknown(f"{what} is unknown; allowed: {', '.join(sorted(kinds))}")
    try:
        return kinds[kind].model_validate({**options, "kind": kind})
    except ValidationError as error:
        raise _Unknown(explain(error, kinds[kind], where)) from None


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
        return Study.model_validate(given, context={"folder": file.parent})
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error, Study)}") from None


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
    here[last] = yaml.safe_load(text)
