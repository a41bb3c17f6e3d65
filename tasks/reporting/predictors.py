"""The record of predictors as the page has it: a table for each way of training, and what was chosen among."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.comparison.arms import is_control
from tasks.comparison.phrasing import listed, signed
from tasks.comparison.predictions import ALL, BASELINE
from tasks.reporting.formatting import ratio

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 4
MOST_PICKS = 6
"""Picks on more training benchmarks than these are counted, not named."""
TIE = 1e-6
"""Accuracies that are nearer to each other are the same: sums of the same numbers in another order."""


@dataclass(frozen=True)
class Number:
    """A number with the ends of its 95 % interval; NaN where undefined."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Pick:
    """What a predictor picks on one training benchmark: its arms (several tie), their accuracy, the best one's."""

    train_benchmark: str
    arms: tuple[str, ...]
    accuracy: float
    best: float
    tie: bool
    """Whether it cannot tell any two arms apart."""


@dataclass(frozen=True)
class Line:
    """A predictor over all training benchmarks."""

    name: str
    title: str
    better: str
    correlation: Number
    favours: str
    """Whether the correlation is as those who proposed it say: "as said", "the opposite", or "" where its interval
    leaves that open."""
    picks: tuple[Pick, ...]
    accuracy: float
    right: float
    """The share of picks that are the best arm, 0 to 1."""
    regret: Number
    against_length: Number
    lacks: str


@dataclass(frozen=True)
class Panel:
    """The arms of one student that are trained alike."""

    method: str
    training: str
    """What the tables call this way of training."""
    arms: tuple[str, ...]
    train_benchmarks: tuple[str, ...]
    lines: tuple[Line, ...]
    """The least regret first, what has none last."""
    chance: float
    best: float
    ranked: bool
    """Whether any predictor has a correlation: there are arms enough."""
    sentence: str


def panels(record: pd.DataFrame, values: pd.DataFrame) -> list[Panel]:
    """One for each way of training.

    Args:
        record: rows of the table `predictor_record` of one student.
        values: rows of the table `predictors` of the same student.
    """
    found = []
    for (method, training), part in record.groupby(["method", "training"], sort=True):
        of = values[values["training"] == training]
        arms = tuple(sorted({str(arm) for arm in of["arm"] if not is_control(str(arm))}))
        benchmarks = tuple(sorted(set(part["train_benchmark"]) - {ALL}))
        lines = [_line(str(name), rows, benchmarks) for name, rows in part.groupby("predictor", sort=True)]
        lines.sort(key=lambda line: (math.isnan(line.regret.value), line.regret.value, line.title))
        whole = _whole(part[part["predictor"] == lines[0].name], benchmarks)
        ranked = any(not math.isnan(line.correlation.value) for line in lines)
        chance, best = float(whole["chance"]), float(whole["best"])
        sentence = _sentence(lines, best - chance, len(arms), len(benchmarks))
        found.append(Panel(str(method), str(training), arms, benchmarks, tuple(lines), chance, best, ranked, sentence))
    return found


def _whole(rows: pd.DataFrame, benchmarks: Sequence[str]) -> Any:
    """The row over all benchmarks; of one benchmark alone, that."""
    place = ALL if len(benchmarks) > 1 else benchmarks[0]
    return rows[rows["train_benchmark"] == place].iloc[0]


def _line(name: str, rows: pd.DataFrame, benchmarks: Sequence[str]) -> Line:
    whole = _whole(rows, benchmarks)
    correlation = Number(*(float(whole[f"correlation{end}"]) for end in ("", "_low", "_high")))
    higher = bool(whole["higher_is_better"])
    each = [rows[rows["train_benchmark"] == on].iloc[0] for on in benchmarks]
    picks = tuple(
        Pick(
            on,
            tuple(str(row["pick"]).split(", ")) if row["pick"] else (),
            float(row["accuracy"]),
            float(row["best"]),
            bool(row["pick"]) and len(str(row["pick"]).split(", ")) == int(row["arms"]),
        )
        for on, row in zip(benchmarks, each, strict=True)
    )
    return Line(
        name=name,
        title=str(whole["title"]),
        better="higher" if higher else "lower",
        correlation=correlation,
        favours=_favours(correlation, higher),
        picks=picks,
        accuracy=float(whole["accuracy"]),
        right=float(whole["right"]),
        regret=Number(*(float(whole[f"regret{end}"]) for end in ("", "_low", "_high"))),
        against_length=Number(*(float(whole[f"against_length{end}"]) for end in ("", "_low", "_high"))),
        lacks=str(whole["lacks"]),
    )


def _favours(correlation: Number, higher: bool) -> str:
    if correlation.low > 0:
        return "as said" if higher else "the opposite"
    if correlation.high < 0:
        return "the opposite" if higher else "as said"
    return ""


def _sentence(lines: Sequence[Line], chance: float, arms: int, benchmarks: int) -> str:
    """What the record says, and no more."""
    known = [line for line in lines if not math.isnan(line.regret.value)]
    if not known:
        return ""
    first = [line for line in known if line.regret.value <= known[0].regret.value + TIE]
    length = next((line for line in known if line.name == BASELINE), None)
    over = f"Over {arms} arms" + (f" on {benchmarks} training benchmarks" if benchmarks > 1 else "")
    said = f"{over}, the arms that {_named([line.title for line in first])} would have picked"
    said += f" are {signed(100 * first[0].regret.value, sign=False)} points below the best"
    if length is not None and length not in first:
        said += f", those of length {signed(100 * length.regret.value, sign=False)} points"
    said += f"; an arm at random is {signed(100 * chance, sign=False)} points below it."
    better = [line.title for line in known if line.against_length.high < -TIE]
    if length is not None:
        beat = f"{_named(better)} picked" if better else "none is shown to have picked"
        said += f" Beyond the noise of questions and seeds, {beat} better than length"
        said += " (not adjusted for how many were tried)."
    return said


def _named(titles: Sequence[str]) -> str:
    """Predictors by their names, or how many they are."""
    return listed(titles) if len(titles) <= MOST_NAMED else f"{len(titles)} predictors"


def by_arm(values: pd.DataFrame) -> list[dict[str, Any]]:
    """Each training benchmark and arm with its values by predictor, the best arm first.

    Args:
        values: rows of the table `predictors` of one student and way of training.
    """
    found = []
    for (on, arm), rows in values[~values["arm"].map(is_control).astype(bool)].groupby(["train_benchmark", "arm"]):
        each = dict(zip(rows["predictor"], rows["value"], strict=True))
        found.append({"train_benchmark": on, "arm": arm, "values": each, "accuracy": float(rows["accuracy"].iloc[0])})
    return sorted(found, key=lambda row: (row["train_benchmark"], -row["accuracy"]))


def shown(number: float | None) -> str:
    """A predictor's value with the digits that matter."""
    number = math.nan if number is None else number
    return signed(number, 3, sign=False) if math.isnan(number) or abs(number) < 10 else ratio(number)
