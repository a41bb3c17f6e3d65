"""The two stages that are useful alone, on a user's own file: `score` and `verify`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import benchmark as benchmarks
from data import row_contract, row_values, table_file
from data.benchmark import Benchmark
from data.errors import InputError, shown
from data.prompt import read
from data.table_file import TableFile
from flows.cli.result_file import ResultFile
from flows.results.json_output import say
from tasks.kinds import stages, verifiers
from tasks.models import template_trial
from tasks.models.model import weights
from tasks.models.template_trial import Trial
from tasks.score import familiarity
from tasks.storage.rows import Row, Rows
from tasks.verification import golds, missing_response
from tasks.verification.missing_response import is_missing
from tasks.verification.verdict import VERDICT

BARE_QUESTION = "{{ question }}"
KINDS = ("correct", "wrong", "unparseable", "error", "missing")


@dataclass(frozen=True)
class Columns:
    """Which columns of the file hold what; None: the one that is usual. `group` parts the rows for what is printed."""

    response: str = "response"
    question: str | None = None
    gold: str | None = None
    id: str = "id"
    group: str | None = None


@dataclass(frozen=True)
class Judge:
    """What verdicts are made by: a verifier, and the benchmark whose it is, if any."""

    verifier: str
    benchmark: Benchmark | None

    @classmethod
    def of(cls, benchmark: str | None, verifier: str | None, study: str | None) -> "Judge":
        """The verifier of a benchmark (one of a study file's own, where one is given), or a verifier by name.

        Raises:
            InputError: there is none of that name, or not exactly one of the two is given.
        """
        if (benchmark is None) == (verifier is None):
            raise InputError("verify: give either --benchmark NAME or --verifier NAME")
        if verifier is not None:
            if study is not None:
                raise InputError("--study says where a --benchmark is described; a --verifier has no use for it")
            verifiers.find(verifier)
            return cls(verifier, None)
        assert benchmark is not None
        if study is None:
            found = benchmarks.find(benchmark)
        else:
            from flows.config.study_file import load

            given = load(study)
            found, *others = given.find(benchmark)
            if others:
                raise InputError(f"--benchmark {benchmark}: stands for several; allowed: the name of one")
        return cls(found.verifier, found)

    def row(self, place: str, given: Row, columns: Columns, official: bool) -> Row | None:
        """What the verifier reads of a row of the file.

        Args:
            official: whether the row has the columns of the benchmark's own source, to be read as a study reads it:
                None where it has no question or no gold answer and studies leave it out.

        Raises:
            InputError: a column is missing or empty, or holds what the verifier cannot use.
        """
        if official:
            assert self.benchmark is not None
            try:
                return benchmarks.as_asked(self.benchmark, place, given, stages.contract(self.verifier))
            except InputError:
                if benchmarks.is_left_out(self.benchmark, place, given):
                    return None
                raise
        gold, question = self.column("gold", columns), self.column("question", columns)
        row: Row = {"gold": row_values.text(place, given, gold)}
        if columns.question is not None or self.verifier == "code" or question in given:
            row["question"] = row_values.text_or_none(place, given, question) or ""
        column = verifiers.column(self.verifier)
        if column is not None and column.name in given:
            row[column.name] = given[column.name]
        elif self.benchmark is not None and self.benchmark.labels:
            row["labels"] = list(self.benchmark.labels)
        row_contract.check(column, self.verifier, place, row)
        return row

    def column(self, what: str, columns: Columns) -> str:
        """The column of a file that is no official one that holds the gold answer or the question."""
        given: str | None = getattr(columns, what)
        return given or (getattr(self.benchmark, what) if self.benchmark else what)

    def reads_as_official(self, first: Row, columns: Columns) -> bool:
        """Whether a file's rows are the benchmark's own, which become questions by its `row`: they have no `gold`."""
        made = self.benchmark is not None and self.benchmark.row is not None
        return made and columns.gold is None and "gold" not in first


def score(
    file: Path,
    model: str,
    named: Mapping[str, str | None],
    prompt: Path | None,
    group: str | None,
    out: Path | None,
    as_json: bool,
    thinking: bool | None = None,
) -> None:
    """Add `tokens`, `nll` and `perplexity` to every row of a file, and print how familiar it is.

    Args:
        named: columns by what they hold (`Columns`).
    """
    from flows.planning import rendering_checks
    from tasks.score import score as stage
    from tasks.score import thoughts_left_out

    columns = Columns(**named, group=group)  # type: ignore[arg-type]
    target = _target(file, out, "scored")
    student = weights(model).choosing(thinking)
    rendering = rendering_checks.loaded(student)
    rendering.check()
    template = _template(prompt)
    question = columns.question or "question"
    rows, ended = _rows(file, columns, target)
    for row in rows:
        place, given = row["_place"], row["_file"]
        if prompt is None or columns.question is not None or question in given:
            row["question"] = row_values.text_or_none(place, given, question) or ""
        row |= {name: value for name, value in given.items() if name not in row}
    template_trial.check([Trial(f"--prompt {prompt}", template, _bare(rows[0]))])
    scored = _plainly(stage.function, rows, student, template)
    target.write(_joined(rows, scored, ("tokens", "nll", "perplexity"), "scored"))
    groups = [_familiarity(name, part) for name, part in _groups(rows, scored, columns.group)]
    notes = list(rendering.notes)
    if thoughts := sum(rendering.leaves_out(row["response"]) for row in rows if not is_missing(row)):
        notes.append(thoughts_left_out(thoughts))
    if as_json:
        say({"file": str(target), "groups": groups, "end_tokens": ended, "rendering": notes})
        return
    width = max(len(str(g["group"])) for g in groups)
    head = f"{'rows':>7}  {'tokens':>9}  {'mean':>8}  {'median':>8}  {'corpus':>8}"
    print(f"{'':<{width}}  {head}   perplexity to {student.name}")
    for g in groups:
        values = "  ".join(f"{g[name]:>8.3f}" for name in ("mean", "median", "corpus"))
        print(f"{g['group']:<{width}}  {g['rows']:>7,}  {g['tokens']:>9,}  {values}")
    if left_out := groups[-1]["too_long"]:
        print(f"{left_out} rows are longer than the model's context: they have no perplexity and are left out.")
    _say_what_is_missing(groups[-1]["missing"], ended)
    _say_names(rows, ("tokens", "nll", "perplexity"), "scored")
    for note in notes:
        print(note)
    print(f"Every row with its figures: {target}")


def verify(
    file: Path,
    benchmark: str | None,
    named: Mapping[str, str | None],
    group: str | None,
    out: Path | None,
    as_json: bool,
    verifier: str | None = None,
    study: str | None = None,
) -> None:
    """Add `verdict`, `answer` and `score` to every row of a file, and print the counts.

    Args:
        named: columns by what they hold (`Columns`).
        verifier: the judge, in place of the benchmark's.
        study: a study file that describes the benchmark.
    """
    from tasks.verify import verify as stage

    columns = Columns(**named, group=group)  # type: ignore[arg-type]
    judge = Judge.of(benchmark, verifier, study)
    target = _target(file, out, "verified")
    rows, ended = _rows(file, columns, target)
    official = judge.reads_as_official(rows[0]["_file"], columns)
    asked = [judge.row(row["_place"], row["_file"], columns, official) for row in rows]
    left_out = asked.count(None)
    rows = [{**row, **given} for row, given in zip(rows, asked, strict=True) if given is not None]
    if not rows:
        raise InputError(f"{file}: a study of {benchmark} leaves out every row of it")
    judging = verifiers.find(judge.verifier)
    _check_golds(list(golds.unusable(rows, judging)), None if official else judge.column("gold", columns))
    judged = _plainly(stage.function, rows, judging)
    target.write(_joined(rows, judged, VERDICT, "verified"))
    groups = []
    for name, part in _groups(rows, judged, columns.group):
        counts = {kind: sum(row["verdict"] == kind for row in part) for kind in KINDS}
        share = counts["correct"] / max(1, len(part) - counts["error"] - counts["missing"])
        groups.append({"group": name, "rows": len(part), **counts, "share_correct": share})
    if as_json:
        say({"file": str(target), "groups": groups, "end_tokens": ended, "left_out": left_out})
        return
    width = max(len(str(g["group"])) for g in groups)
    told = KINDS if groups[-1]["missing"] else KINDS[:-1]
    print(f"{'':<{width}}  {'rows':>7}  " + "  ".join(f"{kind:>11}" for kind in told) + "   correct")
    for g in groups:
        print(
            f"{g['group']:<{width}}  {g['rows']:>7,}  "
            + "  ".join(f"{g[k]:>11,}" for k in told)
            + f"  {g['share_correct']:>7.1%}"
        )
    _say_what_is_missing(groups[-1]["missing"], ended)
    if left_out:
        print(f"{left_out:,} rows have no question or no gold answer: left out, as a study of {benchmark} does.")
    _say_names(rows, VERDICT, "verified")
    print(f"Every row with its verdict: {target}")


def _target(file: Path, out: Path | None, added: str) -> ResultFile:
    target = ResultFile.of(file, out, added)
    if out is not None and os.path.realpath(out) == os.path.realpath(file):
        raise InputError(f"--out {out}: is the file that is read; allowed: another")
    return target


def _template(prompt: Path | None) -> str:
    if prompt is None:
        return BARE_QUESTION
    try:
        return read(prompt)
    except InputError as error:
        raise InputError(f"--prompt {error}") from None


def _rows(file: Path, columns: Columns, target: ResultFile) -> tuple[list[Row], int]:
    """The file's rows as stages take them, numbered, and how many responses had a token that ends a turn.

    `_file` holds each row as it was, `_place` where it stands.

    Raises:
        InputError: a row is broken, lacks a column, or cannot be written to `target`.
    """
    made: list[Row] = []
    table = TableFile(file)
    is_csv = table_file.suffix(file) == ".csv"
    ended = 0
    for number, (place, given) in enumerate(table, start=1):
        if columns.group is not None:
            row_values.text_or_none(place, given, columns.group)
        response, had_end = missing_response.from_file(place, given, columns.response, is_csv)
        ended += had_end
        called = given.get(columns.id)
        row_values.check_text(place, columns.id, str(called))
        name = f"row {number}" if called is None else f"{called} (row {number})"
        made.append({"id": name, "sample": 0, "response": response, "finish": None, "_file": given, "_place": place})
    target.check(row["_file"] for row in made)
    return made, ended


def _check_golds(unusable: Sequence[tuple[Row, str]], column: str | None) -> None:
    """Raises InputError at gold answers that no response could be judged against, before any is."""
    if not unusable:
        return
    row, why = unusable[0]
    which = "the gold answer" if column is None else f"column {column!r}"
    more = f" (such rows: {len(unusable):,})" if len(unusable) > 1 else ""
    raise InputError(f"{row['_place']}: {which} is {shown(row['gold'])}: {why}{more}")


def _plainly(function: Callable[..., Iterator[Any]], rows: list[Row], *arguments: Any) -> list[Row]:
    """Run a per-row stage outside any study; its output in the order of the rows."""
    made = {row["id"]: row for row in function([_bare(row) for row in rows], *arguments)}
    return [made[row["id"]] for row in rows]


def _bare(row: Row) -> Row:
    """What a stage sees of a row."""
    return {name: value for name, value in row.items() if name not in ("_file", "_place")}


def _joined(rows: list[Row], made: list[Row], added: Sequence[str], prefix: str) -> Iterator[Row]:
    names = _names(rows, added, prefix)
    for row, result in zip(rows, made, strict=True):
        yield {**row["_file"], **{name: result[column] for column, name in names.items()}}


def _names(rows: list[Row], added: Sequence[str], prefix: str) -> dict[str, str]:
    """What the added columns are called: by their own names, or with a prefix where the file has such a column."""
    taken = {name for row in rows for name in row["_file"]}
    names: dict[str, str] = {}
    for column in added:
        name = column
        while name in taken:
            name = f"{prefix}_{name}"
        names[column] = name
    return names


def _say_names(rows: list[Row], added: Sequence[str], prefix: str) -> None:
    renamed = {column: name for column, name in _names(rows, added, prefix).items() if column != name}
    if renamed:
        print(f"The file has {_listed(renamed)} of its own; those added are called {_listed(renamed.values())}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _say_what_is_missing(missing: int, ended: int) -> None:
    if missing:
        print(f"Responses that are missing (null, not the empty text), left out of all figures: {missing}.")
    if ended:
        print(f"Responses with a token that ends a turn (such as </s>), each taken up to it: {ended}.")


def _groups(rows: list[Row], made: list[Row], group: str | None) -> Iterable[tuple[str, list[Row]]]:
    if group is None:
        return [("all", made)]
    parts: dict[str, list[Row]] = {}
    for row, result in zip(rows, made, strict=True):
        parts.setdefault(str(row["_file"][group]), []).append(result)
    return [*parts.items(), ("all", made)]


def _familiarity(name: str, rows: list[Row]) -> dict[str, Any]:
    found = familiarity(Rows.of([{"nll": row["nll"], "tokens": row["tokens"]} for row in rows]))
    means = {kind: found[f"perplexity_{kind}"] for kind in ("mean", "median", "corpus")}
    counts = {kind: found[kind] for kind in ("tokens", "too_long", "missing")}
    return {"group": name, "rows": found["scored"], **counts, **means}
