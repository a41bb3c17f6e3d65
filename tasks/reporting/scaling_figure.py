"""Scaling curves, drawn: the score over the number of training questions, a line an arm, a panel a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.comparison.cell import UNTRAINED
from tasks.comparison.scaling import POOLED
from tasks.reporting.figures import INK, MOST_BENCHMARKS, WIDTH, marks, styled, svg

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = 2
APART = 0.02
"""What arms' points at one size are moved apart by, as a share of the axis, so that their intervals can be told."""


@styled
def scaling(frame: pd.DataFrame, order: Sequence[str], arms: Sequence[str], measure: str) -> str:
    """Score in domain against the number of training questions, with 95 % intervals; "" where there is one size.

    Args:
        frame: rows of the table `scaling` of one student.
        order: the arms in the order of the legend.
        arms: all arms of the report, which have the same colours in every figure.
        measure: the word for what was measured.
    """
    from matplotlib.figure import Figure

    known = frame[frame["score"].notna()]
    sizes = sorted({int(size) for size in known["size"]} - {0})
    if len(sizes) < 2:
        return ""
    places = sorted(known["train_benchmark"].unique(), key=lambda place: (place != POOLED, place))[:MOST_BENCHMARKS]
    look = marks(arms)
    shown = [arm for arm in order if arm in set(known["arm"])]
    columns = min(COLUMNS, len(places))
    rows = -(-len(places) // columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 2.1 * rows + 0.17 * -(-len(shown) // 4)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(places) :]:
        axes.set_visible(False)
    for number, (axes, place) in enumerate(zip(panels.flat, places, strict=False)):
        here = known[known["train_benchmark"] == place]
        for at, arm in enumerate(shown):
            _line(axes, here[here["arm"] == arm], (at - (len(shown) - 1) / 2) * APART, sizes, *look[arm])
        for value in here.loc[here["arm"] == UNTRAINED, "score"]:
            axes.axhline(100 * value, color=INK, lw=0.9, ls="--", alpha=0.7)
        axes.set_title("all training benchmarks" if place == POOLED else place, fontsize=8.5)
        axes.set_xscale("log")
        axes.grid(axis="y")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_xticks([], minor=True)
        axes.tick_params(labelbottom=number + columns >= len(places))
        axes.margins(x=0.08)
    handles = [
        panels.flat[0].plot([], [], color=look[arm][0], marker=look[arm][1], lw=1.4, label=arm)[0] for arm in shown
    ]
    handles.append(panels.flat[0].plot([], [], color=INK, lw=0.9, ls="--", alpha=0.7, label="no training")[0])
    figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=8, columnspacing=1.2)
    figure.supxlabel("training questions (log axis)", fontsize=8.5)
    figure.supylabel(f"{measure} in domain, %", fontsize=8.5)
    title = f"{measure.capitalize()} in domain by number of training questions, one line an arm; numbers in the table"
    return svg(figure, "scaling", title)


def _line(axes: Axes, points: pd.DataFrame, shift: float, sizes: Sequence[int], colour: str, marker: str) -> None:
    points = points.sort_values("size")
    x = points["size"].to_numpy(dtype=float) * (sizes[-1] / sizes[0]) ** shift
    axes.plot(x, 100 * points["score"], color=colour, marker=marker, ms=4.5, lw=1.4, zorder=3)
    axes.vlines(x, 100 * points["ci_low"], 100 * points["ci_high"], color=colour, lw=1.4, alpha=0.55, zorder=2)
