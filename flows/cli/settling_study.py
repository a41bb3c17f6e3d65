"""The study that would settle which of several answer sets teaches most: a file that `plan` accepts, ready to run."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import table_file
from data.errors import InputError, shown
from data.row_values import Row
from flows.cli.answer_sets import AnswerSets
from flows.cli.new_files import all_or_none, check_folder, check_new, checked, note_new, origin_name, plain_name
from flows.cli.own_tables import given_away, split
from flows.cli.result_file import ResultFile
from flows.config.commented import commented
from tasks.kinds import methods
from tasks.selection.match import Match

SHARE = 0.2
"""Of the questions with right answers that are tested on, where all of them are compared."""
FEWEST_OTHERS = 50
"""Questions with a right answer that are not compared, from which on they alone are tested on."""
MOST = {"train": 1000, "test": 500}
METHOD = ("kind", "epochs", "learning_rate", "rank")
BARE_QUESTION = "{{ question }}"


@dataclass(frozen=True)
class Written:
    """The study file, and what `plan` says of its rows."""

    path: Path
    train: int
    test: int
    notes: tuple[str, ...]

    @property
    def command(self) -> str:
        return shlex.join(["mothertongue", "run", str(self.path)])


def place(files: Sequence[Path], out: Path | None) -> Path:
    """Where the study file goes.

    Raises:
        InputError: `out` is there already, or there is no folder for it.
    """
    if out is None:
        first = files[0].name.removesuffix(table_file.suffix(files[0]))
        return Path(f"advise-{plain_name(first)}.yaml")
    check_folder(out)
    check_new(out)
    return out


def write(sets: AnswerSets, student: str, template: str, out: Path) -> Written:
    """Write the study file, the questions to train and to test on, and the answers, beside each other.

    Raises:
        InputError: no right answers are known, there are too few questions, a file is there already, or `plan` would
            refuse the study; then nothing is left behind.
    """
    if sets.judge is None:
        raise InputError("no right answers are known; name them with --gold COLUMN or --questions FILE")
    parts = _parts(sets)
    called = plain_name(out.stem)
    origins = _origins(list(sets.rows))
    with all_or_none(out) as written:
        paths = {part: out.with_name(f"{out.stem}-{part}.jsonl") for part in ("train", "test", "answers")}
        rows = {**parts, "answers": _answers(sets, {row["key"] for row in parts["train"]})}
        for part, path in paths.items():
            note_new(path, written)
            plain = ({name: value for name, value in row.items() if name != "key"} for row in rows[part])
            _write_rows(path, list(plain))
        values = _study(called, student, template, sets, parts, origins, {p: path.name for p, path in paths.items()})
        note_new(out, written)
        head = (
            "# Written by `mothertongue advise`; docs/study-file.md has every key. "
            f"Next: {shlex.join(['mothertongue', 'run', str(out)])}\n\n"
        )
        out.write_text(head + commented(values, {}), encoding="utf-8")
        return Written(out, len(parts["train"]), len(parts["test"]), checked(out))


def _parts(sets: AnswerSets) -> dict[str, list[Row]]:
    """The questions with right answers to train and to test on: tested are those that are not compared, where there are
    enough of them, else a share of those that are."""
    answered = {row["key"] for rows in sets.rows.values() for row in rows if row["response"] is not None}
    trainable = sets.compared if sets.compared is not None else answered
    known = [{**row, "key": key} for key, row in sets.golds.items()]
    parts = {
        "train": [row for row in known if row["key"] in trainable],
        "test": [row for row in known if row["key"] not in trainable],
    }
    if len(parts["test"]) >= FEWEST_OTHERS:
        near = given_away(parts, "question")
        parts["test"] = [row for at, row in enumerate(parts["test"]) if at not in near]
    if len(parts["test"]) < FEWEST_OTHERS:
        parts = split(parts["train"], "question", SHARE)
    for part, rows in parts.items():
        if not rows:
            raise InputError(f"too few questions with a right answer: none would be left to {part} on")
    parts = {part: rows[: MOST[part]] for part, rows in parts.items()}
    trained = {row["key"] for row in parts["train"]}
    for name, rows in sets.rows.items():
        if not any(row["key"] in trained and row["response"] is not None for row in rows):
            raise InputError(f"the set {shown(name)} answers no question that has a right answer and can be trained on")
    return parts


def _answers(sets: AnswerSets, trained: set[str]) -> list[Row]:
    return [
        {"set": name, "question": row["question"], "response": row["response"]}
        for name, rows in sets.rows.items()
        for row in rows
        if row["key"] in trained and row["response"] is not None
    ]


def _write_rows(path: Path, rows: list[Row]) -> None:
    ResultFile(path, path).write(rows)


def _origins(names: Sequence[str]) -> dict[str, str]:
    """What each set's origin is called: a name that a study may have, and of its own."""
    found: dict[str, str] = {}
    for name in names:
        plain = base = origin_name(name)
        number = 2
        while plain in found.values():
            plain, number = f"{base}_{number}", number + 1
        found[name] = plain
    return found


def _study(
    called: str,
    student: str,
    template: str,
    sets: AnswerSets,
    parts: dict[str, list[Row]],
    origins: dict[str, str],
    paths: dict[str, str],
) -> dict[str, Any]:
    """The values of the study file."""
    assert sets.judge is not None
    columns = {"model": "set"}
    trained = len(parts["train"])
    usual = methods.kinds_by_name()["sft"].model_fields
    benchmark = {
        "train": paths["train"],
        "test": paths["test"],
        "verifier": sets.judge.verifier,
        **({} if template == BARE_QUESTION else {"prompt": template}),
    }
    match = {"questions": sets.compared is not None, "correct": "any", "minimum": min(trained, Match().minimum)}
    return {
        "name": called,
        "about": f"Which of these answers does {student} learn best from: {', '.join(origins.values())}?",
        "student": student,
        "benchmarks": {"questions": benchmark},
        "train": ["questions"],
        "evaluate": ["questions"],
        "questions": {"train": trained, "evaluate": len(parts["test"])},
        "origins": {
            plain: {"kind": "imported", "path": paths["answers"], "columns": columns, "model": name}
            for name, plain in origins.items()
        },
        "match": match,
        "method": {key: usual[key].default for key in METHOD},
        "seeds": [0, 1, 2],
    }
