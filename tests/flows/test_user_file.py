"""`score` and `verify` on a user's own file: every row kept, three columns added, one line for what is wrong."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from data.errors import InputError
from flows.cli import score_file, verify_file

ROWS = [
    {"question": "Which is largest? A) 4 + 9 B) 3 * 5 C) 17 - 6 D) 8 + 4", "response": "B: 3 * 5 = 15. Final answer: B",
     "gold": "B", "by": "model"},
    {"question": "Which is largest? A) 4 + 9 B) 3 * 5 C) 17 - 6 D) 8 + 4", "response": "dunno mate, B perhaps",
     "gold": "B", "by": "human"},
    {"question": "Which is smallest? A) 4 + 9 B) 3 * 5 C) 17 - 6 D) 8 + 4", "response": "Final answer: D",
     "gold": "C", "by": "human"},
]  # fmt: skip
COLUMNS = {"question": "question", "response": "response", "id": "id"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_score_adds_tokens_nll_perplexity(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score_file.score(file, "abacus-student", COLUMNS, None, "by", None, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    scored = [json.loads(line) for line in Path(printed["file"]).read_text().splitlines()]
    assert [{name: row[name] for name in ROWS[0]} for row in scored] == ROWS
    for row in scored:
        assert row["perplexity"] == pytest.approx(math.exp(row["nll"] / row["tokens"]))
    assert scored[0]["perplexity"] < scored[1]["perplexity"]
    groups = {group["group"]: group for group in printed["groups"]}
    assert groups["all"]["rows"] == 3
    human = [row for row in scored if row["by"] == "human"]
    assert groups["human"]["mean"] == pytest.approx(sum(row["perplexity"] for row in human) / 2)
    nats = sum(row["nll"] for row in human) / sum(row["tokens"] for row in human)
    assert groups["human"]["corpus"] == pytest.approx(math.exp(nats))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_verify_adds_verdict_answer_score(file: Path, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_name(f"judged{ending}")
    verify_file.verify(file, "abacus/choice", {**COLUMNS, "gold": "gold"}, "by", out, as_json=True)
    groups = {group["group"]: group for group in json.loads(capsys.readouterr().out)["groups"]}
    assert (groups["model"]["correct"], groups["human"]["wrong"], groups["human"]["unparseable"]) == (1, 1, 1)
    assert groups["all"]["share_correct"] == pytest.approx(1 / 3)
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": lambda p: pd.read_json(p, lines=True)}[ending]
    frame = read(out)
    assert list(frame["verdict"]) == ["correct", "unparseable", "wrong"]
    assert list(frame["score"]) == [1.0, 0.0, 0.0]
    assert list(frame["response"]) == [row["response"] for row in ROWS]


@pytest.mark.parametrize(
    ("benchmark", "row", "verdict"),
    [
        ("squad2", {"gold": "France", "answers": ["France", "in France"], "response": "in France"}, "correct"),
        ("squad2", {"gold": "unanswerable", "answers": [], "response": "unanswerable"}, "correct"),
        ("ecqa", {"gold": "A", "options": ["bank", "river"], "response": "Final answer: bank"}, "correct"),
        ("boolq", {"gold": "yes", "response": "Final answer: no"}, "wrong"),
    ],
)
def test_the_lists_that_a_verifier_needs_are_the_files(
    benchmark: str, row: dict[str, object], verdict: str, tmp_path: Path
) -> None:
    file, out = tmp_path / "answers.jsonl", tmp_path / "out.jsonl"
    file.write_text(json.dumps({"question": "?", **row}) + "\n")
    verify_file.verify(file, benchmark, {**COLUMNS, "gold": "gold"}, None, out, as_json=True)
    assert json.loads(out.read_text())["verdict"] == verdict


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({"question": "?", "gold": "x", "response": "x"}) + "\n")
    with pytest.raises(InputError, match=r"answers.jsonl, row 1: the verifier span needs a column 'answers'"):
        verify_file.verify(file, "squad2", {**COLUMNS, "gold": "gold"}, None, None, as_json=True)


def test_a_missing_column_is_named_and_nothing_is_written(file: Path) -> None:
    with pytest.raises(InputError, match=r"answers\.jsonl.*'answer'.*response"):
        score_file.score(file, "abacus-student", {**COLUMNS, "response": "answer"}, None, None, None, as_json=False)
    assert sorted(path.name for path in file.parent.iterdir()) == ["answers.jsonl"]


def test_a_broken_row_is_named(file: Path) -> None:
    file.write_text(file.read_text() + '{"question": "x"\n')
    with pytest.raises(InputError, match=r"answers\.jsonl, row 4"):
        verify_file.verify(file, "abacus/choice", {**COLUMNS, "gold": "gold"}, None, None, as_json=False)


def test_an_unknown_ending_is_refused(file: Path) -> None:
    out = file.with_name("out.xlsx")
    with pytest.raises(InputError, match=r"\.xlsx ending is unknown; allowed: \.jsonl, \.csv, \.parquet"):
        verify_file.verify(file, "abacus/choice", {**COLUMNS, "gold": "gold"}, None, out, as_json=False)


GOLD = {**COLUMNS, "gold": None, "question": None}


def written(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def scored(file: Path, capsys: pytest.CaptureFixture[str], prompt: Path | None = None) -> dict[str, float]:
    out = file.with_name("scored.jsonl")
    score_file.score(file, "abacus-student", COLUMNS, prompt, None, out, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    return {**printed["groups"][-1], "end_tokens": printed["end_tokens"]}


def test_missing_responses_are_in_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"question": "Ann has 3 apples and gets 4. How many?", "response": "3 + 4 = 7. Final answer: 7", "gold": "7"}
    missing = [{**row, "response": None}, {**row, "response": math.nan}]
    alone = scored(written(tmp_path / "one.jsonl", row), capsys)
    three = written(tmp_path / "three.jsonl", row, *missing)
    assert scored(three, capsys) == alone | {"missing": 2}
    verify_file.verify(three, None, GOLD, None, tmp_path / "o.jsonl", as_json=False, verifier="number")
    said = capsys.readouterr().out
    assert "left out of all figures: 2." in said
    assert "100.0%" in said
    assert [row["verdict"] for row in lines(tmp_path / "o.jsonl")] == ["correct", "missing", "missing"]


@pytest.mark.parametrize("token", ["<|end|>", "<|im_end|>", "</s>", "<|eot_id|>", "<end_of_turn>\n"])
def test_a_token_that_ends_a_turn_is_no_part_of_a_response(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"question": "Ann has 3 apples and gets 4. How many?", "response": "3 + 4 = 7. Final answer: 7", "gold": "7"}
    alone = scored(written(tmp_path / "one.jsonl", row), capsys)
    ended = written(tmp_path / "ended.jsonl", {**row, "response": row["response"] + token})
    assert scored(ended, capsys) == alone | {"end_tokens": 1}
    verify_file.verify(ended, None, GOLD, None, tmp_path / "o.jsonl", as_json=False, verifier="number")
    assert "each taken up to it: 1." in capsys.readouterr().out
    assert lines(tmp_path / "o.jsonl")[0]["response"] == row["response"] + token


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (b"{{ nosuch }}", "it needs nosuch, which row .* lacks; columns: "),
        (b"{{ question", "unexpected end of template"),
        (b"{{ 1/0 }}", "ZeroDivisionError"),
        (b"{{ 'a' * 10**9 }}", "MemoryError"),
        (b"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "needs more time"),
        (b"\xe9", r"is not UTF-8 \(byte 1\)"),
    ],
)
def test_a_prompt_is_tried_on_a_row_before_the_model_is_loaded(
    file: Path, template: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.score.load", lambda *_: pytest.fail("the model is loaded"))
    prompt = file.with_name("p.jinja")
    prompt.write_bytes(template)
    with pytest.raises(InputError, match=f"^--prompt .*p.jinja: .*{said}") as error:
        score_file.score(file, "abacus-student", COLUMNS, prompt, None, None, as_json=True)
    assert str(error.value).isprintable()


def test_a_prompt_is_over_the_files_columns_and_has_no_byte_order_mark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"question": "How many?", "passage": "Ann has 3 apples.", "response": "Final answer: 3"}
    file = written(tmp_path / "x.jsonl", row)
    bare, over = tmp_path / "bare.jinja", tmp_path / "over.jinja"
    marked = tmp_path / "marked.jinja"
    bare.write_text("{{ question }}")
    over.write_text("{{ passage }} {{ question }}")
    marked.write_text("{{ passage }} {{ question }}", encoding="utf-8-sig")
    assert scored(file, capsys, bare) == scored(file, capsys)
    assert scored(file, capsys, over) == scored(file, capsys, marked) != scored(file, capsys)
    together = written(tmp_path / "y.jsonl", {"question": "Ann has 3 apples. How many?", "response": row["response"]})
    assert scored(file, capsys, over) == scored(together, capsys)
    over.write_text("{{ context }} {{ question }}")
    with pytest.raises(InputError, match=r"needs context, which row .* lacks; columns: .*passage"):
        scored(file, capsys, over)


def test_no_column_of_the_file_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"gold": "7", "answer": "So it is 7.\n#### 7", "score": 5, "verdict": "mine", "nll": "x"}
    file, out = written(tmp_path / "x.jsonl", row), tmp_path / "o.jsonl"
    verify_file.verify(file, "gsm8k", {**GOLD, "response": "answer"}, None, out, as_json=False)
    (made,) = lines(out)
    assert {name: made[name] for name in row} == row
    assert (made["verified_verdict"], made["verified_answer"], made["verified_score"]) == ("correct", "7", 1.0)
    assert "those added are called `verified_verdict`, `verified_answer`, `verified_score`" in capsys.readouterr().out
    again = tmp_path / "again.jsonl"
    verify_file.verify(out, "gsm8k", {**GOLD, "response": "answer"}, None, again, as_json=False)
    assert lines(again)[0]["verified_verified_verdict"] == "correct"
    score_file.score(
        file, "abacus-student", {**COLUMNS, "response": "answer", "question": "gold"}, None, None, out, as_json=True
    )
    (made,) = lines(out)
    assert (made["nll"], made["score"]) == ("x", 5)
    assert made["scored_nll"] > 0


def test_the_file_itself_is_no_place_for_the_result(file: Path) -> None:
    before = file.read_bytes()
    link = file.with_name("link.jsonl")
    link.symlink_to(file)
    for out in (file, link, file.parent / "." / file.name):
        with pytest.raises(InputError, match="is the file that is read; allowed: another"):
            verify_file.verify(file, "abacus/choice", GOLD, None, out, as_json=False)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("benchmark", "row", "answer"),
    [
        ("gsm8k", {"question": "?", "answer": "48/2 = <<48/2=24>>24\n#### 1,080", "response": "#### 1080"}, "1080"),
        (
            "ecqa",
            {"q_no": "1", "q_text": "Where?", "q_op1": "hall", "q_op2": "bed", "q_op3": "cinema", "q_op4": "sky",
             "q_op5": "oven", "q_ans": "bed", "taskB": "", "response": "B. bed"},
            "B",
        ),
        ("boolq", {"question": "do bears fly", "answer": False, "passage": "Bears walk.", "response": "No."}, "no"),
    ],
)  # fmt: skip
def test_a_benchmarks_own_rows_are_read_as_a_study_reads_them(
    benchmark: str, row: dict[str, object], answer: str, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    verify_file.verify(written(tmp_path / "x.jsonl", row), benchmark, GOLD, None, out, as_json=True)
    (made,) = lines(out)
    assert made["verdict"] == "correct"
    assert made["verified_answer" if "answer" in row else "answer"] == answer


def test_rows_that_a_study_leaves_out_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last of these problems has an empty box for a gold answer."""
    problems = [
        json.loads(line) for line in (Path(__file__).parents[1] / "rows" / "math.jsonl").read_text().splitlines()
    ]
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({**row, "response": row["solution"]}) + "\n" for row in problems))
    verify_file.verify(file, "math", GOLD, None, None, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["left_out"] == 1
    assert said["groups"][-1]["correct"] == len(problems) - 1
    file.write_text(json.dumps({**problems[-1], "response": "None."}) + "\n")
    with pytest.raises(InputError, match="a study of math leaves out every row of it"):
        verify_file.verify(file, "math", GOLD, None, None, as_json=True)


def test_what_is_wrong_with_a_benchmarks_own_row_is_named(tmp_path: Path) -> None:
    file = written(tmp_path / "x.jsonl", {"question": "?", "answer": "seven", "response": "#### 7"})
    with pytest.raises(InputError, match=r"x.jsonl, row 1: column 'answer' does not end in '#### <number>': 'seven'"):
        verify_file.verify(file, "gsm8k", GOLD, None, None, as_json=True)


def test_gold_answers_are_read_before_any_response_is_judged(tmp_path: Path) -> None:
    good = {"gold": "7", "response": "#### 7"}
    file = written(tmp_path / "x.jsonl", good, {**good, "gold": "1 or 2"}, {**good, "gold": "many"})
    with pytest.raises(InputError, match=r"x.jsonl, row 2: column 'gold' is '1 or 2': .*no number.*such rows: 2"):
        verify_file.verify(file, "gsm8k", GOLD, None, None, as_json=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.jsonl"]
    file = written(tmp_path / "x.jsonl", good, {**good, "gold": None})
    with pytest.raises(InputError, match=r"x.jsonl, row 2: column 'gold' is empty"):
        verify_file.verify(file, "gsm8k", GOLD, None, None, as_json=True)


def test_a_verifier_alone_and_a_benchmark_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "x.jsonl", {"gold": "Paris", "response": "Final answer: Paris\n\nI hope this helps!"})
    verify_file.verify(file, None, GOLD, None, tmp_path / "o.jsonl", as_json=True, verifier="exact")
    assert lines(tmp_path / "o.jsonl")[0]["verdict"] == "correct"
    tickets = tmp_path / "t.csv"
    tickets.write_text("text,kind,response\nIt broke,bug,Final answer: bug\nMoney,billing,Final answer: bug\n")
    study = tmp_path / "ours.yaml"
    study.write_text(
        "name: ours\nstudent: abacus-student\nbenchmarks:\n  tickets: {train: t.csv, test: t.csv, verifier: label, "
        "labels: [bug, billing], columns: {question: text, gold: kind}}\ntrain: [tickets]\nevaluate: [tickets]\n"
        "origins: {self: {}}\n"
    )
    monkeypatch.chdir(tmp_path)
    verify_file.verify(tickets, "tickets", GOLD, None, tmp_path / "o.jsonl", as_json=True, study="ours.yaml")
    assert [row["verdict"] for row in lines(tmp_path / "o.jsonl")] == ["correct", "wrong"]
    for options, message in (
        ({}, "give either --benchmark NAME or --verifier NAME"),
        ({"verifier": "exat"}, r"no verifier is called 'exat' \(did you mean exact"),
        ({"verifier": "exact", "study": "ours.yaml"}, "a --verifier has no use for it"),
    ):
        with pytest.raises(InputError, match=message):
            verify_file.verify(file, None, GOLD, None, None, as_json=True, **options)


def test_texts_that_a_spreadsheet_would_work_out_are_counted_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["=HYPERLINK(A1)", "-8", "@now", "+1 2", "- a point", "a = b"]  # a formula, a number, then three and none
    lines = "".join(f'"{text}",8\n' for text in texts)
    (tmp_path / "rows.csv").write_text(f"response,gold\n{lines}")
    columns = {"question": None, "response": "response", "gold": None, "id": "id"}
    verify_file.verify(tmp_path / "rows.csv", None, columns, None, None, False, "number")
    said = "Rows with a text that a spreadsheet takes for a formula (=, +, - or @ first), kept as it is: 4.\n"
    assert said in capsys.readouterr().out
    assert "\n=HYPERLINK(A1),8," in (tmp_path / "rows.verified.csv").read_text()
    verify_file.verify(tmp_path / "rows.csv", None, columns, None, tmp_path / "out.jsonl", False, "number")
    assert "takes for a formula" not in capsys.readouterr().out
