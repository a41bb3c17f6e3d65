"""The report's figures: matplotlib drawings as SVG text that takes its ink from the page, light or dark."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tasks.comparison.arms import CONTROL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Found = Mapping[str, Any]
"""A verdict, standing or estimate as verdict.json has it."""

INK, FAINT = "#010203", "#040506"
"""Stand-ins for the page's text and line colours, put in by `svg`."""
NAMED = {"self": ("#009E73", "o"), "teacher": ("#0072B2", "s"), "human": ("#D55E00", "^")}
OTHERS = (
    *(("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"), ("#999999", "X"), ("#7A5195", "*"), ("#8B6B1F", "<")),
    *(("#B04A5A", ">"), ("#4B7F52", "p"), ("#3F5FA8", "h"), ("#C2A500", "d"), ("#2F8F9D", "8"), ("#D98880", "H")),
)
"""Okabe and Ito's colours first, told apart by colour-blind readers too; each with a marker of its own."""
WIDTH = 5.2
MOST_BENCHMARKS = 12
"""More training benchmarks than these would make a figure too long to read."""
TICKS = [m * 10.0**e for e in range(12) for m in (1, 1.2, 1.5, 2, 3, 4, 5, 7)]
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mothertongue",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def marks(arms: Iterable[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each arm, the same on every figure of a report; a control has those of its arm."""
    arms = sorted(set(arms))
    names = sorted({arm.partition(CONTROL)[0] for arm in arms})
    spare = iter(OTHERS * (1 + len(names) // len(OTHERS)))
    look = {name: NAMED[name] if name in NAMED else next(spare) for name in names}
    return {arm: look[arm.partition(CONTROL)[0]] for arm in arms}


def styled(draw: Callable[..., str]) -> Callable[..., str]:
    """Draw with the report's style."""

    @functools.wraps(draw)
    def drawn(*args: Any) -> str:
        from matplotlib import rc_context

        with rc_context(STYLE):
            return draw(*args)

    return drawn


@styled
def changes(verdict: Found) -> str:
    """Each arm's change from no training, in domain and elsewhere, with intervals."""
    standings = list(reversed(verdict["standings"]))
    look = marks(standing["arm"] for standing in standings)
    panels = [("gain", "In domain"), ("elsewhere", "On the other benchmarks")]
    if all(standing["elsewhere"]["value"] is None for standing in standings):
        del panels[1]
    figure, all_axes = _figure(0.9 + 0.36 * len(standings), columns=len(panels))
    for axes, (key, title) in zip(all_axes, panels, strict=True):
        for row, standing in enumerate(standings):
            _interval(axes, standing[key], row, *look[standing["arm"]], says=True)
        _zero(axes)
        axes.set_title(title, pad=8)
        axes.set_ylim(-0.6, len(standings) - 0.4)
        axes.set_yticks(range(len(standings)), [s["arm"] if axes is all_axes[0] else "" for s in standings])
        axes.margins(x=0.12)
    figure.supxlabel(f"change in {verdict['measure']} against no training, points", fontsize=8.5)
    return svg(figure, "changes", f"Change in {verdict['measure']} of each arm in domain and elsewhere")


@styled
def perplexities(responses: pd.DataFrame) -> str:
    """Distribution of the student's perplexity of each arm's responses, a row an arm, on a log axis."""
    import numpy as np

    look = marks(responses["arm"])
    known = responses[np.isfinite(responses["perplexity"].astype(float)) & (responses["perplexity"] > 0)]
    rows: list[tuple[str, str, Any]] = []
    for benchmark in sorted(known["train_benchmark"].unique())[:MOST_BENCHMARKS]:
        group = known[known["train_benchmark"] == benchmark]
        order = group.groupby("arm")["perplexity"].median().sort_values().index
        rows += [(benchmark, arm, np.log(group.loc[group["arm"] == arm, "perplexity"])) for arm in order]
    if not rows:
        return ""
    breaks = sum(1 for before, after in pairwise(rows) if before[0] != after[0])
    figure, (axes,) = _figure(0.7 + 0.36 * len(rows) + 0.3 * (breaks + 1))
    low, high = min(r[2].quantile(0.002) for r in rows), max(r[2].quantile(0.998) for r in rows)
    room = max(0.05, 0.04 * (high - low))
    grid = np.linspace(max(low - room, 0.0), high + room, 300)  # no perplexity is below 1
    place, before, labels = 0.0, "", []
    for benchmark, arm, values in rows:
        if benchmark != before:
            place -= 0.8
            axes.text(0, place + 0.25, benchmark, transform=axes.get_yaxis_transform(), fontweight="bold", va="center")
            before = benchmark
        place -= 1.0
        colour = look[arm][0]
        width = max(1.06 * float(values.std(ddof=0)) * len(values) ** -0.2, (high - low + 2 * room) / 150)
        mirrored = np.concatenate([values, -values])  # at the bound, so that the curve ends there and not before
        density = np.exp(-0.5 * ((grid[:, None] - mirrored[None, :]) / width) ** 2).sum(axis=1)
        axes.fill_between(np.exp(grid), place, place + 0.8 * density / density.max(), color=colour, alpha=0.45, lw=0)
        middle = float(np.exp(values.median()))
        axes.plot([middle, middle], [place, place + 0.8], color=colour, lw=1.6)
        labels.append((place + 0.22, arm, middle))
    axes.set_xscale("log")
    axes.set_xlim(math.exp(grid[0]), math.exp(grid[-1]))
    _log_ticks(axes)
    axes.set_ylim(place - 0.25, 0)
    axes.set_yticks([y for y, _, _ in labels], [arm for _, arm, _ in labels])
    for y, _, middle in labels:
        axes.text(1.01, y, f"{middle:.2f}", transform=axes.get_yaxis_transform(), va="center", ha="left")
    axes.text(1.01, 0, "median", transform=axes.get_yaxis_transform(), va="bottom", ha="left")
    axes.set_xlabel("perplexity of a response before fine-tuning (log axis)")
    return svg(figure, "perplexity", "Distribution of perplexity by training benchmark and arm")


@styled
def accuracy_by_perplexity(verdict: Found) -> str:
    """In-domain change against mean perplexity: a point for each training benchmark and arm, a line a benchmark."""
    arms = [
        arm
        for arm in verdict["arms"]
        if arm["log_perplexity"]["value"] is not None and arm["gain"]["value"] is not None
    ]
    if not arms:
        return ""
    look = marks(arm["arm"] for arm in verdict["arms"])
    benchmarks = sorted({arm["train_benchmarks"][0] for arm in arms})[:MOST_BENCHMARKS]
    columns = max(1, min(6, 72 // (6 + max(map(len, [*look, *benchmarks])))))
    figure, (axes,) = _figure(2.8 + 0.17 * -(-len([*look, *benchmarks]) // columns))
    dashes = ("-", "--", ":", "-.")
    for number, benchmark in enumerate(benchmarks):
        here = [arm for arm in arms if arm["train_benchmarks"][0] == benchmark]
        here.sort(key=lambda arm: arm["log_perplexity"]["value"])
        at = [(math.exp(arm["log_perplexity"]["value"]), 100 * arm["gain"]["value"]) for arm in here]
        axes.plot(
            *zip(*at, strict=True), color=INK, alpha=0.45, lw=0.9, ls=dashes[number % 4], zorder=1, label=benchmark
        )
        for arm, (x, y) in zip(here, at, strict=True):
            colour, marker = look[arm["arm"]]
            if arm["gain"]["low"] is not None:
                axes.plot([x, x], [100 * arm["gain"]["low"], 100 * arm["gain"]["high"]], color=colour, lw=1.4, zorder=2)
            axes.plot([x], [y], marker=marker, color=colour, ms=6, zorder=3)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    _log_ticks(axes)
    axes.axhline(0, color=INK, lw=0.8)
    axes.grid(axis="y")
    axes.set_xlabel("perplexity of the training responses, geometric mean (log axis)")
    axes.set_ylabel("in-domain change, points")
    handles = [
        *(axes.plot([], [], color=c, marker=m, ls="", label=o)[0] for o, (c, m) in look.items()),
        *(
            axes.plot([], [], color=INK, alpha=0.45, lw=0.9, ls=dashes[n % 4], label=b)[0]
            for n, b in enumerate(benchmarks)
        ),
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns,
        columnspacing=1.2,
        handletextpad=0.5,
        frameon=False,
        fontsize=8,
    )
    return svg(figure, "accuracy", "In-domain change against perplexity of the training responses")


@styled
def forgetting(verdict: Found, summary: pd.DataFrame) -> str:
    """Change on the benchmarks an arm was not trained on: mean with interval, and each benchmark as a small dot.

    Args:
        summary: the rows of the verdict's student and size.
    """
    benchmarks = sorted({arm["train_benchmarks"][0] for arm in verdict["arms"]})[:MOST_BENCHMARKS]
    arms = [arm for arm in verdict["arms"] if arm["elsewhere"]["value"] is not None]
    benchmarks = [b for b in benchmarks if any(arm["train_benchmarks"][0] == b for arm in arms)]
    if not benchmarks:
        return ""
    look = marks(arm["arm"] for arm in verdict["arms"])
    order = [standing["arm"] for standing in verdict["standings"]]
    arms.sort(key=lambda arm: order.index(arm["arm"]))
    figure, (axes,) = _figure(0.7 + 0.36 * len(arms) + 0.36 * len(benchmarks))
    place, labels = 0.0, []
    for benchmark in benchmarks:
        place -= 1.0
        axes.text(
            0,
            place,
            f"trained on {benchmark}",
            transform=axes.get_yaxis_transform(),
            fontweight="bold",
            va="center",
        )
        for arm in [arm for arm in arms if arm["train_benchmarks"][0] == benchmark]:
            place -= 1.0
            name = arm["arm"]
            each = summary[(summary["train_benchmark"] == benchmark) & (summary["arm"] == name)]
            each = each[each["eval_benchmark"] != benchmark]
            axes.plot(
                100 * each["delta"],
                [place - 0.3] * len(each),
                ls="",
                marker="o",
                ms=3.2,
                mec=look[name][0],
                mfc="none",
                alpha=0.8,
            )
            _interval(axes, arm["elsewhere"], place, *look[name])
            labels.append((place, name))
    _zero(axes)
    axes.set_ylim(place - 0.6, 0)
    axes.set_yticks([y for y, _ in labels], [name for _, name in labels])
    axes.set_xlabel("change on the other benchmarks against no training, points")
    return svg(figure, "forgetting", f"Change in {verdict['measure']} on the benchmarks an arm was not trained on")


def _figure(height: float, columns: int = 1) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    made = figure.subplots(1, columns, squeeze=False)[0]
    for axes in made:
        axes.spines["left"].set_visible(False)
        axes.set_axisbelow(True)
    return figure, list(made)


def _interval(axes: Axes, estimate: Found, row: float, colour: str, marker: str, says: bool = False) -> None:
    if estimate["value"] is None:
        axes.text(0, row, "missing", va="center", ha="center")
        return
    if estimate["low"] is not None:
        axes.plot(
            [100 * estimate["low"], 100 * estimate["high"]], [row, row], color=colour, lw=2, solid_capstyle="butt"
        )
    axes.plot([100 * estimate["value"]], [row], marker=marker, color=colour, ms=6)
    if says:
        text = f"{100 * estimate['value']:+.1f}".replace("-", "\N{MINUS SIGN}")
        axes.annotate(text, (100 * estimate["value"], row), (0, 6), textcoords="offset points", ha="center", fontsize=8)


def _zero(axes: Axes) -> None:
    axes.axvline(0, color=INK, lw=0.8)
    axes.grid(axis="x")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0")


def _log_ticks(axes: Axes) -> None:
    """Plain numbers on a log axis, as many as fit."""
    low, high = axes.get_xlim()
    inside = [tick for tick in TICKS if low <= tick <= high]
    while len(inside) > 7:
        whole = [tick for tick in inside if f"{tick:e}"[:3] in ("1.0", "3.0")]
        inside = whole if 3 <= len(whole) < len(inside) else inside[::2]
    axes.set_xticks(inside, [f"{tick:g}" for tick in inside])
    axes.set_xticks([], minor=True)
    axes.grid(axis="x")


def svg(figure: Figure, name: str, title: str) -> str:
    """The figure as an `<svg>` element whose ids begin with `name`, so that several can stand on a page."""
    drawn = StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{name}-", text)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
    return text.replace(INK, "currentColor").replace(FAINT, "var(--line)")
