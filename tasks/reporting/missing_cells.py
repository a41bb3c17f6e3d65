"""What a study could not make: lost arms and single cells, each once with its reason."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Lost:
    """Cells of one arm and training benchmark that are missing for one reason."""

    student: str
    train_benchmark: str
    arm: str
    size: int
    why: str
    seeds: tuple[int, ...]
    eval_benchmarks: tuple[str, ...]
    cells: int

    @property
    def called(self) -> str:
        """What a reader calls it: "self on abacus/boxes", "rft on abacus/boxes, size 50", or "no training"."""
        size = f", size {self.size}" if self.size else ""
        return f"{self.arm} on {self.train_benchmark}{size}" if self.train_benchmark else "no training"


def lost(missing: Iterable[dict[str, Any]]) -> list[Lost]:
    """The missing cells of verdict.json, put together."""
    groups: dict[tuple[str, str, str, int, str], list[dict[str, Any]]] = {}
    for cell in missing:
        names = (cell["student"], cell["train_benchmark"], cell["arm"], cell["size"], cell["why"])
        groups.setdefault(names, []).append(cell)
    return [
        Lost(
            *names,
            seeds=tuple(sorted({cell["seed"] for cell in cells})),
            eval_benchmarks=tuple(sorted({cell["eval_benchmark"] for cell in cells})),
            cells=len(cells),
        )
        for names, cells in groups.items()
    ]


def lines(missing: list[dict[str, Any]], most: int) -> list[str]:
    """The same for a terminal, a line each: which arm, how many cells, and why; where that are too many lines, one for
    all benchmarks and sizes of an arm."""
    if not missing:
        return []
    groups = [(one.called, one.cells, one.why) for one in lost(missing)]
    if len(groups) > most:
        by_arm = Counter((one["student"], one["arm"], one["why"]) for one in missing)
        groups = [(arm, cells, why) for (_, arm, why), cells in by_arm.items()]
    said = [f"Missing cells: {len(missing)}"]
    for called, cells, why in groups[:most]:
        said.append(f"  {called} ({'1 cell' if cells == 1 else f'{cells} cells'}): {why or 'not made'}")
    if len(groups) > most:
        said.append(f"  and {len(groups) - most} more; the report lists them.")
    return said


def rows(missing: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same for a page."""
    return [{**asdict(one), "called": one.called} for one in lost(missing)]
