"""Data efficiency in words: the lines of its table, and a sentence for each arm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.comparison.data_efficiency import AT_LEAST, AT_MOST, MEASURED
from tasks.comparison.phrasing import listed, signed
from tasks.comparison.scaling import POOLED
from tasks.reporting.formatting import count

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """A number and the ends of its 95 % interval in words; no interval where there is none."""

    value: str
    interval: str


@dataclass(frozen=True)
class Line:
    """An arm at one size. `sentence` says at the largest what it is worth at each of them, and is empty elsewhere."""

    where: str
    arm: str
    reference: str
    size: int
    error: float
    interpolated: Said
    by_power_law: Said
    exponent: Said
    sentence: str


def lines(rows: Iterable[Row]) -> list[Line]:
    """The table `efficiency` of one student in words, what is pooled over training benchmarks first.

    Where some rows are pooled, sentences are of these alone.
    """
    ordered = sorted(rows, key=lambda row: (row["train_benchmark"] != POOLED, row["train_benchmark"]))
    curves: dict[tuple[str, str], list[Row]] = {}
    for row in ordered:
        curves.setdefault((row["train_benchmark"], row["arm"]), []).append(row)
    pooled = any(row["train_benchmark"] == POOLED for row in ordered)
    return [
        Line(
            *("all, pooled" if where == POOLED else where, arm, row["reference"], int(row["size"]), row["error"]),
            *(_interpolated(row), _by_power_law(row), _exponent(row)),
            sentence=_sentence(curve) if row is curve[-1] and (where == POOLED or not pooled) else "",
        )
        for (where, arm), curve in curves.items()
        for row in curve
    ]


def _sentence(curve: Sequence[Row]) -> str:
    """What an arm's questions are worth at each size.

    Args:
        curve: rows of one arm and training benchmark, the smallest size first.
    """
    arm, reference, where = curve[0]["arm"], curve[0]["reference"], curve[0]["train_benchmark"]
    on = "" if where == POOLED else f" on {where}"
    known = [row for row in curve if not math.isnan(row["multiple"])]
    if not known:
        return f"What questions of arm {arm}{on} are worth is undefined: scores of it, or of {reference}, are missing."
    worth = [f"{_with_interval(_interpolated(row))} at {count(row['size'])}" for row in known]
    return f"A training question of arm {arm}{on} is worth as much as this many of arm {reference}: {listed(worth)}."


def _with_interval(said: Said) -> str:
    interval = f"95 % interval {said.interval}" if said.interval else "no interval: too few questions"
    return f"{said.value} ({interval})"


def _interpolated(row: Row) -> Said:
    ends = [(row[f"ci_{end}"], row[f"ci_{end}_is"]) for end in ("low", "high")]
    return _said((row["multiple"], row["multiple_is"]), ends, _multiple)


def _by_power_law(row: Row) -> Said:
    ends = [(row[f"power_ci_{end}"], MEASURED) for end in ("low", "high")]
    return _said((row["power_multiple"], MEASURED), ends, _multiple)


def _exponent(row: Row) -> Said:
    """Of the number of questions: minus alpha."""
    ends = [(-row[f"alpha_ci_{end}"], MEASURED) for end in ("high", "low")]
    return _said((-row["alpha"], MEASURED), ends, lambda number: signed(number, 2, sign=False))


def _said(value: tuple[float, str], ends: Sequence[tuple[float, str]], say: Callable[[float], str]) -> Said:
    """A number and its interval; an interval beyond what was measured is a bound alone."""
    first, *rest = [
        f"{known} {say(number)}" if known in (AT_LEAST, AT_MOST) else say(number) for number, known in (value, *ends)
    ]
    if any(math.isnan(end) for end, _ in ends):
        return Said(first, "")
    beyond = rest[0] == rest[1] and ends[0][1] != MEASURED
    return Said(first, rest[0] if beyond else " to ".join(rest))


def _multiple(number: float) -> str:
    if math.isinf(number):
        return "∞"
    if math.isnan(number):
        return "–"
    if number < 100:
        return f"{number:.{2 if number < 0.95 else 1}f}"
    return count(number) if number < 1e5 else f"{number:.0e}"
