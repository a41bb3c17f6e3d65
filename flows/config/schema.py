"""The study file: one YAML file that says which arms are trained and where they are evaluated."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from data import benchmark as bundled
from data import kinds, variables
from data.benchmark import Benchmark
from data.bounds import LONGEST_NAME, MOST_QUESTIONS, MOST_SEEDS, Seed, Whole
from data.errors import InputError, at
from data.options import OptionError, checked, of_kind
from data.user_benchmark import LocatedBenchmark, UserBenchmark
from flows.config import consistency, server_values
from flows.config.arms import AnyMethod, ArmOptions, ArmPlan, check_arms, planned
from flows.config.form import ByName, Choice, Kinds, as_study, families, only_known_benchmarks
from flows.config.study_parts import NAME, NOT_TAKEN, TAKEN, Control, Measures, Questions, by_name, check_name
from tasks.comparison.cell import UNTRAINED
from tasks.comparison.contrast import Contrast
from tasks.endpoint import secrets
from tasks.kinds import methods, origins, verifiers
from tasks.kinds.origins import Origin
from tasks.models.endpoint import EndpointSettings
from tasks.models.model import Model, Named, title, weights
from tasks.models.model import bundled as models
from tasks.models.sampling import Sampling
from tasks.selection.match import Match

MOST_BENCHMARKS = 1000
MOST_SIZES = 20

Names = Annotated[list[str], Field(min_length=1, max_length=MOST_BENCHMARKS), Choice(families)]
AnyOrigin = Annotated[SerializeAsAny[Origin], Kinds(origins.kinds_by_name, "Origin")]


class Study(BaseModel):
    """A study: student x training benchmark x origin x method x seed, each evaluated on every benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=only_known_benchmarks)

    name: str = Field(
        description="names the results folder; lower-case letters, digits, dot, dash, underscore",
        max_length=LONGEST_NAME,
        json_schema_extra={"pattern": NAME.pattern, "not": NOT_TAKEN},
    )
    about: str = Field("", max_length=2000, description="one sentence: what this study asks")
    notes: str = Field("", max_length=100_000, description="what a reader of the report must know; shown in it")
    student: str | Annotated[list[str], Field(max_length=20)] = Field(
        description=f"the model that is fine-tuned, or a list of them, each on its own: a bundled one "
        f"({', '.join(models())}), a folder, or a hub id with revision",
        examples=list(models()),
    )
    benchmarks: Annotated[
        dict[str, UserBenchmark | LocatedBenchmark],
        ByName({"tickets": {"train": "train.csv", "test": "test.csv", "verifier": "exact"}}),
    ] = Field(
        default_factory=dict, description="benchmarks of your own, and where the files of bundled ones lie, by name"
    )
    train: Names = Field(description="benchmarks to train on, each on its own")
    evaluate: Names = Field(description="benchmarks that every adapter answers; `abacus/*` for a family")
    questions: Questions = Field(default_factory=Questions, description="how many questions, and from which splits")
    origins: Annotated[dict[str, AnyOrigin], ByName({"human": {}, "self": {"samples": 4}})] = Field(
        min_length=1, description="where training responses come from, by name"
    )
    match: Match = Field(default_factory=Match, description="what the arms are matched for")
    controls: Annotated[
        dict[str, Control], ByName({"same_length": {"origins": ["human", "self"], "match": {"tokens": 0.05}}})
    ] = Field(default_factory=dict, description="arms matched in other ways beside the study's own, by name")
    method: AnyMethod = Field(description="how the student learns", validate_default=True, default="sft")
    arms: Annotated[
        dict[str, ArmOptions],
        ByName({"sft": {"on": "teacher"}, "rft": {"on": "resampled"}, "dpo": {"on": "pairs", "after": "sft"}}),
    ] = Field(
        default_factory=dict,
        description="what is compared, by name: which origin each arm trains on, by which method, after which arm; "
        "without any, one arm for each origin",
    )
    sizes: list[Annotated[Whole, Field(gt=0, le=MOST_QUESTIONS)]] = Field(
        default_factory=list,
        max_length=MOST_SIZES,
        description="numbers of training questions, each a part of the next larger: every arm is trained at each",
    )
    reference: str = Field(
        "", description="the arm in whose training questions the others' are counted, in a study of sizes; empty: none"
    )
    contrasts: tuple[Contrast, ...] = Field(
        (), description="the claims that the study tests, each that one arm does better than another"
    )
    seeds: Annotated[list[Seed], Field(json_schema_extra={"uniqueItems": True})] = Field(
        default_factory=lambda: [0], min_length=1, max_length=MOST_SEEDS, description="one adapter for each"
    )
    decoding: Sampling = Field(default_factory=Sampling, description="how adapters answer when evaluated")
    measures: Measures = Field(
        default_factory=Measures, description="what is measured of arms beside their answers, before and after training"
    )
    endpoints: Annotated[dict[str, EndpointSettings], ByName({"gpt-4.1-mini": {"budget_tokens": 1000000}})] = Field(
        default_factory=dict,
        description="how teachers behind endpoints (`model: api:<model id>`) are asked, and budgets, by model id",
    )
    trust_remote_code: list[str] = Field(
        default_factory=list,
        description="models whose own code may run here with all your rights, named as above; read it first",
    )
    thinking: dict[str, bool] = Field(
        default_factory=dict,
        description="models that think before they answer (true) or do not (false), named as above, where their chat "
        "templates have it both ways",
    )
    _roots: tuple[Path, ...] = PrivateAttr(default=(Path(),))
    _file: str = PrivateAttr(default="")
    _overrides: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="before")
    @classmethod
    def _without_secrets(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            server_values.check(given)
            secrets.refuse(given)  # before anything is said of a value
            given = as_study(given)
            secrets.refuse(given)
            variables.check(given)
        return given

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("allowed are lower-case letters, digits, dot, dash and underscore")
        if name in TAKEN:
            raise ValueError(f"allowed are other names than {', '.join(sorted(TAKEN))}")
        return name

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _named_benchmarks(cls, given: Any) -> Any:
        given = by_name(given, "benchmarks")
        return {
            name: checked(
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
            _check_arm_name(name, f"origins.{name}")
        return {name: origins.parse(options, f"origins.{name}", name) for name, options in given.items()}

    @field_validator("method", mode="before")
    @classmethod
    def _known_method(cls, given: Any) -> Any:
        return of_kind(methods.kinds_by_name(), given, "sft", "method", "method")

    @field_validator("endpoints", mode="before")
    @classmethod
    def _known_endpoints(cls, given: Any) -> Any:
        given = by_name(given, "endpoints")
        return {
            str(id): checked(EndpointSettings, options, f"endpoints.{id}") if isinstance(options, Mapping) else options
            for id, options in given.items()
        }

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("allowed are distinct numbers from 0 up")
        return seeds

    @field_validator("controls")
    @classmethod
    def _of_known_origins(cls, controls: dict[str, Control], info: ValidationInfo) -> dict[str, Control]:
        known = info.data.get("origins", {})
        for name, control in controls.items():
            check_name(name, f"controls.{name}")
            for origin in control.origins:
                if known and origin not in known:
                    raise OptionError(f"controls.{name}.origins: {kinds.unknown('origin', origin, known)}")
        return controls

    @field_validator("student")
    @classmethod
    def _distinct_students(cls, given: str | list[str]) -> str | list[str]:
        if not all(name.strip() for name in ([given] if isinstance(given, str) else given)):
            raise ValueError("allowed are names of models, folders, or hub ids with a revision")
        titles = [title(name) for name in ([given] if isinstance(given, str) else given)]
        if not titles or len(set(titles)) < len(titles):
            raise ValueError("allowed are one or more models of different names (owners and revisions aside)")
        return given

    @property
    def students(self) -> tuple[str, ...]:
        """The models that are fine-tuned, each on its own."""
        return (self.student,) if isinstance(self.student, str) else tuple(self.student)

    @property
    def models(self) -> tuple[Model, ...]:
        """The students, found.

        Raises:
            InputError: there is no such model, or the study may not use it.
        """
        by = Named("student", self.roots, frozenset(self.trust_remote_code))
        return tuple(weights(name, by).choosing(self.thinking.get(name)) for name in self.students)

    @field_validator("arms", mode="before")
    @classmethod
    def _named_arms(cls, given: Any) -> Any:
        given = by_name(given, "arms")
        for name in given:
            _check_arm_name(name, f"arms.{name}")
        return {
            name: ArmOptions.parse(options, f"arms.{name}") if isinstance(options, Mapping) else options
            for name, options in given.items()
        }

    @field_validator("sizes")
    @classmethod
    def _rising(cls, sizes: list[int]) -> list[int]:
        if len(set(sizes)) < len(sizes):
            raise ValueError("allowed are distinct numbers from 1 up")
        return sorted(sizes)

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        consistency.check_endpoints(self.endpoints, self.origins)
        consistency.check_models(self.students, self.origins, self.trust_remote_code, self.thinking)
        consistency.check_controls(self.arms, self.controls)
        check_arms(self.compared, self.origins, bool(self.arms), [title(name) for name in self.students])
        consistency.check_sizes(self.sizes, self.questions, self.compared, self.origins)
        consistency.check_reference(self.reference, self.sizes, self.compared)
        consistency.check_contrasts(self.contrasts, [arm.name for arm in self.compared], self.sizes)
        return self

    @property
    def compared(self) -> tuple[ArmPlan, ...]:
        """The study's arms: those it names, or one for each origin, and those of its controls."""
        return tuple(planned(self.origins, self.arms, self.controls, self.method, self.match))

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders from which relative paths of the study are looked up: the study file's, then the current one."""
        return self._roots

    @property
    def file(self) -> str:
        """The study file as it was named, which errors begin with; empty for values of none."""
        return self._file

    @property
    def overrides(self) -> tuple[str, ...]:
        """The `--set` values that were laid over the study file."""
        return self._overrides

    @property
    def command(self) -> str:
        """The command that runs the study, or goes on with it: with its file as it was named, and `--set` values."""
        changes = [word for override in self._overrides for word in ("--set", override)]
        return shlex.join(["mothertongue", "run", self._file or self.name, *changes])

    def names(self, patterns: Iterable[str]) -> list[str]:
        """The benchmarks that names and patterns stand for, each once."""
        return list(dict.fromkeys(found.name for pattern in patterns for found in self.find(pattern)))

    def find(self, name: str) -> tuple[Benchmark, ...]:
        """The benchmarks a name stands for: one of the study's own, a bundled one, or a family of them (`abacus/*`).

        Raises:
            InputError: there is none; names the nearest and all there are.
        """
        if name in self.benchmarks:
            own = self.benchmarks[name]
            with at(f"benchmarks.{name}"):
                if isinstance(own, UserBenchmark):
                    return (own.resolve(self.roots, verifiers.column(own.verifier)),)
                return (own.resolve(self.roots),)
        if "*" in name:
            return bundled.matching(name)
        if name not in bundled.names():
            raise InputError(kinds.unknown("benchmark", name, [*self.benchmarks, *bundled.names()]))
        return (bundled.find(name),)


def _check_arm_name(name: Any, where: str) -> None:
    """Raises OptionError unless an arm may be called so; an origin may be one."""
    check_name(name, where)
    if name == UNTRAINED:
        raise OptionError(f"{where}: allowed are other names: {UNTRAINED} is the student untrained")
