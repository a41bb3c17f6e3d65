"""The verdict in plain lines for a terminal: the answer, the arms side by side, and what is shown or refuted."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.comparison.claim import HOLDS, MISSING, NOT_SHOWN, REFUTED, UNDEFINED
from tasks.comparison.phrasing import signed
from tasks.comparison.results import Results
from tasks.reporting import missing_cells

MOST_CLAIMS = 15
"""More decided claims than these are counted, not listed."""
MOST_LOST = 10
"""Of more arms that are missing, the report tells."""
COLUMNS = ("trained on", "in domain, %", "change", "other benchmarks", "perplexity before")


def verdict_text(folder: Path) -> str:
    """What a `compare` artifact found; claims that are not shown are counted, the report has them."""
    results = Results.read(folder)
    lines: list[str] = []
    for verdict in results.verdicts:
        lines += [verdict["sentence"], *verdict["details"], "", *_standings(verdict), ""]
        lines += [_line(answer["status"], answer["claim"], answer["sentence"]) for answer in verdict["contrasts"]]
        lines += [""] * bool(verdict["contrasts"])
        decided = [claim for claim in verdict["claims"] if claim["status"] in (HOLDS, REFUTED)]
        if len(decided) <= MOST_CLAIMS:
            lines += [_line(claim["status"], claim["text"], claim["sentence"]) for claim in decided]
        else:
            lines.append(f"  {len(decided)} claims about pairs hold or do not hold; the report lists them.")
        left = Counter(claim["status"] for claim in verdict["claims"])
        if left[NOT_SHOWN]:
            lines.append(f"  {left[NOT_SHOWN]} claims are not shown, nor is their opposite; the report lists them.")
        if left[UNDEFINED]:
            lines.append(f"  {left[UNDEFINED]} claims are undefined: there is nothing to compare.")
        if left[MISSING]:
            lines.append(f"  {left[MISSING]} claims are not made, since an arm is missing that they need.")
    if results.missing:
        lines += ["", *missing_cells.lines(results.missing, MOST_LOST)]
    return "\n".join(lines)


def _line(status: str, claim: str, sentence: str) -> str:
    return f"  {status:<13} {claim}\n{'':16}{sentence}"


def _standings(verdict: dict[str, Any]) -> list[str]:
    """A line an arm: accuracy, its change in domain and elsewhere in points with intervals, perplexity."""
    columns = ["arm" if verdict["by_name"] else COLUMNS[0], f"in domain, % {verdict['measure']}", *COLUMNS[2:]]
    standings = [*verdict["standings"], *verdict["controls"]]
    rows: list[Sequence[str]] = [columns, *(_standing(each) for each in standings)]
    rows.append(("no training", _value(verdict["untrained"], signs=False), "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    padded = (zip(row, widths, strict=True) for row in rows)
    return ["  " + "  ".join(f"{cell:<{width}}" for cell, width in row).rstrip() for row in padded]


def _standing(each: dict[str, Any]) -> tuple[str, ...]:
    changes = (_value(each["gain"]), _value(each["elsewhere"]))
    return each["arm"], _value(each["score"], signs=False), *changes, _perplexity(each["log_perplexity"])


def _value(estimate: dict[str, Any], signs: bool = True) -> str:
    if estimate["value"] is None:
        return "-"
    text = signed(100 * estimate["value"], sign=signs)
    if estimate["low"] is None:
        return text
    return f"{text} ({signed(100 * estimate['low'], sign=signs)} to {signed(100 * estimate['high'], sign=signs)})"


def _perplexity(estimate: dict[str, Any]) -> str:
    return "-" if estimate["value"] is None else f"{math.exp(estimate['value']):.2f}"
