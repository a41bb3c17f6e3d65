"""`mothertongue verify`: which responses of a user's own file are right, by a benchmark's verifier or another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data import benchmark as benchmarks
from data import row_contract, row_values
from data.benchmark import Benchmark
from data.errors import InputError, shown
from flows.cli.user_file import (
    Columns,
    grouped,
    numbered_rows,
    print_formulas,
    print_missing,
    print_renamed,
    result_file,
    run_stage,
    with_results,
)
from flows.results.json_output import say
from tasks.kinds import stages, verifiers
from tasks.storage.rows import Row
from tasks.verification import golds
from tasks.verification.verdict import VERDICT

KINDS = ("correct", "wrong", "unparseable", "error", "missing")


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
    target = result_file(file, out, "verified")
    rows, ended = numbered_rows(file, columns, target)
    official = judge.reads_as_official(rows[0]["_file"], columns)
    asked = [judge.row(row["_place"], row["_file"], columns, official) for row in rows]
    left_out = asked.count(None)
    rows = [{**row, **given} for row, given in zip(rows, asked, strict=True) if given is not None]
    if not rows:
        raise InputError(f"{file}: a study of {benchmark} leaves out every row of it")
    judging = verifiers.find(judge.verifier)
    check_golds(list(golds.unusable(rows, judging)), None if official else judge.column("gold", columns))
    judged = run_stage(stage.function, rows, judging)
    target.write(with_results(rows, judged, VERDICT, "verified"))
    groups = []
    for name, part in grouped(rows, judged, columns.group):
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
    print_missing(groups[-1]["missing"], ended)
    if left_out:
        print(f"{left_out:,} rows have no question or no gold answer: left out, as a study of {benchmark} does.")
    print_formulas(rows, judged, target)
    print_renamed(rows, VERDICT, "verified")
    print(f"Every row with its verdict: {target}")


def check_golds(unusable: Sequence[tuple[Row, str]], column: str | None) -> None:
    """Raises InputError at gold answers that no response could be judged against, before any is."""
    if not unusable:
        return
    row, why = unusable[0]
    which = "the gold answer" if column is None else f"column {column!r}"
    more = f" (such rows: {len(unusable):,})" if len(unusable) > 1 else ""
    raise InputError(f"{row['_place']}: {which} is {shown(row['gold'])}: {why}{more}")
