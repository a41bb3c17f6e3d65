"""The two stages that are useful alone, on a user's own file: `score` and `verify`."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from data import benchmark as benchmarks
from data import table_file, verifier_columns
from data.benchmark import Benchmark
from data.errors import InputError
from data.table_file import TableFile, read_rows
from flows.for_machines import say
from flows.result_file import ResultFile
from tasks import verifiers
from tasks.model import weights
from tasks.rows import Row, Rows
from tasks.score import familiarity

BARE_QUESTION = "{{ question }}"


def score(
    file: Path,
    model: str,
    columns: dict[str, str],
    prompt: Path | None,
    group: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Add `tokens`, `nll` and `perplexity` to every row of a file, and print how familiar it is."""
    from tasks.score import score as stage

    target = ResultFile.of(file, out, "scored")
    student = weights(model)
    template = _template(prompt)
    rows = _rows(file, columns, group, target)
    scored = _plainly(stage.function, rows, student, template)
    target.write(_joined(rows, scored, ("tokens", "nll", "perplexity")))
    groups = [_familiarity(name, part) for name, part in _groups(rows, scored, group)]
    if as_json:
        say({"file": str(target), "groups": groups})
        return
    width = max(len(str(g["group"])) for g in groups)
    head = f"{'rows':>7}  {'tokens':>9}  {'mean':>8}  {'median':>8}  {'corpus':>8}"
    print(f"{'':<{width}}  {head}   perplexity to {student.name}")
    for g in groups:
        values = "  ".join(f"{g[name]:>8.3f}" for name in ("mean", "median", "corpus"))
        print(f"{g['group']:<{width}}  {g['rows']:>7,}  {g['tokens']:>9,}  {values}")
    if left_out := sum(math.isnan(row["perplexity"]) for row in scored):
        print(f"{left_out} rows are longer than the model's context: they have no perplexity and are left out.")
    print(f"Every row with its figures: {target}")


def verify(
    file: Path, benchmark: str, columns: dict[str, str], group: str | None, out: Path | None, as_json: bool
) -> None:
    """Add `verdict`, `answer` and `score` to every row of a file, and print the counts."""
    from tasks.verify import verify as stage

    target = ResultFile.of(file, out, "verified")
    judged_as = benchmarks.find(benchmark)
    judge = verifiers.find(judged_as.verifier)
    rows = _rows(file, columns, group, target)
    for number, row in enumerate(rows, start=1):
        _with_list(row, judged_as, f"{file}, row {number}")
    judged = _plainly(stage.function, rows, judge)
    target.write(_joined(rows, judged, ("verdict", "answer", "score")))
    kinds = ("correct", "wrong", "unparseable", "error")
    groups = []
    for name, part in _groups(rows, judged, group):
        counts = {kind: sum(row["verdict"] == kind for row in part) for kind in kinds}
        share = counts["correct"] / max(1, len(part) - counts["error"])
        groups.append({"group": name, "rows": len(part), **counts, "share_correct": share})
    if as_json:
        say({"file": str(target), "groups": groups})
        return
    width = max(len(str(g["group"])) for g in groups)
    print(f"{'':<{width}}  {'rows':>7}  " + "  ".join(f"{kind:>11}" for kind in kinds) + "   correct")
    for g in groups:
        print(
            f"{g['group']:<{width}}  {g['rows']:>7,}  "
            + "  ".join(f"{g[k]:>11,}" for k in kinds)
            + f"  {g['share_correct']:>7.1%}"
        )
    print(f"Every row with its verdict: {target}")


def _template(prompt: Path | None) -> str:
    if prompt is None:
        return BARE_QUESTION
    try:
        return prompt.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"--prompt {prompt}: {error.strerror}") from None


def _rows(file: Path, columns: dict[str, str], group: str | None, target: ResultFile) -> list[Row]:
    """The file's rows as stages take them, numbered; `_file` holds each row as it was.

    Raises:
        InputError: a row is broken, lacks a column, or cannot be written to `target`.
    """
    needed = {name: column for name, column in columns.items() if name != "id"}
    wanted = [*needed.values(), *([group] if group else [])]
    made: list[Row] = []
    table = TableFile(file)
    for number, given in enumerate(read_rows(file, wanted), start=1):
        row: Row = {name: "" if given[column] is None else str(given[column]) for name, column in needed.items()}
        called = given.get(columns["id"])
        table_file.check_text(table.place(number), columns["id"], str(called))
        name = f"row {number}" if called is None else f"{called} (row {number})"
        made.append({**row, "id": name, "sample": 0, "_file": given})
    target.check(row["_file"] for row in made)
    return made


def _with_list(row: Row, benchmark: Benchmark, place: str) -> None:
    """Give a row the list that the benchmark's verifier needs: the file's own column, or the benchmark's labels.

    Raises:
        InputError: there is none, or it is no list.
    """
    column = verifier_columns.listed(benchmark.verifier)
    if column is not None and column in row["_file"]:
        row[column] = row["_file"][column]
    elif benchmark.labels:
        row["labels"] = list(benchmark.labels)
    verifier_columns.check(benchmark.verifier, place, row)


def _plainly(function: Callable[..., Iterator[Any]], rows: list[Row], *arguments: Any) -> list[Row]:
    """Run a per-row stage outside any study; its output in the order of the rows."""
    bare = Rows.of([{name: value for name, value in row.items() if name != "_file"} for row in rows])
    made = {row["id"]: row for row in function(bare, *arguments)}
    return [made[row["id"]] for row in rows]


def _joined(rows: list[Row], made: list[Row], added: tuple[str, ...]) -> Iterator[Row]:
    for row, result in zip(rows, made, strict=True):
        yield {**row["_file"], **{name: result[name] for name in added}}


def _groups(rows: list[Row], made: list[Row], group: str | None) -> Iterable[tuple[str, list[Row]]]:
    if group is None:
        return [("all", made)]
    parts: dict[str, list[Row]] = {}
    for row, result in zip(rows, made, strict=True):
        parts.setdefault(str(row["_file"][group]), []).append(result)
    return [*parts.items(), ("all", made)]


def _familiarity(name: str, rows: list[Row]) -> dict[str, Any]:
    found = familiarity(Rows.of(rows))
    means = {kind: found[f"perplexity_{kind}"] for kind in ("mean", "median", "corpus")}
    return {"group": name, "rows": found["scored"], "tokens": found["tokens"], **means}
