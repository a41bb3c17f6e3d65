"""The verdict in plain lines for a terminal: the answer, the origins side by side, and what is decided."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.comparison.phrasing import signed
from tasks.reporting import missing_cells

MOST_CLAIMS = 15
"""More decided claims than these are counted, not listed."""
MOST_LOST = 10
"""Of more arms that are missing, the report tells."""
COLUMNS = ("trained on", "in domain, %", "change", "other benchmarks", "perplexity before")


def verdict_text(folder: Path) -> str:
    """What a `compare` artifact found; claims left undecided are counted, the report has them."""
    found = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    lines: list[str] = []
    for verdict in found["verdicts"]:
        lines += [verdict["sentence"], *verdict["details"], "", *_standings(verdict), ""]
        lines += [_line(answer["status"], answer["claim"], answer["sentence"]) for answer in verdict["contrasts"]]
        lines += [""] * bool(verdict["contrasts"])
        decided = [claim for claim in verdict["claims"] if claim["status"] not in ("undecided", "missing")]
        if len(decided) <= MOST_CLAIMS:
            lines += [_line(claim["status"], claim["text"], claim["sentence"]) for claim in decided]
        else:
            lines.append(f"  {len(decided)} claims about pairs of origins are decided; the report lists them.")
        left = Counter(claim["status"] for claim in verdict["claims"])
        if left["undecided"]:
            lines.append(f"  {left['undecided']} claims are undecided; the report lists them.")
        if left["missing"]:
            lines.append(f"  {left['missing']} claims are not made, since an arm is missing that they need.")
    if found["missing"]:
        lines += ["", *missing_cells.lines(found["missing"], MOST_LOST)]
    return "\n".join(lines)


def _line(status: str, claim: str, sentence: str) -> str:
    return f"  {status:<13} {claim}\n{'':16}{sentence}"


def _standings(verdict: dict[str, Any]) -> list[str]:
    """A line an origin: accuracy, its change in domain and elsewhere in points with intervals, perplexity."""
    columns = [COLUMNS[0], f"in domain, % {verdict['measure']}", *COLUMNS[2:]]
    standings = [*verdict["standings"], *verdict["controls"]]
    rows: list[Sequence[str]] = [columns, *(_standing(each) for each in standings)]
    rows.append(("no training", _value(verdict["untrained"], signs=False), "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    padded = (zip(row, widths, strict=True) for row in rows)
    return ["  " + "  ".join(f"{cell:<{width}}" for cell, width in row).rstrip() for row in padded]


def _standing(each: dict[str, Any]) -> tuple[str, ...]:
    changes = (_value(each["gain"]), _value(each["elsewhere"]))
    return each["origin"], _value(each["score"], signs=False), *changes, _perplexity(each["log_perplexity"])


def _value(estimate: dict[str, Any], signs: bool = True) -> str:
    if estimate["value"] is None:
        return "-"
    text = signed(100 * estimate["value"], sign=signs)
    if estimate["low"] is None:
        return text
    return f"{text} ({signed(100 * estimate['low'], sign=signs)} to {signed(100 * estimate['high'], sign=signs)})"


def _perplexity(estimate: dict[str, Any]) -> str:
    return "-" if estimate["value"] is None else f"{math.exp(estimate['value']):.2f}"
