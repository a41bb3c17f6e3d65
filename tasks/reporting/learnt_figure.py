"""What was learnt, drawn: a panel a training benchmark, in it each evaluation before and after training, by arm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.reporting.figures import INK, MOST_BENCHMARKS, WIDTH, marks, styled, svg
from tasks.reporting.learnt import Evaluation, Line, Panel, others_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADING = 1.9
"""What the name of an evaluation takes, in lines."""
MOST_LINES = 100
"""A panel of more lines than these, headings among them, has the evaluations that changed most."""
TALL = 0.165
"""Inches a line."""
Limits = tuple[float, float]


def learnt(panels: Sequence[Panel], arms: Sequence[str], measure: str) -> list[str]:
    """One figure for each training benchmark: score and, where it is told, the approach, before and after training.

    Args:
        arms: all arms of the report, which have the same colours in every figure.
        measure: the word for what was measured.
    """
    shown = [Panel(one.train_benchmark, drawn_of(one), one.trained_on) for one in panels[:MOST_BENCHMARKS]]
    lines = [line for panel in shown for evaluation in panel.evaluations for line in evaluation.lines]
    scores = _limits([number for line in lines for number in (line.before, line.after, line.low, line.high)])
    others = others_of(shown)
    told = _limits([line.share(word, after) for line in lines for word in others for after in (False, True)])
    return [_drawn(panel, number, arms, measure, others, (scores, told)) for number, panel in enumerate(shown)]


def drawn_of(panel: Panel) -> list[Evaluation]:
    """The evaluations that have room: the one trained on, and those that changed most, in the panel's order."""
    most = max(2, int(MOST_LINES // (HEADING + max(len(evaluation.lines) for evaluation in panel.evaluations))))
    ranked = sorted(panel.evaluations, key=lambda evaluation: (not evaluation.in_domain, -evaluation.moved))
    kept = {evaluation.on for evaluation in ranked[:most]}
    return [evaluation for evaluation in panel.evaluations if evaluation.on in kept]


@styled
def _drawn(
    panel: Panel, number: int, arms: Sequence[str], measure: str, others: Sequence[str], limits: tuple[Limits, Limits]
) -> str:
    from matplotlib.figure import Figure

    look = marks(arms)
    places, place = [], 0.0
    for evaluation in panel.evaluations:
        places.append(place)
        place += HEADING + len(evaluation.lines)
    figure = Figure(figsize=(WIDTH, 0.75 + TALL * place), layout="constrained")
    axes = list(figure.subplots(1, 2 if others else 1, squeeze=False, sharey=True)[0])
    titles = [f"{measure}, %", f"{' or '.join(others)} answers, %"]
    for one, title, (low, high) in zip(axes, titles, limits, strict=False):
        one.set_title(title, fontsize=8.5, pad=5)
        one.set_xlim(100 * low, 100 * high)
        one.spines["left"].set_visible(False)
        one.tick_params(labeltop=True)
        one.set_axisbelow(True)
        one.grid(axis="x")
    labels: list[tuple[float, str]] = []
    for evaluation, top in zip(panel.evaluations, places, strict=True):
        if evaluation.in_domain:
            for one in axes:
                one.axhspan(top - 0.2, top + 1.5 + len(evaluation.lines), color=INK, alpha=0.07, lw=0)
        axes[0].text(
            0, top + 0.4, evaluation.on, transform=axes[0].get_yaxis_transform(), fontweight="bold", va="center"
        )
        for row, line in enumerate(evaluation.lines):
            at = top + 1.4 + row
            labels.append((at, line.arm))
            _dumbbell(axes[0], at, line.before, line.after, look[line.arm], (line.low, line.high))
            if others:
                before, after = _told(line)
                _dumbbell(axes[1], at, before, after, look[line.arm])
    axes[0].set_ylim(place - 0.4, -0.3)
    axes[0].set_yticks([at for at, _ in labels], [arm for _, arm in labels])
    title = (
        f"Trained on {panel.train_benchmark}: {' and '.join(titles[: len(axes)])}, before and after; as a table below"
    )
    return svg(figure, f"learnt{number}x", title)


def _told(line: Line) -> tuple[float, float]:
    return line.share(line.other, after=False), line.share(line.other, after=True)


def _dumbbell(
    axes: Axes, at: float, before: float, after: float, look: tuple[str, str], interval: Limits = (math.nan, math.nan)
) -> None:
    """From an open circle before training to the arm's marker after it; what is unknown is not drawn."""
    colour, marker = look
    if not math.isnan(interval[0]):
        axes.plot([100 * end for end in interval], [at, at], color=colour, lw=4.5, alpha=0.3, solid_capstyle="butt")
    if not math.isnan(before) and not math.isnan(after):
        axes.plot([100 * before, 100 * after], [at, at], color=colour, lw=1.3)
    if not math.isnan(before):
        axes.plot([100 * before], [at], marker="o", ms=4.2, mec=INK, mfc="none", mew=0.9)
    if not math.isnan(after):
        axes.plot([100 * after], [at], marker=marker, ms=5.5, color=colour)
    elif math.isnan(before):
        axes.text(0.5, at, "missing", transform=axes.get_yaxis_transform(), va="center", ha="center", fontsize=8)


def _limits(numbers: Sequence[float]) -> Limits:
    """A part of 0 to 1 that holds all that is known, the same in every panel, with room for the markers."""
    known = [number for number in numbers if not math.isnan(number)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if high - low < 0.2:
        low, high = max(0.0, low - 0.1), min(1.0, high + 0.1)
    room = 0.06 * (high - low)
    return low - room, high + room
