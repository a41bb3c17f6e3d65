"""Where the student is surprised, as the report shows it: coloured responses, and a small curve for each arm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from tasks.reporting.figures import INK, WIDTH, marks, styled, svg

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.5, 0.2, 0.05, 0.01)
"""Chances of a token below which it is coloured, each darker than the one before."""
COLUMNS = 4
END = "\N{BLACK SQUARE}"
"""Stands for the end of the turn, which the student predicts too."""


def level(nats: float) -> int:
    """0 for a token the student gave at least an even chance, up to 4 for one it gave less than 1 %."""
    return sum(math.exp(-nats) < chance for chance in LEVELS)


def coloured(tokens: Iterable[tuple[str, float, int]]) -> Markup:
    """A response whose less likely tokens are marked with their level, and their chance and nats on hovering."""
    parts: list[str] = []
    for text, nats, count in tokens:
        mean = nats / max(1, count)
        grade = level(mean)
        if not text and not grade:
            continue
        shown = text or END
        shown = shown.replace("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}\n") if grade else shown
        if not grade:
            parts.append(str(escape(shown)))
            continue
        said = f"{100 * math.exp(-mean):.2g} %, {nats:.1f} nats" + ("" if text else ": end of the response")
        parts.append(f'<i class="s{grade}" title="{escape(said)}">{escape(shown)}</i>')
    return Markup("".join(parts))


def legend() -> list[tuple[int, str]]:
    """Levels and the chances they stand for."""
    edges = (1.0, *LEVELS, 0.0)
    ends = [f"{100 * edge:g}" for edge in edges]
    said = [f"over {ends[1]} %", *(f"{ends[i + 1]} to {ends[i]} %" for i in range(1, len(LEVELS)))]
    return list(enumerate([*said, f"under {ends[len(LEVELS)]} %"]))


@styled
def curves(frame: pd.DataFrame, order: Sequence[str]) -> str:
    """Nats a token against the place in a response: a panel an arm, the others faint behind it.

    Args:
        frame: rows of surprise.csv of one student.
        order: the arms, first panel first.
    """
    import numpy as np
    from matplotlib.figure import Figure

    found = {}
    for arm in order:
        mine = frame[frame["arm"] == arm]
        if len(mine):
            each = mine.pivot_table(index="place", columns="train_benchmark", values=["nll", "low"], dropna=False)
            nll: np.ndarray = each["nll"].to_numpy(dtype=float)
            low: np.ndarray = each["low"].to_numpy(dtype=float)
            reach = np.sqrt(((nll - low) ** 2).sum(axis=1)) / len(each["nll"].columns)
            found[arm] = (100 * each.index.to_numpy(dtype=float), nll.mean(axis=1), reach)
    if not found:
        return ""
    look = marks(found)
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + 1.05 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    most = max(float((mean + np.nan_to_num(reach)).max()) for _, mean, reach in found.values())
    for axes in panels.flat[len(found) :]:
        axes.set_visible(False)
    for place, (axes, (arm, (x, mean, reach))) in enumerate(zip(panels.flat, found.items(), strict=False)):
        for other, (ox, omean, _) in found.items():
            if other != arm:
                axes.plot(ox, omean, color=INK, alpha=0.18, lw=0.7)
        if not np.isnan(reach).any():
            axes.fill_between(x, np.maximum(0, mean - reach), mean + reach, color=look[arm][0], alpha=0.3, lw=0)
        axes.plot(x, mean, color=look[arm][0], lw=1.6)
        axes.set_title(arm, fontsize=8)
        axes.grid(axis="y")
        axes.set_ylim(0, 1.05 * most)
        axes.set_xlim(0, 100)
        below = place + columns >= len(found)
        axes.set_xticks([0, 50, 100], ["start", "", "end"] if below else ["", "", ""])
        axes.tick_params(labelbottom=below)
    figure.supylabel("nats a token", fontsize=8.5)
    return svg(figure, "surprise", "Nats a token along the responses of each arm")
