"""What `compare` prints."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flows.results import history
from flows.results.comparison import CellChange, Change, Difference, compare
from flows.results.json_output import say
from tasks.comparison.cell import UNTRAINED
from tasks.reporting.formatting import percent, points, ratio
from tasks.storage.opening import open_store

MOST = 40
"""Lines of one kind; the others are counted, and are in --json."""
LONGEST = 60
"""Characters of a value of the study."""
NOTHING = "–"


def show(before: str, after: str, as_json: bool) -> None:
    """Print what changed between two finished runs.

    Raises:
        InputError: one of the names means no run, or more than one.
    """
    first, second = history.find(before), history.find(after)
    found = compare(first, second, open_store())
    if as_json:
        say(found.as_data())
        return
    print("\n".join(_page(found)))


def _page(found: Difference) -> Iterator[str]:
    yield f"before  {found.before.study}  {found.before.name}"
    yield f"after   {found.after.study}  {found.after.name}"
    if found.same:
        yield "Nothing changed: both are the same results."
        return
    if found.before.study != found.after.study:
        yield "Two studies: cells of the same names are compared."
    yield ""
    yield from _causes(found)
    yield ""
    yield from _numbers(found)


def _causes(found: Difference) -> Iterator[str]:
    """What the runs were made of."""
    lists: list[tuple[str, list[str]]] = [
        ("code", _code(found.code)),
        ("data", [f"{change.what}: {_kind(change)}" for change in found.data]),
        ("models", [f"{change.what}: {_kind(change)}" for change in found.models]),
        ("study", [_line(change) for change in found.values]),
        ("packages", [_line(change) for change in found.versions]),
        ("missing", [_line(change) for change in found.failed]),
    ]
    unchanged = [name for name, lines in lists if not lines and name not in ("missing", *found.unknown)]
    for name, lines in lists:
        for number, line in enumerate(_cut(lines)):
            yield f"{name if number == 0 else '':<9} {line}"
    if unchanged:
        yield f"{'the same':<9} {', '.join(unchanged)}"
    if found.unknown:
        yield f"{'not known':<9} {', '.join(found.unknown)}: a run of an earlier version did not write them down"


def _code(stages: dict[str, list[str]]) -> list[str]:
    """By file, and the stages that it is part of: one change is often part of many."""
    by_file: dict[str, list[str]] = {}
    for stage, files in stages.items():
        for file in files:
            by_file.setdefault(file, []).append(stage)
    return [f"{file}  ({', '.join(stages)})" for file, stages in sorted(by_file.items())]


def _numbers(found: Difference) -> Iterator[str]:
    if not (found.changed_cells or found.perplexities or found.verdicts):
        yield "No number changed."
        return
    yield from _cells(found)
    yield from _perplexities(found.perplexities)
    yield from _verdicts(found.verdicts)


def _verdicts(changes: Sequence[Change]) -> Iterator[str]:
    """The verdicts, and the claims that are now answered otherwise; those with other numbers only are counted."""
    both = [change for change in changes if None not in (change.before, change.after)]
    other = [change for change in both if change.before.partition(":")[0] != change.after.partition(":")[0]]
    if not changes:
        return
    yield ""
    yield "What the study says"
    for change in other[:MOST]:
        yield f"  {change.what}"
        yield f"    before: {change.before}"
        yield f"    after:  {change.after}"
    if len(other) > MOST:
        yield f"  and {len(other) - MOST} more: --json has all"
    if len(both) > len(other):
        yield f"  {len(both) - len(other)} claims are answered as before, with other numbers: --json has all"
    yield from _one_sided("claims", [change.before is None for change in changes if change not in both])


def _cells(found: Difference) -> Iterator[str]:
    changed = [cell for cell in found.changed_cells if cell.in_both]
    alone = [math.isnan(cell.score[0]) for cell in found.changed_cells if not cell.in_both]
    both = sum(cell.in_both for cell in found.cells)
    if not changed:
        yield f"None of {both} cells changed."
    else:
        yield f"{len(changed)} of {both} cells changed: accuracy or score in %, changes in points"
        head = ("", "trained on", "arm", "evaluated on", "before", "after", "change", "against no training")
        yield from _table([head, *(_row(cell, found) for cell in _cut_cells(changed))])
        if len(changed) > MOST:
            yield f"  and {len(changed) - MOST} more: --json has all"
        yield from _explained(changed, found.paired)
    yield from _one_sided("cells", alone)


def _explained(changed: Sequence[CellChange], paired: bool) -> Iterator[str]:
    if not paired:
        yield "  The answers of one of the runs are no longer kept: these changes have no interval, and may be chance."
        return
    if any(cell.items < cell.asked for cell in changed):
        fewest = min(cell.items for cell in changed)
        yield f"  Changes are over the questions that both runs asked, {fewest} or more a cell; scores are over all."
    sure = sum(cell.decided for cell in changed)
    if sure:
        chance = len(changed) / 20
        yield (
            f"  * the change's 95 % interval, paired by question, leaves out zero: {sure} of {len(changed)} do, where "
            f"about {chance:.0f} would by chance alone"
            if chance >= 1
            else "  * the change's 95 % interval, paired by question, leaves out zero"
        )
    else:
        yield "  No change's 95 % interval, paired by question, leaves out zero."


def _perplexities(changes: Sequence[Change]) -> Iterator[str]:
    both = [change for change in changes if not (math.isnan(change.before) or math.isnan(change.after))]
    if not changes:
        return
    rows = [(change.what, ratio(change.before), ratio(change.after)) for change in both]
    if rows:
        yield ""
        yield "Perplexity before training (median)"
        yield from _table([("", "before", "after"), *rows[:MOST]])
    if len(rows) > MOST:
        yield f"  and {len(rows) - MOST} more: --json has all"
    yield from _one_sided("arms", [math.isnan(change.before) for change in changes if change not in both])


def _one_sided(what: str, new: Sequence[bool]) -> Iterator[str]:
    """How many things only one of the runs has."""
    if new:
        yield f"  {what} only before: {len(new) - sum(new)}, only after: {sum(new)}"


def _row(cell: CellChange, found: Difference) -> tuple[str, ...]:
    student, trained, arm, _, method, size, on = cell.name
    untrained = arm == UNTRAINED
    trained_cells = [one.name for one in found.cells if one.name[2] != UNTRAINED]
    students, methods = ({name[place] for name in trained_cells} for place in (0, 4))
    told_apart = [
        student if len(students) > 1 else "",
        method if len(methods) > 1 else "",
        "" if size == "0" else f"size {size}",
    ]
    change = points(cell.change)
    if not math.isnan(cell.low):
        change += f" ({points(cell.low)} to {points(cell.high)})"
    return (
        "*" if cell.decided else "",
        "no training" if untrained else trained,
        " ".join(filter(None, ["" if untrained else arm, *told_apart])),
        on,
        *map(percent, cell.score),
        change,
        "" if untrained else " → ".join(map(points, cell.delta)),
    )


def _cut_cells(cells: Sequence[CellChange]) -> Sequence[CellChange]:
    """Where there are too many, those whose change is sure come first."""
    return cells if len(cells) <= MOST else sorted(cells, key=lambda cell: not cell.decided)[:MOST]


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def _line(change: Change) -> str:
    return f"{change.what}: {_short(change.before)} → {_short(change.after)}"


def _kind(change: Change) -> str:
    return "new" if change.before is None else "gone" if change.after is None else "other content"


def _short(value: Any) -> str:
    text = NOTHING if value is None else " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _cut(lines: Sequence[str]) -> Iterable[str]:
    return lines if len(lines) <= MOST else [*lines[:MOST], f"and {len(lines) - MOST} more"]
