"""What forgetting goes with: how far each adapter moved the student from itself, and what it lost elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.comparison.arms import CONTROL
from tasks.comparison.phrasing import signed
from tasks.reporting.figures import INK, MOST_BENCHMARKS, WIDTH, marks, styled, svg

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 2
SKEWED = 8.0
"""Where the greatest divergence is this many times the median, the axis is logarithmic above `LINEAR` nats."""
LINEAR = 0.02
TICKS = (0.0, 0.02, 0.1, 0.5, 2.0, 10.0)


@styled
def razor(adapters: pd.DataFrame, arms: Sequence[str]) -> str:
    """Change on the other benchmarks against KL from the untrained student: a point an adapter, a panel a benchmark.

    Args:
        adapters: rows of the table `divergence` of one student and size.
        arms: all arms of the report, which have the same colours in every figure.
    """
    from matplotlib.figure import Figure

    known = adapters[adapters["kl"].notna() & adapters["elsewhere"].notna()]
    benchmarks = sorted(known["train_benchmark"].unique())[:MOST_BENCHMARKS]
    if not benchmarks:
        return ""
    look = marks(arms)
    shown = sorted({str(arm).partition(CONTROL)[0] for arm in known["arm"]})
    columns = min(COLUMNS, len(benchmarks))
    rows = -(-len(benchmarks) // columns)
    legend = max(1, min(5, 72 // (6 + max(map(len, shown)))))
    figure = Figure(figsize=(WIDTH, 0.5 + 2.0 * rows + 0.17 * -(-len(shown) // legend)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in panels.flat[len(benchmarks) :]:
        axes.set_visible(False)
    for axes, benchmark in zip(panels.flat, benchmarks, strict=False):
        here = known[known["train_benchmark"] == benchmark]
        for arm, kl, change in zip(here["arm"], here["kl"], here["elsewhere"], strict=True):
            axes.plot([kl], [100 * change], color=look[arm][0], marker=look[arm][1], ms=4.5)
        axes.axhline(0, color=INK, lw=0.8)
        axes.grid(axis="y")
        axes.margins(x=0.1, y=0.12)
        if here["kl"].max() > SKEWED * max(here["kl"].median(), 0.0):
            axes.set_xscale("symlog", linthresh=LINEAR)
            ticks = [tick for tick in TICKS if tick <= 2 * here["kl"].max()]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.set_xticks([], minor=True)
        axes.set_title(f"trained on {benchmark}", fontsize=8.5)
    handles = [panels.flat[0].plot([], [], color=look[a][0], marker=look[a][1], ls="", label=a)[0] for a in shown]
    figure.legend(handles=handles, loc="outside upper left", ncols=legend, frameon=False, fontsize=8, columnspacing=1.2)
    figure.supxlabel("KL from the untrained student on training questions, nats a token", fontsize=8.5)
    figure.supylabel("change elsewhere, points", fontsize=8.5)
    return svg(figure, "razor", "Change on other benchmarks against KL from the untrained student")


def lines(adapters: pd.DataFrame) -> list[dict[str, Any]]:
    """KL and change elsewhere of each training benchmark and arm, the mean over its seeds, the least KL first."""
    found = []
    for (on, arm), here in adapters.groupby(["train_benchmark", "arm"], sort=True):
        numbers = {name: float(here[name].mean()) for name in ("kl", "elsewhere")}
        spread = (float(here["kl"].min()), float(here["kl"].max()))
        found.append(
            {"train_benchmark": on, "arm": arm, "seeds": len(here), "low": spread[0], "high": spread[1], **numbers}
        )
    return sorted(found, key=lambda line: (line["train_benchmark"], line["kl"]))


def sentences(forgetting: pd.DataFrame) -> list[str]:
    """What the correlations say of each training benchmark, and no more."""
    found = []
    for row in forgetting.to_dict("records"):
        over = f"Trained on {row['train_benchmark']}, over {row['arms']} arms"
        if math.isnan(row["correlation"]):
            found.append(f"{over}, whether forgetting goes with KL is undefined: too few arms, or all rank the same.")
            continue
        ends = ""
        if not math.isnan(row["correlation_low"]):
            ends = f", 95 % interval {signed(row['correlation_low'], 2)} to {signed(row['correlation_high'], 2)}"
        said = "is not shown to go with the change on other benchmarks, nor not to"
        if row["correlation_high"] < 0:
            said = "goes with a loss on other benchmarks"
        if row["correlation_low"] > 0:
            said = "goes with a gain on other benchmarks"
        found.append(f"{over}, a greater KL {said} (rank correlation {signed(row['correlation'], 2)}{ends}).")
    return found
