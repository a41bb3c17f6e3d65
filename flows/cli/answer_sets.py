"""Answer sets to choose among: a user's own files, or one whose column says which set a row is of, side by side.

Sets are compared on the questions that all of them answer, where there are any, a part of them where they are many.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data import row_values, table_file
from data.errors import InputError, shown
from data.row_values import Row, is_nothing
from flows.cli.own_tables import DELIMITED, Table, read
from flows.cli.user_file import Columns
from flows.cli.verify_file import Judge
from flows.config import column_guess
from tasks.questions import normalised
from tasks.verification import missing_response

BY = ("set", "source", "origin", "arm", "model", "writer", "teacher", "generator", "annotator", "author")
"""Names of columns that say which set a row is of."""
MOST_SETS = 20
MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Asked:
    """What the command's options say; None: to be guessed, or the usual."""

    by: str | None = None
    question: str | None = None
    response: str | None = None
    gold: str | None = None
    questions: Path | None = None
    """A file with questions and their right answers, where the sets have none."""
    benchmark: str | None = None
    verifier: str | None = None
    encoding: str | None = None
    most: int = 1000
    """Questions that are compared, at most."""


@dataclass(frozen=True)
class AnswerSets:
    """Rows by set as stages take them (`id`, `sample`, `response`, `finish`, `question`), with `key`, the question
    as it is joined on. `golds` are what a verifier reads of a question, by key; empty where no right answers are known.

    `compared` are the keys that the sets are compared on; None: all rows, since no question is in all sets.
    """

    rows: Mapping[str, list[Row]]
    golds: Mapping[str, Row]
    judge: Judge | None
    shared: int
    """Questions that all sets answer."""
    compared: frozenset[str] | None
    notes: tuple[str, ...] = ()
    columns: str = ""
    """Which columns were taken, where they were guessed."""

    def chosen(self, name: str) -> list[Row]:
        """The rows of a set that are compared, with what a verifier reads, where that is known."""
        rows = self.rows[name] if self.compared is None else [r for r in self.rows[name] if r["key"] in self.compared]
        return [{**self.golds.get(row["key"], {}), **row} for row in rows]


@dataclass
class _Reading:
    """What is being read, and what is to be said of it."""

    asked: Asked
    rows: dict[str, list[Row]] = field(default_factory=dict)
    golds: dict[str, Row] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    """Where each right answer stands."""
    without_question: int = 0


def answer_sets(files: Sequence[Path], asked: Asked) -> AnswerSets:
    """The sets of these files.

    Raises:
        InputError: a file cannot be read, a column is missing or not to be guessed, there are fewer than two sets, a
            set has no response, or right answers contradict each other; one line.
    """
    for number, file in enumerate(files):
        if any(os.path.realpath(file) == os.path.realpath(other) for other in files[:number]):
            raise InputError(f"{file}: is given twice; allowed: two or more answer sets that differ")
    tables = [_table(file, asked.encoding) for file in files]
    by = _by(tables, asked)
    reading = _Reading(asked)
    taken = [_columns(table, asked, by) for table in tables]
    for table, name, (question, response, _) in zip(tables, _names(files), taken, strict=True):
        _read_rows(reading, table, name if by is None else None, by, question, response)
    _check(reading, files, by)
    judge = _read_golds(reading, tables, taken)
    keys = [{row["key"] for row in rows if row["response"] is not None} for rows in reading.rows.values()]
    shared = set.intersection(*keys)
    compared = frozenset(sorted(shared, key=_order)[: asked.most]) if shared else None
    question, response, gold = taken[0]
    guessed = ((question, asked.question), (response, asked.response), (gold, asked.gold), (by, asked.by))
    said = zip(("question", "response", "right answer", "set"), guessed, strict=True)
    return AnswerSets(
        reading.rows,
        reading.golds,
        judge,
        len(shared),
        compared,
        tuple(_notes(reading, tables)),
        ", ".join(f"{what}: {column}" for what, (column, given) in said if column is not None and given is None),
    )


def _table(file: Path, encoding: str | None) -> Table:
    table = read(file, encoding if table_file.suffix(file) in DELIMITED else None)
    if not table.rows:
        raise InputError(f"{file}: has no rows")
    if len(table.rows) > MOST_ROWS:
        raise InputError(f"{file}: has {len(table.rows):,} rows; allowed: at most {MOST_ROWS:,}")
    return table


def _by(tables: Sequence[Table], asked: Asked) -> str | None:
    """The column that says which set a row is of: None where each file is one."""
    if asked.by is not None or len(tables) > 1:
        return asked.by
    rows = tables[0].rows
    for column in BY:
        named = next((name for name in rows[0] if str(name).casefold() == column), None)
        if named is not None and 1 < len({str(row.get(named)) for row in rows}) <= MOST_SETS:
            return str(named)
    raise InputError(
        f"{tables[0].path}: is one answer set; allowed: two or more files, or one with --by COLUMN, which says the set "
        f"of a row (it has {', '.join(map(str, rows[0]))})"
    )


def _names(files: Sequence[Path]) -> list[str]:
    """What the sets are called of which each has a file: as the file, with its folder where two are called alike."""
    stems = [file.name.removesuffix(table_file.suffix(file)) or file.name for file in files]
    return [
        stem if stems.count(stem) == 1 else f"{file.absolute().parent.name}/{file.name}"
        for stem, file in zip(stems, files, strict=True)
    ]


def _columns(table: Table, asked: Asked, by: str | None) -> tuple[str, str, str | None]:
    """Question, response and right answer: those that are named, else by their names."""
    names = [str(name) for name in dict.fromkeys(name for row in table.rows for name in row)]
    given = {"--by": by, "--question": asked.question, "--response": asked.response}
    if asked.questions is None:
        given["--gold"] = asked.gold
    for column in filter(None, given.values()):
        row_values.value(str(table.path), dict.fromkeys(names), column)
    has = f"It has {', '.join(names)}"
    left = [name for name in names if name not in given.values()]
    question = asked.question or column_guess.question(left)
    if question is None:
        raise InputError(f"{table.path}: which column holds the question? {has}; name it with --question COLUMN")
    left = [name for name in left if name != question]
    response = asked.response or ("response" if "response" in left else None)
    if response is None:
        found = column_guess.responses([name for name in left if name != column_guess.gold(left)])
        found = found or column_guess.responses(left)
        if len(found) != 1:
            raise InputError(f"{table.path}: which column holds the response? {has}; name it with --response COLUMN")
        response = found[0]
    gold = asked.gold or column_guess.gold([name for name in left if name != response])
    return question, response, gold if asked.questions is None else None


def _read_rows(reading: _Reading, table: Table, name: str | None, by: str | None, question: str, response: str) -> None:
    is_csv = table_file.suffix(table.path) in DELIMITED
    for number, given in enumerate(table.rows, start=1):
        place = f"{table.path}, row {number}"
        of = name if name is not None else row_values.text(place, given, str(by))
        asked = row_values.text_or_none(place, given, question)
        if asked is None:
            reading.without_question += 1
            continue
        text, _ = missing_response.from_file(place, given, response, is_csv)
        row = {"id": f"{of} {place}", "sample": 0, "response": text, "finish": None, "question": asked}
        rows = reading.rows.setdefault(of, [])
        rows.append({**row, "key": normalised(asked), "_place": place, "_file": given})
        if len(reading.rows) > MOST_SETS:
            raise InputError(f"{table.path}: column {by!r} names more than {MOST_SETS} sets; allowed: another --by")


def _check(reading: _Reading, files: Sequence[Path], by: str | None) -> None:
    """Raises InputError where there is nothing to choose among."""
    if not reading.rows:
        raise InputError(f"{files[0]}: no row has a question")
    for name, rows in reading.rows.items():
        if all(row["response"] is None for row in rows):
            raise InputError(f"{rows[0]['_place'].rpartition(', row')[0]}: the set {shown(name)} has no response")
    if len(reading.rows) < 2:
        (only,) = reading.rows
        where = (
            f"column {by!r} has {shown(only)} in every row" if by else f"only {shown(only)} has rows with a question"
        )
        raise InputError(f"{files[0]}: {where}: that is one answer set; allowed: two or more")


def _read_golds(
    reading: _Reading, tables: Sequence[Table], taken: Sequence[tuple[str, str, str | None]]
) -> Judge | None:
    """What the verifier reads of each question, and the verifier; None where no right answers are known."""
    asked = reading.asked
    sources = [(table, question, gold) for table, (question, _, gold) in zip(tables, taken, strict=True)]
    if asked.questions is not None:
        table = _table(asked.questions, asked.encoding)
        names = [str(name) for name in dict.fromkeys(name for row in table.rows for name in row)]
        question = column_guess.question(names) or "question"
        gold = asked.gold or column_guess.gold([name for name in names if name != question])
        sources = [(table, question, gold)]
    known = [(table, question, gold) for table, question, gold in sources if gold is not None]
    named = asked.benchmark is not None or asked.verifier is not None
    judge = Judge.of(asked.benchmark, asked.verifier, None) if named else None
    official = judge is not None and judge.reads_as_official(sources[0][0].rows[0], Columns(gold=asked.gold))
    if not known and not (official and asked.questions is not None):
        if asked.questions is not None or named:
            where = f"--questions {asked.questions}" if asked.questions is not None else str(tables[0].path)
            raise InputError(f"{where}: which column holds the right answer? Name it with --gold COLUMN")
        return None
    labels: list[str] = []
    if judge is None:
        filled = [({"gold": row.get(gold)}) for table, _, gold in known for row in table.rows if _has(row, gold)]
        if not filled:
            return None
        verifier, labels = column_guess.verifier(filled, "gold")
        judge = Judge.of(None, verifier, None)
    for table, question, gold in sources if official else known:
        for key, row, place in _gold_rows(judge, table, question, gold, official):
            _keep(reading, key, {**row, **({"labels": labels} if labels else {})}, place)
    return judge if reading.golds else None


def _has(row: Row, gold: str | None) -> bool:
    return gold is not None and not is_nothing(row.get(gold))


def _gold_rows(
    judge: Judge, table: Table, question: str, gold: str | None, official: bool
) -> Iterator[tuple[str, Row, str]]:
    """Each question of a table that has a right answer, as it is joined on, with what the verifier reads, and place."""
    for number, given in enumerate(table.rows, start=1):
        place = f"{table.path}, row {number}"
        if official:
            row = judge.row(place, given, Columns(), True)
            asked = None if row is None else str(row["question"])
        elif _has(given, gold):
            row = judge.row(place, given, Columns(question=question, gold=gold), False)
            asked = row_values.text_or_none(place, given, question)
        else:
            continue
        if row is not None and asked is not None:
            kept = {name: value for name, value in row.items() if name not in ("id", "question", "response", "sample")}
            yield normalised(asked), {**kept, "question": asked}, place


def _keep(reading: _Reading, key: str, row: Row, place: str) -> None:
    before = reading.golds.setdefault(key, row)
    first = reading.places.setdefault(key, place)
    if str(before["gold"]).strip() != str(row["gold"]).strip():
        raise InputError(
            f"{place}: the right answer is {shown(row['gold'])}, and {shown(before['gold'])} to the same question at "
            f"{first}; allowed: one right answer a question"
        )


def _order(key: str) -> bytes:
    """By what many questions are cut to a part of them, the same in every run."""
    return hashlib.sha256(f"compared {key}".encode()).digest()


def _notes(reading: _Reading, tables: Sequence[Table]) -> Iterator[str]:
    for table in tables:
        if table.dialect:
            yield f"{table.path}: {table.dialect}"
    if reading.without_question:
        yield f"Rows without a question, left out: {reading.without_question:,}"
    for name, rows in reading.rows.items():
        if missing := sum(row["response"] is None for row in rows):
            yield f"{name}: rows without a response, left out: {missing:,}"
        if again := len(rows) - len({row["key"] for row in rows}):
            yield f"{name}: rows that answer a question which an earlier row answers too: {again:,}"
