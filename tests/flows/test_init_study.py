"""`mothertongue init`: real small files become a study that `plan` accepts, or one line says what is missing."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.benchmark import questions_of
from data.csv_dialect import dialect_of
from data.errors import InputError
from data.table_file import TableFile
from flows.cli.init_study import Asked, init
from flows.cli.own_tables import split
from flows.config.commented import commented
from flows.config.schema import Study
from flows.config.study_file import load
from flows.config.yaml_values import parse
from flows.planning import preflight
from tasks.questions import normalised
from tests import commands
from tests.flows.test_study import environment

ROWS = Path(__file__).parents[1] / "rows"
Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    return tmp_path


def sums(count: int = 60) -> Rows:
    """Questions with commas, quotes, line breaks and letters beyond ASCII."""
    return [
        {
            "Question": f'Käse "{n}", Brot {n * n + 7}:\nwie viele sind {n} + {3 * n}?',
            "gold": str(4 * n),
            "answer_a": f"{n} + {3 * n} = {4 * n}; das ist alles.\nFinal answer: {4 * n}",
            "answer_b": f"Final answer: {4 * n}",
        }
        for n in range(count)
    ]


def as_csv(rows: Rows, separator: str = ",", encoding: str = "utf-8", before: str = "") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return (before + text.getvalue()).encode(encoding)


def as_parquet(rows: Rows) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


def as_jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def accepted(name: str) -> Study:
    """The study, as `plan` takes it."""
    found = load(name)
    preflight.check(found)
    return found


def asked_of(study: Study, split: str) -> Rows:
    (benchmark,) = study.find(study.train[0])
    return questions_of(benchmark, split, None, 0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sums.csv", as_csv(sums()), ""),
        ("sums.csv", as_csv(sums(), ";", "cp1252"), "sums.csv: read as Windows-1252, columns separated by ';'\n"),
        ("sums.csv", as_csv(sums(), ";", "utf-8-sig"), "sums.csv: read as UTF-8, columns separated by ';'\n"),
        ("sums.csv", as_csv(sums(), ";", "cp1252", "sep=;\r\n"), "read as Windows-1252, columns separated by ';'\n"),
        ("sums.csv", as_csv(sums(), "|"), "sums.csv: read as UTF-8, columns separated by '|'\n"),
        ("sums.txt", as_csv(sums(), "\t", "utf-16"), "sums.txt: read as utf-16, columns separated by '\\t'\n"),
        ("sums.tsv", as_csv(sums(), "\t"), "sums.tsv: read as UTF-8, columns separated by '\\t'\n"),
        ("sums.jsonl", as_jsonl(sums()), ""),
        ("sums.json", json.dumps(sums()).encode(), ""),
        ("sums.parquet", as_parquet(sums()), ""),
    ],
)
def test_a_file_of_any_format_becomes_a_study(
    name: str, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_bytes(content)
    init([Path(name)], Asked())
    out = capsys.readouterr().out
    assert said in out
    assert "question: Question (by the columns' names)\nright answer: gold (by the columns' names)\n" in out
    assert "verifier: number (by the right answers)\n" in out
    study = accepted("sums.yaml")
    origins = {name: origin.model_dump() for name, origin in study.origins.items()}
    assert [(name, origin["kind"]) for name, origin in origins.items()] == [
        ("answer_a", "human"),
        ("answer_b", "human"),
        ("self", "self"),
    ]
    assert origins["answer_b"]["column"] == "answer_b"
    train, test = (asked_of(study, part) for part in ("train", "test"))
    assert (study.questions.train, study.questions.evaluate) == (len(train), len(test))
    assert sorted(row["question"] for row in [*train, *test]) == sorted(row["Question"] for row in sums())
    assert 4 <= len(test) <= 20  # 12 of 60 on average


def test_the_split_is_the_same_for_the_same_questions_and_none_is_given_away() -> None:
    rows = [{"q": row["Question"], "at": at} for at, row in enumerate(sums(400))]
    again = [{"q": f"  {row['q'].upper()} ", "at": row["at"]} for row in rows]
    parts = split([*rows, *again], "q", 0.2)
    sides = {part: {normalised(row["q"]) for row in found} for part, found in parts.items()}
    assert not sides["train"] & sides["test"]
    assert len(parts["test"]) == 2 * len(sides["test"])
    assert 50 <= len(sides["test"]) <= 110  # 80 of 400 on average
    fewer = split(rows[:200], "q", 0.2)
    assert {row["at"] for row in fewer["test"]} == {row["at"] for row in parts["test"] if row["at"] < 200}
    long = "A farmer has 12 cows and 30 sheep and sells 5 of the cows to a neighbour; how many animals are left on the"
    near = [{"q": f"{long} {place}?"} for place in ("farm", "field", "hill", "meadow", "island", "yard", "pasture")]
    assert {bool(found) for found in split(near, "q", 0.5).values()} == {True, False}


def test_files_that_lie_ready_are_used_as_they_are(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    labels = ["refund", "no", "other"]
    rows = [{"text": f"Ticket {n}: what now?", "label": labels[n % 3], "reply": labels[n % 3]} for n in range(60)]
    Path("tickets-train.jsonl").write_bytes(as_jsonl([*rows[:45], {"text": "And?", "label": None, "reply": "No."}]))
    Path("tickets_test.csv").write_bytes(as_csv([*rows[45:], rows[0]]))
    init([Path("tickets-train.jsonl"), Path("tickets_test.csv")], Asked(out=Path("ours.yaml")))
    out = capsys.readouterr().out
    assert (
        "46 rows to train on: tickets-train.jsonl\n16 rows to test on: tickets_test.csv\n1 questions to test on" in out
    )
    assert "tickets/train: 1 of 46 rows have no question or no gold answer and are left out." in out
    assert sorted(path.name for path in here.iterdir()) == ["ours.yaml", "tickets-train.jsonl", "tickets_test.csv"]
    study = accepted("ours.yaml")
    assert (study.name, study.train, list(study.origins)) == ("ours", ["tickets"], ["human", "self"])
    (benchmark,) = study.find("tickets")
    assert (benchmark.verifier, benchmark.labels, benchmark.reference) == ("label", ("no", "other", "refund"), "reply")
    assert study.questions.train == 45


def test_a_column_whose_name_a_study_needs_is_called_otherwise() -> None:
    rows = [
        {"prompt": f"{n}?", "label": f"word {n}", "response": f"It is word {n}", "answer": f"w {n}"} for n in range(40)
    ]
    Path("s.jsonl").write_bytes(as_jsonl(rows))
    init([Path("s.jsonl")], Asked())
    study = accepted("s.yaml")
    assert [origin.model_dump().get("column") for origin in study.origins.values()][:2] == [
        "human_response",
        "human_answer",
    ]
    assert asked_of(study, "train")[0]["human_answer"].startswith("w ")
    assert study.find("s")[0].verifier == "exact"


def test_a_file_to_train_on_alone_is_split_under_another_name(here: Path) -> None:
    Path("my train.csv").write_bytes(as_csv(sums()))
    init([Path("my train.csv")], Asked(out=Path("my study.yaml")))
    made = ["my study-test.csv", "my study-train.csv", "my study.yaml", "my train.csv"]
    assert sorted(path.name for path in here.iterdir() if path.is_file()) == made
    assert accepted("my study.yaml").name == "my-study"
    assert "Next: mothertongue plan 'my study.yaml'\n" in Path("my study.yaml").read_text()


def test_few_rows_make_a_small_study() -> None:
    init([ROWS / "questions.csv"], Asked(split=0.5, out=Path("few.yaml")))
    study = accepted("few.yaml")
    assert study.match.minimum == len(asked_of(study, "train")) < 10
    assert "{human: {}" not in Path("few.yaml").read_text()
    assert "  human: {}" in Path("few.yaml").read_text()


def write_over(folder: Path) -> None:
    (folder / "s.yaml").write_text("mine")


def write_over_part(folder: Path) -> None:
    (folder / "s-test.jsonl").write_text("mine")


@pytest.mark.parametrize(
    ("rows", "asked", "before", "said"),
    [
        (
            [{"question": "1?", "answer_a": "1", "answer_b": "one"}],
            {},
            None,
            "s.jsonl: which column holds the right answer? It has question, answer_a, answer_b; name it with --gold "
            "COLUMN. Every question needs one: there is no evaluation without",
        ),
        (
            [{"frage": "1?", "gold": "1"}],
            {},
            None,
            "s.jsonl: which column holds the question? It has frage, gold; name",
        ),
        (
            [{"question": "1?", "gold": ""}],
            {},
            None,
            "s.jsonl: no row has both a question (question) and a right answer",
        ),
        (
            sums(),
            {"gold": "golt"},
            None,
            "s.jsonl: column 'golt' is missing (has: Question, gold, answer_a, answer_b; did",
        ),
        (sums(), {"responses": ("no",)}, None, "s.jsonl: column 'no' is missing"),
        (sums(), {"split": 1.0}, None, "--split 1.0: allowed is a share of the rows, above 0 and below 1"),
        (sums(1), {}, None, "s.jsonl: has too few different questions: none would be left to"),
        (sums(), {"verifier": "judge"}, None, "no verifier is called 'judge'"),
        (sums(), {"verifier": "choice"}, None, "s.yaml: benchmarks.s: 47 of 47 gold answers of train cannot be"),
        (sums(), {"student": "nobody"}, None, "s.yaml: student: nobody: no such model"),
        (sums(), {"out": Path("no/s.yaml")}, None, "--out no/s.yaml: there is no folder no"),
        (sums(), {}, write_over, "s.yaml: is there already, and nothing is written over; allowed: another --out"),
        (sums(), {}, write_over_part, "s-test.jsonl: is there already, and nothing is written over"),
    ],
)
def test_what_is_missing_is_one_line_and_nothing_is_left(
    rows: Rows, asked: dict[str, Any], before: Callable[[Path], None] | None, said: str, here: Path
) -> None:
    Path("s.jsonl").write_bytes(as_jsonl(rows))
    if before:
        before(here)
    files = {path.name: path.read_bytes() for path in here.iterdir()}
    with pytest.raises(InputError) as caught:
        init([Path("s.jsonl")], Asked(**asked))
    assert str(caught.value).startswith(said)
    assert {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()} == files


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.xlsx", b"PK", "f.xlsx: not a format that can be read. Allowed: .jsonl, .csv, .parquet"),
        ("f.csv", b"question,gold\n1,2,3\n", "f.csv, row 1: has 3 fields, the header has 2"),
        ("f.csv", b"question,gold\n\x81,2\n", "f.csv: is not cp1252 ("),
        ("f.csv", "a,b\n1,2\n".encode("utf-16-le"), "f.csv: begins as UTF-16 or UTF-32 without a mark does"),
        ("f.json", b'{"a": 1}', "f.json: is no document that flows.cli.own_tables.listed can read: allowed is a list"),
        ("f.parquet", b"no", "f.parquet: cannot be read as Parquet: "),
        ("f.jsonl", b"{", "f.jsonl, row 1: is not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_one_line(name: str, content: bytes, said: str) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        init([Path(name)], Asked())
    assert str(caught.value).startswith(said)
    with pytest.raises(InputError, match=r"^gone\.csv: there is no such file"):
        init([Path("gone.csv")], Asked())


def test_an_encoding_may_be_named() -> None:
    Path("f.csv").write_bytes("вопрос,gold\nдва?,2\n".encode("koi8-r"))
    assert [row for _, row in TableFile(Path("f.csv"), dialect=dialect_of(Path("f.csv"), "koi8-r"))] == [
        {"вопрос": "два?", "gold": "2"}
    ]
    with pytest.raises(InputError, match=r"^--encoding klingon: no encoding is called so"):
        dialect_of(Path("f.csv"), "klingon")


def test_values_are_read_from_the_text_as_they_were() -> None:
    odd = ["no", "012", "1e5", "1:30", "a, b", "{x}", "a: b", "# c", "ä \n b", "'", '"', "", "null", "2026-11-27", "*a"]
    study = {"name": "n", "benchmarks": {"no": {"labels": odd}}, "questions": {"train": None}, "origins": {"self": {}}}
    text = commented(study, {"origins": {"teacher": {"model": "a/b@c"}}})
    assert parse(text, "f") == study
    assert "  # teacher: {model: a/b@c}\n" in text
    assert "  # training questions of each benchmark; null for all of them\n  train: null\n" in text


def test_the_command_takes_its_options_and_plan_takes_what_comes_out(here: Path) -> None:
    Path("t.csv").write_bytes(as_csv(sums(), ";", "cp1252"))
    columns = ["--gold", "gold", "--response", "answer_b", "--response", "answer_a"]
    options = [*columns, "--split", "0.3", "--out", "mine.yaml"]
    made = commands.run(here, environment(here), "init", "t.csv", *options)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.endswith("Wrote mine.yaml. Next: mothertongue plan mine.yaml\n")
    planned = commands.run(here, environment(here), "plan", "-q", "mine.yaml")
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.startswith("mine: ")
    again = commands.run(here, environment(here), "init", "t.csv", "--out", "mine.yaml")
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (2, "", 1)
