"""`mothertongue advise`: real answer sets side by side, a study that `plan` accepts, one line for what is wrong."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import InputError
from flows.cli import score_file
from flows.cli.advise import advise
from flows.cli.answer_sets import Asked, answer_sets
from flows.config.study_file import load
from flows.planning import preflight

STUDENT = "abacus-student"
GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"
Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    return tmp_path


NAMES = (
    "Ada",
    "Ben",
    "Cem",
    "Dua",
    "Eva",
    "Finn",
    "Gil",
    "Hua",
    "Ida",
    "Jun",
    "Kim",
    "Lea",
    "Mia",
    "Noa",
    "Ole",
    "Pia",
)


def sums(count: int = 100) -> Rows:
    """Questions that give no answer of another away."""
    return [
        {
            "question": f"{NAMES[n % 16]} has {n * 7 + 3} {NAMES[n // 16]} cards and buys {n * n}: how many?",
            "gold": str(n * 7 + 3 + n * n),
        }
        for n in range(count)
    ]


def right(row: dict[str, Any]) -> str:
    return f"Final answer: {row['gold']}"


def wordy(row: dict[str, Any]) -> str:
    return f"Well, let me think about it carefully and count. Final answer: {int(row['gold']) + (len(row['gold']) > 2)}"


def write(name: str, rows: Rows, response: Callable[[dict[str, Any]], str | None] | None = None, **more: Any) -> Path:
    made = [{**row, **({"response": response(row)} if response else {}), **more} for row in rows]
    path = Path(name)
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


def advised(*files: Path, out: Path | None = None, capsys: pytest.CaptureFixture[str], **asked: Any) -> dict[str, Any]:
    advise(list(files), STUDENT, Asked(**asked), None, None, out, as_json=True)
    return dict(json.loads(capsys.readouterr().out))


def accepted(name: str) -> Any:
    study = load(name)
    preflight.check(study)
    return study


def test_two_files_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    rows = sums()
    one, other = write("right.jsonl", rows, right), write("wordy.jsonl", rows[:90], wordy)
    said = advised(one, other, capsys=capsys)
    assert (said["shared_questions"], said["compared_questions"]) == (90, 90)
    sets = {each["name"]: each for each in said["sets"]}
    wrong = sum(len(row["gold"]) > 2 for row in rows[:90])
    assert [sets[name]["correct"] for name in ("right", "wordy")] == [90, 90 - wrong]
    # The same numbers as `mothertongue score` gives of the same rows.
    columns = {"question": "question", "response": "response", "id": "id"}
    for name, rows_of in (("right", write("shared.jsonl", rows[:90], right)), ("wordy", other)):
        score_file.score(rows_of, STUDENT, columns, None, None, Path(f"{name}.scored.jsonl"), as_json=True)
        scored = json.loads(capsys.readouterr().out)["groups"][0]
        assert sets[name]["perplexity"]["mean"] == pytest.approx(scored["mean"], rel=1e-4)
        predictors = sets[name]["predictors"]
        assert predictors["perplexity_mean"] == pytest.approx(scored["mean"], rel=1e-4)
        assert predictors["perplexity_median"] == pytest.approx(scored["median"], rel=1e-4)
        assert predictors["perplexity_corpus"] == pytest.approx(scored["corpus"], rel=1e-4)
        assert predictors["length"] == sets[name]["tokens"] == pytest.approx(scored["tokens"] / 90)
        each = [json.loads(line)["perplexity"] for line in Path(f"{name}.scored.jsonl").read_text().splitlines()]
        reach = 1.96 * np.std(each) / math.sqrt(len(each))
        interval = sets[name]["perplexity"]
        assert interval["high"] - interval["low"] == pytest.approx(2 * reach, rel=0.1)
    assert said["picks"]["pass_rate"]["sets"] == ["right"]
    assert said["picks"]["length"]["sets"] == ["wordy"]
    assert said["picks"]["length"]["record"] == []
    assert said["picks"]["perplexity_mean"]["record"][0]["where"] == "sppl"
    assert said["recommendation"]["by"] == "perplexity_mean"


def test_the_study_that_would_settle_it_is_ready_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    files = [write("right.jsonl", sums(), right), write("wordy.jsonl", sums(), wordy)]
    advise(files, STUDENT, Asked(), None, None, None, as_json=False)
    out = capsys.readouterr().out
    assert "mothertongue run advise-right.yaml  (" in out
    study = accepted("advise-right.yaml")
    assert list(study.origins) == ["right", "wordy"]
    assert study.match.correct == "any"
    train = [json.loads(line) for line in Path("advise-right-train.jsonl").read_text().splitlines()]
    test = [json.loads(line) for line in Path("advise-right-test.jsonl").read_text().splitlines()]
    assert not {row["question"] for row in train} & {row["question"] for row in test}
    assert (study.questions.train, study.questions.evaluate) == (len(train), len(test))
    assert len(train) + len(test) == 100
    assert len(test) >= 5
    answers = [json.loads(line) for line in Path("advise-right-answers.jsonl").read_text().splitlines()]
    assert {row["question"] for row in answers} == {row["question"] for row in train}, "no answer to what is tested on"
    before = Path("advise-right.yaml").read_bytes()
    advise(files, STUDENT, Asked(), None, None, None, as_json=False)
    assert "No study file: advise-right.yaml is there already and stays as it is" in capsys.readouterr().out
    assert Path("advise-right.yaml").read_bytes() == before


def test_one_file_with_a_column_and_right_answers_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    rows = sums()
    questions = write("known.jsonl", rows)
    plain = [{"question": row["question"]} for row in rows[:40]]
    gold = {row["question"]: row["gold"] for row in rows}
    made = [
        {**row, "response": f"Final answer: {gold[row['question']]}{'0' * (name == '../x')}", "source": name}
        for name in ("../x", "base", "self")
        for row in plain
    ]
    said = advised(write("all.jsonl", made), questions=questions, capsys=capsys)
    assert {each["name"]: each["correct"] for each in said["sets"]} == {"../x": 0, "base": 40, "self": 40}
    study = accepted(said["study"])
    assert len(study.origins) == 3
    assert not {"base", "self"} & set(study.origins)
    # Sixty questions have a right answer and no response: those are tested on, and all forty are trained on.
    assert (study.questions.train, study.questions.evaluate) == (40, 60)


def test_without_right_answers_there_is_advice_and_no_study(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"question": row["question"]} for row in sums(20)]
    files = [write("a.jsonl", rows, lambda row: "many"), write("b.csv.jsonl", rows, lambda row: row["question"])]
    said = advised(*files, capsys=capsys)
    assert [each["correct"] for each in said["sets"]] == [None, None]
    assert "pass_rate" not in said["picks"]
    assert said["study"] is None
    assert said["no_study"].startswith("no right answers are known")
    assert not list(Path().glob("*.yaml"))
    with pytest.raises(InputError, match=r"^--out x.yaml: no study file: no right answers are known"):
        advised(*files, out=Path("x.yaml"), capsys=capsys)


def test_sets_without_a_question_in_common_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    rows = sums(40)
    files = [write("a.jsonl", rows[:20], right), write("b.jsonl", rows[20:], right)]
    advise(files, STUDENT, Asked(), None, None, None, as_json=False)
    assert "2 sets that share no question: each is read whole" in capsys.readouterr().out
    assert accepted("advise-a.yaml").match.questions is False


def test_missing_doubled_and_too_long_rows_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = sums(30)
    some: Rows = [*rows, rows[0], {"question": None, "gold": "1"}, {"question": "And?", "gold": None}]
    one = write("one.jsonl", some, lambda row: None if row["gold"] == rows[3]["gold"] else "Final answer: 1 </s> more")
    long = write("long.jsonl", rows, lambda row: "word " * 3000 if row["gold"] == rows[5]["gold"] else right(row))
    advise([one, long], STUDENT, Asked(), None, None, None, as_json=False)
    out = capsys.readouterr().out
    assert "Rows without a question, left out: 1\n" in out
    assert "one: rows without a response, left out: 1\n" in out
    assert "one: rows that answer a question which an earlier row answers too: 1\n" in out
    assert "Rows longer than the model's context, left out of all but the counts: 1." in out
    assert "2 sets; of 31 questions 29 are answered by all\n" in out


def test_of_many_questions_the_same_part_is_read_every_time() -> None:
    files = [write("a.jsonl", sums(), right), write("b.jsonl", list(reversed(sums())), right)]
    found = answer_sets(files, Asked(most=10))
    assert found.compared is not None
    assert len(found.compared) == 10
    assert found.compared == answer_sets(files[::-1], Asked(most=10)).compared
    assert found.compared < answer_sets(files, Asked(most=20)).compared  # type: ignore[operator]


GOOD = {"question": "What is 1 + 2?", "response": "3", "gold": "3"}


def raw(name: str, content: bytes | str) -> Path:
    path = Path(name)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


BROKEN: list[tuple[Callable[[], list[Path]], dict[str, Any], str]] = [
    (lambda: [Path("gone.jsonl")], {}, "gone.jsonl: there is no such file"),
    (lambda: [Path()], {}, ".: not a format that can be read. Allowed: .jsonl"),
    (lambda: [raw("x.pdf", "hi")], {}, "x.pdf: not a format that can be read"),
    (lambda: [raw("x.jsonl", "")], {}, "x.jsonl: has no rows"),
    (lambda: [raw("x.jsonl", b"\x80\xff\x01\x02{")], {}, "x.jsonl, row 1: is not UTF-8"),
    (lambda: [raw("x.jsonl", '{"question": "x", "resp')], {}, "x.jsonl, row 1: is not valid JSON"),
    (lambda: [raw("x.parquet", b"PAR1")], {}, "x.parquet: cannot be read as Parquet"),
    (lambda: [raw("x.csv", "question,response\na,b,c\n")], {}, "x.csv, row 1: has 3 fields, the header has 2"),
    (lambda: [raw("x.jsonl", '{"question":"x","response":"\\ud83d"}')], {}, "x.jsonl, row 1: column 'response' is not"),
    (lambda: [write("x.jsonl", [{**GOOD, "response": ["3"]}])], {}, "x.jsonl, row 1: column 'response' is a list; all"),
    (lambda: [write("x.jsonl", [{**GOOD, "response": None}])], {}, "x.jsonl: the set 'x' has no response"),
    (lambda: [raw("x.jsonl", '{"question":"x","response":NaN}')], {}, "x.jsonl: the set 'x' has no response"),
    (
        lambda: [write("x.jsonl", [{**GOOD, "gold": "4"}])],
        {},
        "x.jsonl, row 1: the right answer is '4', and '3' to the",
    ),
    (lambda: [write("x.jsonl", [{"foo": 1, "bar": 2}])], {}, "x.jsonl: which column holds the question? It has foo, b"),
    (lambda: [write("x.jsonl", [{"question": 1, "bar": 2}])], {}, "x.jsonl: which column holds the response? It has q"),
    (
        lambda: [write("x.jsonl", [{**GOOD, "question": None}])],
        {},
        "good.jsonl: only 'good' has rows with a question: ",
    ),
    (lambda: [Path("good.jsonl")], {}, "good.jsonl: is given twice"),
    (lambda: [], {}, "good.jsonl: is one answer set; allowed: two or more files, or one with --by COLUMN"),
    (lambda: [], {"by": "gold"}, "good.jsonl: column 'gold' has '3' in every row: that is one answer set"),
    (lambda: [], {"by": "nix"}, "good.jsonl: column 'nix' is missing (has: question, response, gold)"),
    (lambda: [write("x.jsonl", [GOOD])], {"gold": "nix"}, "good.jsonl: column 'nix' is missing"),
    (lambda: [write("x.jsonl", [GOOD])], {"verifier": "nix"}, "no verifier is called 'nix'"),
    (lambda: [write("x.jsonl", [GOOD])], {"benchmark": "nix"}, "no benchmark is called 'nix'"),
    (lambda: [write("x.jsonl", [GOOD])], {"benchmark": "gsm8k", "verifier": "number"}, "verify: give either"),
    (lambda: [write("x.jsonl", [GOOD])], {"questions": Path("gone.csv")}, "gone.csv: there is no such file"),
    (lambda: [write("x.jsonl", [GOOD])], {"questions": Path("none.jsonl")}, "--questions none.jsonl: which column hol"),
    (
        lambda: [write("x.jsonl", [{**GOOD, "set": f"s{n}"} for n in range(21)])],
        {"by": "set"},
        "good.jsonl: column 'set' is missing",
    ),
]


@pytest.mark.parametrize(
    ("files", "asked", "said"), BROKEN, ids=[f"{n} {said[:40]}" for n, (_, _, said) in enumerate(BROKEN)]
)
def test_what_is_wrong_is_one_line(files: Callable[[], list[Path]], asked: dict[str, Any], said: str) -> None:
    write("none.jsonl", [{"question": "x", "foo": 1}])
    with pytest.raises(InputError) as caught:
        advise([write("good.jsonl", [GOOD]), *files()], STUDENT, Asked(**asked), None, None, None, as_json=False)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_gold_answer_that_no_verifier_can_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "gold": "many"} for row in sums(5)]
    files = [write("a.jsonl", rows, lambda row: "x"), write("b.jsonl", rows, lambda row: "y")]
    with pytest.raises(InputError, match="the gold answer is 'many'"):
        advised(*files, verifier="number", capsys=capsys)


@pytest.mark.skipif(not GSM8K.is_dir(), reason="no GSM8K rows beside the project (../shared/data/gsm8k)")
def test_real_answers_of_four_models(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"questions": GSM8K / "test.jsonl", "benchmark": "gsm8k", "most": 40}
    said = advised(GSM8K / "model_solutions.jsonl", capsys=capsys, **asked)
    assert said["shared_questions"] == 1319
    assert {each["name"]: each["rows"] for each in said["sets"]} == dict.fromkeys(
        ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"), 40
    )
    assert said["picks"]["pass_rate"]["sets"] == ["175b_verification"]
    study = accepted(said["study"])
    assert (study.questions.train, study.questions.evaluate) == (40, 500)
