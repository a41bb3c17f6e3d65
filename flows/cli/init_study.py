"""`mothertongue init`: a study file, and files that a study can read, from a user's own tables."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data import row_values, table_file
from data.errors import InputError
from data.row_values import Row, is_nothing
from flows.cli.new_files import all_or_none, check_folder, checked, note_new, origin_name, plain_name
from flows.cli.own_tables import DELIMITED, TEST, TRAIN, Table, given_away, read, sides, split
from flows.cli.result_file import ResultFile
from flows.config import column_guess
from flows.config.commented import commented
from tasks.kinds import methods, stages, verifiers
from tasks.selection.match import Match

SHARE = 0.2
"""Of the rows that are tested on, where no option says another."""
MOST = {"train": 1000, "test": 200}
"""Questions that the study file asks for, at most."""
METHOD = ("kind", "epochs", "learning_rate", "rank")
"""What the study file says of its method."""


@dataclass(frozen=True)
class Asked:
    """What the command's options say; None and empty: to be guessed, or the usual."""

    question: str | None = None
    gold: str | None = None
    responses: tuple[str, ...] = ()
    verifier: str | None = None
    student: str = "abacus-student"
    split: float | None = None
    encoding: str | None = None
    out: Path | None = None


@dataclass(frozen=True)
class Columns:
    """Which columns hold what."""

    question: str
    gold: str
    responses: tuple[str, ...] = ()

    def complete(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that have a question and a right answer."""
        return [row for row in rows if not any(is_nothing(row.get(each)) for each in (self.question, self.gold))]


def init(files: Sequence[Path], asked: Asked) -> None:
    """Write a study file that `plan` accepts, and the files that it needs beside those there are.

    Raises:
        InputError: a file cannot be read, there is no question or right answer, a file would be written over, or
            `plan` would refuse what came out; then nothing is left behind.
    """
    tables = [read(path, asked.encoding) for path in files]
    columns = _columns(tables[0], asked)
    called = _called(files[0])
    out = asked.out or Path(f"{called}.yaml")
    check_folder(out)
    parts = _parts(tables, columns, asked)
    with all_or_none(out) as written:
        columns_there, paths = _files(tables, parts, columns, out.with_suffix(""), written)
        values = _study(plain_name(out.stem), called, columns_there, paths, parts, asked)
        note_new(out, written)
        teacher = {"teacher": {"model": "owner/larger-model@revision"}}
        head = f"# Written by `mothertongue init`; docs/study-file.md has every key. Next: {_next(out)}\n\n"
        out.write_text(head + commented(values, {"origins": teacher}), encoding="utf-8")
        notes = checked(out)
    _say(tables, columns, asked, values["benchmarks"][called])
    for part, what in (("train", "train"), ("test", "test")):
        print(f"{len(parts[part]):,} rows to {what} on: {paths[part]}")
    if known := given_away(parts, columns.question):
        print(f"{len(known):,} questions to test on are given away by ones to train on; `run` refuses them.")
    print(*notes, f"Wrote {out}. Next: {_next(out)}", sep="\n")


def _next(out: Path) -> str:
    return shlex.join(["mothertongue", "plan", str(out)])


def _say(tables: Sequence[Table], columns: Columns, asked: Asked, benchmark: dict[str, Any]) -> None:
    """Print what was guessed, and what was not."""
    for table in tables:
        if table.dialect:
            print(f"{table.path}: {table.dialect}")
    found = (
        ("question", columns.question, asked.question),
        ("right answer", columns.gold, asked.gold),
        ("responses", ", ".join(columns.responses) or "none", asked.responses),
        ("verifier", benchmark["verifier"], asked.verifier),
    )
    for what, value, given in found:
        how = "" if given else " (by the right answers)" if what == "verifier" else " (by the columns' names)"
        print(f"{what}: {value}{how}")


def _columns(table: Table, asked: Asked) -> Columns:
    """The columns that options name, or else their names."""
    names = list(dict.fromkeys(name for row in table.rows for name in row))
    for name in filter(None, [asked.question, asked.gold, *asked.responses]):
        row_values.value(str(table.path), dict.fromkeys(names), name)
    has = f"It has {', '.join(names)}"
    question = asked.question or column_guess.question(
        [each for each in names if each not in (asked.gold, *asked.responses)]
    )
    if question is None:
        raise InputError(f"{table.path}: which column holds the question? {has}; name it with --question COLUMN")
    left = [each for each in names if each not in (question, *asked.responses)]
    gold = asked.gold or column_guess.gold(left)
    if gold is None:
        raise InputError(
            f"{table.path}: which column holds the right answer? {has}; name it with --gold COLUMN. Every question "
            "needs one: there is no evaluation without"
        )
    filled = [each for each in left if each != gold and any(not is_nothing(row.get(each)) for row in table.rows)]
    found = Columns(question, gold, asked.responses or tuple(column_guess.responses(filled)))
    if not found.complete(table.rows):
        raise InputError(f"{table.path}: no row has both a question ({question}) and a right answer ({gold})")
    return found


def _parts(tables: Sequence[Table], columns: Columns, asked: Asked) -> dict[str, list[Row]]:
    """The rows to train and to test on: by the files' names, or split by the questions."""
    if by_name := sides(tables):
        if asked.split is not None:
            raise InputError(f"--split: {by_name['test'][0].path} is there to test on; allowed without such a file")
        return {part: [row for table in found for row in table.rows] for part, found in by_name.items()}
    share = SHARE if asked.split is None else asked.split
    if not 0 < share < 1:
        raise InputError(f"--split {share}: allowed is a share of the rows, above 0 and below 1")
    parts = split([row for table in tables for row in table.rows], columns.question, share)
    for part, rows in parts.items():
        if not rows:
            raise InputError(f"{tables[0].path}: has too few different questions: none would be left to {part} on")
    return parts


def _files(
    tables: Sequence[Table], parts: dict[str, list[Row]], columns: Columns, called: Path, written: list[Path]
) -> tuple[Columns, dict[str, str]]:
    """The study's files by part, from its folder, and its columns there. The user's own file is used where a study can
    read it and it lies beside the study file; others are written anew.

    Args:
        called: what new files are called, in the study file's folder, without `-train` and `-test`.
        written: to which new files are added.
    """
    by_name = sides(tables)
    names = _free_names(columns)
    as_they_are = all(len(found) == 1 for found in by_name.values()) and all(old == new for old, new in names.items())
    paths = {}
    for part, rows in parts.items():
        table = by_name[part][0] if by_name else tables[0]
        near = os.path.relpath(table.path.absolute(), called.parent.absolute())
        if by_name and as_they_are and table.readable and not near.startswith(os.pardir):
            paths[part] = near
            continue
        ending = table_file.suffix(table.path)
        kind = ".csv" if ending in DELIMITED else ".parquet" if ending == ".parquet" else ".jsonl"
        path = called.with_name(f"{called.name}-{part}{kind}")
        note_new(path, written)
        renamed = ({names.get(name, name): value for name, value in row.items()} for row in rows)
        ResultFile(path, table.path).write(renamed)
        paths[part] = path.name
    return replace(columns, responses=tuple(names.values())), paths


def _free_names(columns: Columns) -> dict[str, str]:
    """What columns of several responses are called in the study's files: one whose name a study needs gets another."""
    taken = {*stages.contract("exact").reserved, "id", "question", "gold", "reference"}
    several = len(columns.responses) > 1
    return {each: f"human_{each}" if several and each in taken else each for each in columns.responses}


def _study(
    name: str, called: str, columns: Columns, paths: dict[str, str], parts: dict[str, list[Row]], asked: Asked
) -> dict[str, Any]:
    """The values of the study file."""
    complete = {part: columns.complete(rows) for part, rows in parts.items()}
    verifier, labels = column_guess.verifier([*complete["train"], *complete["test"]], columns.gold)
    if asked.verifier not in (None, verifier):
        verifiers.find(asked.verifier or "")
        verifier, labels = asked.verifier or "", []
    mapped = {"question": columns.question, "gold": columns.gold}
    people: dict[str, Any] = {origin_name(each): {"kind": "human", "column": each} for each in columns.responses}
    if len(columns.responses) == 1:
        mapped["reference"] = columns.responses[0]
        people = {"human": {}}
    benchmark = {
        **paths,
        "columns": mapped,
        "verifier": verifier,
        **({"labels": labels} if labels else {}),
        **({"empty": "leave_out"} if any(len(complete[part]) < len(parts[part]) for part in parts) else {}),
    }
    trained = len(complete["train"])
    usual = methods.kinds_by_name()["sft"].model_fields
    return {
        "name": name,
        "about": f"Whose responses does {asked.student} learn {called} best from?",
        "student": asked.student,
        "benchmarks": {called: benchmark},
        "train": [called],
        "evaluate": [called],
        "questions": {
            "train": min(trained, MOST["train"]),
            "evaluate": min(len(complete["test"]), MOST["test"]),
        },
        "origins": {**people, "self": {"samples": 4}},
        **({"match": {"minimum": trained}} if trained < Match().minimum else {}),
        "method": {key: usual[key].default for key in METHOD},
        "seeds": [0, 1, 2],
    }


def _called(file: Path) -> str:
    """What a benchmark is called whose rows are in this file: as the file, without what it is for."""
    name = file.name.lower().removesuffix(table_file.suffix(file))
    return plain_name(TRAIN.sub("", TEST.sub("", name)))
