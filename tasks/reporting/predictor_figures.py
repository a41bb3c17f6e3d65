"""Predictors drawn: a scatter of each with the accuracy that was measured, and the regret of its picks as a bar."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.comparison.arms import is_control
from tasks.comparison.predictions import BASELINE
from tasks.reporting.figures import FAINT, INK, MOST_BENCHMARKS, WIDTH, marks, styled, svg
from tasks.reporting.predictors import Panel

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = 3
SKEWED = 20.0
"""Values whose greatest is more than this many times their least are drawn on a log axis."""
MOST_TICKS = 4
BAR = "#0072B2"
FILLS: tuple[Any, ...] = ("full", "none", "left", "right", "top", "bottom")
"""How the markers of training benchmarks are filled."""


@styled
def scatters(values: pd.DataFrame, panel: Panel, arms: Sequence[str], measure: str, name: str) -> str:
    """Score in domain against each predictor's value: a point an arm, filled by training benchmark.

    Args:
        values: rows of the table `predictors` of the panel's student and way of training.
        arms: all arms of the report, which have the same colours in every figure.
        measure: the word for what was measured.
        name: what the figure's ids begin with.
    """
    from matplotlib.figure import Figure

    known = values[values["value"].notna() & values["accuracy"].notna() & ~values["arm"].map(is_control).astype(bool)]
    lines = [line for line in panel.lines if line.name in set(known["predictor"])]
    if not lines:
        return ""
    look = marks(arms)
    shown = [arm for arm in panel.arms if arm in set(known["arm"])]
    benchmarks = panel.train_benchmarks[:MOST_BENCHMARKS]
    rows = -(-len(lines) // COLUMNS)
    legend = max(1, min(5, 72 // (6 + max(map(len, [*shown, *benchmarks])))))
    height = 0.4 + 1.45 * rows + 0.17 * -(-len([*shown, *benchmarks]) // legend)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    drawn = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for axes in drawn.flat[len(lines) :]:
        axes.set_visible(False)
    for axes, line in zip(drawn.flat, lines, strict=False):
        here = known[known["predictor"] == line.name]
        for benchmark, fill in zip(benchmarks, itertools.cycle(FILLS)):
            points = here[here["train_benchmark"] == benchmark]
            for arm, x, y in zip(points["arm"], points["value"], points["accuracy"], strict=True):
                colour, marker = look[arm]
                axes.plot(
                    [x], [100 * y], color=colour, marker=marker, ms=4.5, fillstyle=fill, markerfacecoloralt="none"
                )
        _axis(axes, here["value"].min(), here["value"].max())
        axes.set_title(f"{line.title} {'↑' if line.better == 'higher' else '↓'}", fontsize=8)
    corner = drawn.flat[0]
    handles = [corner.plot([], [], color=look[arm][0], marker=look[arm][1], ls="", label=arm)[0] for arm in shown]
    if len(benchmarks) > 1:
        handles += [
            corner.plot([], [], color=INK, marker="o", ls="", fillstyle=fill, markerfacecoloralt="none", label=on)[0]
            for on, fill in zip(benchmarks, itertools.cycle(FILLS))
        ]
    figure.legend(handles=handles, loc="outside upper left", ncols=legend, frameon=False, fontsize=8, columnspacing=1.2)
    figure.supylabel(f"{measure} in domain, %", fontsize=8.5)
    return svg(figure, name, f"{measure.capitalize()} in domain against each predictor; numbers in the table")


def _axis(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    axes.grid(axis="y")
    if low > 0 and high / low > SKEWED:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        powers = [10.0**exponent for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)))]
        ticks = [tick for power in powers for tick in (power, 3 * power) if low <= tick <= high]
        ticks = [tick for tick in ticks if tick in powers] if len(ticks) > MOST_TICKS else ticks
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7.5)
    axes.margins(x=0.1, y=0.12)


@styled
def regrets(panel: Panel, name: str) -> str:
    """The regret of each predictor's picks, the least first, with its interval; an arm at random beside it.

    Args:
        name: what the figure's ids begin with.
    """
    from matplotlib.figure import Figure

    known = [line for line in panel.lines if not math.isnan(line.regret.value)]
    if not known:
        return ""
    chance = panel.best - panel.chance
    bars = [(line.title, line.regret.value, line.regret.low, line.regret.high, line.name) for line in known]
    bars.append(("an arm at random", chance, math.nan, math.nan, ""))
    bars.sort(key=lambda bar: (bar[1], bar[4] == ""))
    figure = Figure(figsize=(WIDTH, 0.75 + 0.24 * len(bars)), layout="constrained")
    axes = figure.subplots()
    for place, (_, regret, low, high, of) in enumerate(reversed(bars)):
        colour = FAINT if not of else "#D55E00" if of == BASELINE else BAR
        axes.barh(place, 100 * regret, color=colour, alpha=0.75 if of else 1.0, height=0.62)
        if not math.isnan(low):
            axes.plot([100 * low, 100 * high], [place, place], color=INK, lw=1.1)
        end = 100 * (regret if math.isnan(high) else high)
        axes.annotate(f"{100 * regret:.1f}", (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(bars)), [title for title, *_ in reversed(bars)])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.margins(x=0.1, y=0.02)
    axes.set_xlim(left=0)
    axes.set_xlabel("regret: points below the best arm, mean over training benchmarks")
    return svg(figure, name, "Regret of each predictor's picks; numbers in the table")
