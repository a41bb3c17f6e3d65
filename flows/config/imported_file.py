"""The file that describes imported results: somebody's tables of predictors and of accuracies, and their columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from data.errors import InputError, at
from data.options import OptionError, explain
from flows.config import study_file

PUBLISHED = Path(__file__).resolve().parents[2] / "data" / "published"
OTHER = "other"
"""Stands in `test_items` for the benchmarks that are not named there."""

Column = str | None
Scalar = str | bool | int | float


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(_Part):
    """Which columns name what; a student or a benchmark without a column is the same one in all rows."""

    student: Column = "student"
    benchmark: Column = "benchmark"
    arm: str = "arm"


class PredictorColumns(Columns):
    """The columns of the table of predictors: one row for each of them where `predictor` and `value` are given."""

    predictor: Column = None
    value: Column = None

    @model_validator(mode="after")
    def _both(self) -> "PredictorColumns":
        if (self.predictor is None) != (self.value is None):
            raise OptionError("predictors.columns: predictor and value belong together: allowed are both or neither")
        return self


class AccuracyColumns(Columns):
    """The columns of the table of accuracies."""

    accuracy: str = "accuracy"
    seed: Column = Field(None, description="runs that differ in nothing else are repetitions")


class PredictorTable(_Part):
    """A number for each option before training: a column for each predictor, or a row for each."""

    file: str
    columns: PredictorColumns = PredictorColumns()
    better: dict[str, Literal["higher", "lower"]] = Field(
        min_length=1, max_length=100, description="the predictors, by column or name, and which values are better"
    )
    same_as: dict[str, str] = Field(
        default_factory=dict, description="which of mothertongue's own predictors a column holds, for `advise`"
    )


class AccuracyTable(_Part):
    """What came of training: one row for each run."""

    file: str
    columns: AccuracyColumns = AccuracyColumns()
    settings: list[str] = Field(
        default_factory=list, max_length=20, description="columns whose values part runs that are not compared"
    )
    where: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="only rows with this value in the column, or one of these"
    )
    repeated: Literal["last", "each"] = Field(
        "last", description="which runs count that differ in nothing, their seed neither: the last, or each as a run"
    )
    out_of: float = Field(1.0, gt=0, description="what all answers right is: 1, or 100 for percentages")
    arms: dict[str, str] = Field(
        default_factory=dict,
        description="what an arm is called among the predictors, used where no run of that name is in the same group",
    )
    test_items: int | dict[str, int] = Field(
        default_factory=dict,
        description=f"test items that an accuracy is of: a number, or numbers by benchmark; `{OTHER}` is the rest",
    )

    @field_validator("test_items", mode="before")
    @classmethod
    def _counts(cls, given: Any) -> Any:
        counts = list(given.values()) if isinstance(given, Mapping) else [given]
        if not all(isinstance(count, int) and not isinstance(count, bool) and count > 0 for count in counts):
            raise ValueError("allowed is a whole number above 0, or one for each benchmark")
        return given

    def items_of(self, benchmark: str) -> int | None:
        """Test items of a benchmark; None: not known."""
        if isinstance(self.test_items, int):
            return self.test_items
        return self.test_items.get(benchmark, self.test_items.get(OTHER))


class Imported(_Part):
    """Results of others: predictors before training, accuracies after it."""

    name: str = Field(min_length=1, max_length=100)
    about: str = ""
    source: str = ""
    predictors: PredictorTable
    accuracies: AccuracyTable
    baselines: list[str] = Field(default_factory=list, description="predictors that the others are held against")
    _file: str = PrivateAttr(default="")
    _roots: tuple[Path, ...] = PrivateAttr(default=(Path(),))

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("allowed is a name on one line")
        return name

    @model_validator(mode="after")
    def _known_names(self) -> "Imported":
        known = list(self.predictors.better)
        for key, names in (("predictors.same_as", self.predictors.same_as), ("baselines", self.baselines)):
            if unknown := [name for name in names if name not in known]:
                raise OptionError(f"{key}: {unknown[0]!r} is none of the predictors; allowed: {', '.join(known)}")
        return self

    @property
    def file(self) -> str:
        return self._file

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders that its paths are looked up from."""
        return self._roots


def published() -> list[str]:
    """The names of the results that come with the project."""
    return sorted(path.stem for path in PUBLISHED.glob("*.yaml"))


def load(path: str, overrides: list[str] | None = None) -> Imported:
    """Read such a file, or one that comes with the project by its name, with `--set a.b=c` values laid over it.

    Raises:
        InputError: one line with the file, the key, the value and what is allowed.
    """
    file = _locate(path)
    given = study_file.values_of(file, path, overrides, "a file of imported results")
    with at(path):
        try:
            found = Imported.model_validate(given)
        except ValidationError as error:
            raise InputError(explain(error, Imported)) from None
    found._file = path
    found._roots = (file.parent.absolute(), Path.cwd(), *study_file.named_by_hand(overrides or []))
    return found


def _locate(path: str) -> Path:
    file = study_file.existing(Path(path), PUBLISHED / f"{path}.yaml")
    if file is None:
        known = ", ".join(published())
        raise InputError(f"{path}: no such file. Allowed: a YAML file of imported results, or one by name ({known})")
    return file
