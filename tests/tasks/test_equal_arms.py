"""What is compared is what was trained: rows that the trainer cannot hold are left out of all arms before matching."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tasks.finetune import finetune
from tasks.methods.sft import Sft
from tasks.models.model import Model, resolve
from tasks.models.rendering import renderer
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed, StagesDisagree
from tasks.score import score
from tasks.select import few
from tasks.selection.exclusions import REASONS
from tasks.selection.match import Match
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.tasks.selected import selected as rows_selected

PROMPT = "{{ question }}"
NAN = float("nan")


def response(id: int, sample: int = 0, **given: Any) -> Row:
    """A scored response of 30 tokens, 10 of them the prompt's."""
    row = {"id": f"q{id:02d}", "sample": sample, "response": f"{id} {sample}", "verdict": "correct", "finish": "stop"}
    return row | {"prompt_tokens": 10, "tokens": 20, "nll": 5.0, "perplexity": 2.0} | given


def too_long(id: int, sample: int = 0, **given: Any) -> Row:
    """One longer than the student's context, as `score` leaves it."""
    return response(id, sample, **{"tokens": 3000, "nll": NAN, "perplexity": NAN, **given})


def selected(
    scored: dict[str, list[Row]],
    folder: Path,
    count: int | None = None,
    longest: int | None = None,
    within: Iterable[int] | None = None,
    asked: int | None = None,
    **match: Any,
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Ids taken by origin, and the facts of the selection by origin."""
    work = Work(folder, Runtime(Store(folder)), "select", {})
    made = rows_selected(
        {origin: Rows.of(rows) for origin, rows in scored.items()},
        Match.model_validate({"minimum": 1, **match}),
        count,
        0,
        None if within is None else dict.fromkeys(scored, Rows.of([response(id) for id in within])),
        longest,
        None if asked is None else dict.fromkeys(scored, Rows.of([{"id": f"q{id:02d}"} for id in range(asked)])),
        work=work,
    )
    ids = {origin: [row["id"] for row in made if row["origin"] == origin] for origin in scored}
    facts: dict[str, Any] = work.facts["origins"]
    for each in facts.values():
        assert each["asked"] == each["taken"] + sum(each["left_out"].values())
        assert set(each["left_out"]) <= set(REASONS)
    return ids, facts


@pytest.mark.parametrize("correct", ["only", "any", "same"])
@pytest.mark.parametrize("longest", [None, 100])
def test_all_arms_do_without_what_one_of_them_has_too_long(tmp_path: Path, correct: str, longest: int | None) -> None:
    long = too_long if longest is None else lambda id: response(id, tokens=91)
    a = [long(id) if id % 3 == 0 else response(id) for id in range(45)]
    b = [response(id) for id in range(45)]
    ids, facts = selected({"a": a, "b": b}, tmp_path, longest=longest, correct=correct)
    assert ids["a"] == ids["b"] == [f"q{id:02d}" for id in range(45) if id % 3]
    assert facts["a"]["left_out"] == {"too_long": 15}
    assert facts["b"]["left_out"] == {"unmatched": 15}
    assert facts["a"]["tokens_mean"] == 20


def test_a_row_as_long_as_the_trainer_holds_is_taken(tmp_path: Path) -> None:
    rows = [response(0, tokens=90), response(1, tokens=91)]
    assert selected({"a": rows}, tmp_path, longest=100)[0]["a"] == ["q00"]


def test_without_matched_questions_arms_are_of_one_size(tmp_path: Path) -> None:
    a = [too_long(id) if id % 3 == 0 else response(id) for id in range(45)]
    ids, facts = selected({"a": a, "b": [response(id) for id in range(45)]}, tmp_path, questions=False)
    assert len(ids["a"]) == len(ids["b"]) == 30
    assert facts["b"]["left_out"] == {"surplus": 15}


def test_a_shorter_sample_stands_in_for_one_that_is_too_long(tmp_path: Path) -> None:
    for pick in ("first", "random", "lowest_perplexity", "highest_perplexity"):
        rows = [row for id in range(20) for row in (too_long(id), response(id, 1), too_long(id, 2))]
        work = Work(tmp_path, Runtime(Store(tmp_path)), "select", {})
        made = rows_selected({"a": Rows.of(rows)}, Match.model_validate({"pick": pick}), None, 0, work=work)
        assert {row["sample"] for row in made} == {1}
        assert work.facts["origins"]["a"]["left_out"] == {}
        assert work.facts["origins"]["a"]["responses_left_out"] == {"too_long": 40}


def test_mean_tokens_are_brought_together_over_what_can_be_trained_on(tmp_path: Path) -> None:
    a = [too_long(id) if id < 10 else response(id, tokens=20 + id % 5) for id in range(40)]
    b = [response(id, tokens=22 + id % 7) for id in range(40)]
    ids, facts = selected({"a": a, "b": b}, tmp_path, tokens=0.05)
    assert ids["a"] == ids["b"]
    assert not set(ids["a"]) & {f"q{id:02d}" for id in range(10)}
    assert facts["a"]["left_out"]["too_long"] == 10
    assert len(ids["a"]) + facts["a"]["left_out"].get("lengths", 0) == 30
    assert facts["b"]["tokens_mean"] / facts["a"]["tokens_mean"] <= 1.05


def test_a_question_has_the_reason_of_its_response_that_came_nearest(tmp_path: Path) -> None:
    rows = [
        *(response(0, response=None, verdict="unparseable", nll=None, tokens=None), response(1, response="")),
        *(response(2, verdict="error"), response(3, verdict=None)),
        *(response(4, verdict="wrong"), response(4, 1, verdict="unparseable")),
        *(response(5, 0, verdict="wrong"), response(5, 1, finish="length")),
        *(response(6, 0, finish="length"), too_long(6, 1), response(6, 2, verdict="wrong")),
        response(7, response="", finish="no_room", verdict="unparseable", nll=NAN),
        response(8),
    ]
    _, facts = selected({"a": rows}, tmp_path, asked=11)
    assert facts["a"]["left_out"] == {
        "no_response": 2 + 2,
        "no_room": 1,
        "no_verdict": 2,
        "not_correct": 1,
        "cut_off": 1,
        "too_long": 1,
    }
    assert (facts["a"]["asked"], facts["a"]["taken"], facts["a"]["questions"]) == (11, 1, 9)
    assert facts["a"]["responses_left_out"] == {
        **{"no_response": 2, "no_room": 1, "no_verdict": 2, "not_correct": 4, "cut_off": 2, "too_long": 1}
    }


def test_rows_whose_questions_lie_apart_are_counted_once(tmp_path: Path) -> None:
    rows = [*(too_long(id) for id in range(20)), *(response(id, 1, verdict="wrong") for id in range(20)), response(20)]
    assert selected({"a": rows}, tmp_path)[1]["a"]["left_out"] == {"too_long": 20}


def test_a_control_and_a_limit_are_counted(tmp_path: Path) -> None:
    rows = [too_long(id) if id < 5 else response(id) for id in range(40)]
    _, facts = selected({"a": rows}, tmp_path, within=range(30), count=10)
    assert facts["a"]["left_out"] == {"too_long": 5, "other_questions": 10, "surplus": 15}


def test_an_arm_with_nothing_to_train_on_says_why(tmp_path: Path) -> None:
    scored = {"a": [too_long(id) for id in range(40)], "b": [response(id) for id in range(40)]}
    with pytest.raises(StageFailed, match=r"a limits it: .* a 0, b 40 \(40 too long for the student\)"):
        selected(scored, tmp_path, minimum=10)
    rows = {origin: Rows.of(given) for origin, given in scored.items()}
    assert few(rows, Match(), None) == {"a": (0, " (40 too long for the student)")}
    assert few(rows, Match(), 29) == {
        "a": (0, " (40 too long for the student)"),
        "b": (0, " (40 too long for the student)"),
    }


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return resolve(str(tiny_model))


def given(model: Model) -> dict[str, list[Row]]:
    """Responses of two origins to 18 questions; the first's are too long for every third."""
    found: dict[str, list[Row]] = {"a": [], "b": []}
    for id in range(18):
        row = {"id": f"q{id}", "sample": 0, "question": f"Ann has {id} apples and buys 3 more.", "verdict": "correct"}
        long = "She has 7. " * renderer(model).context
        found["a"].append({**row, "response": long if id % 3 == 0 else f"She has {id + 3}."})
        found["b"].append({**row, "response": f"There are {id} and 3, so {id + 3}."})
    return found


def test_arms_are_trained_on_the_rows_that_were_selected(model: Model, tmp_path: Path) -> None:
    rows = given(model)
    # The longest prompt of a row decides nothing alone: a limit on prompt and response together leaves out more.
    limit = max(len(renderer(model).row(PROMPT, row).ids) for row in rows["b"][:12])
    for longest in (None, limit):
        scored = {origin: Rows.of(score.function(Rows.of(each), model, PROMPT)) for origin, each in rows.items()}
        work = Work(tmp_path / f"{longest}", Runtime(Store(tmp_path)), "select", {})
        chosen = rows_selected(scored, Match(minimum=1), None, 0, None, longest, work=work)
        method = Sft(epochs=1, batch=4, learning_rate=1e-2, rank=2, max_tokens=longest)
        trained = set()
        for origin in ("a", "b"):
            trainer = Work(tmp_path / f"{longest} {origin}", Runtime(Store(tmp_path)), "finetune", {})
            trainer.folder.mkdir()
            mine = Rows.of([row for row in chosen if row["origin"] == origin])
            finetune.function(mine, model, PROMPT, method, 0, work=trainer)
            trained.add((trainer.facts["rows"], trainer.facts["longest"]))
        assert trained == {(work.facts["left"]["taken"]["a"], longest or renderer(model).context)}
        assert (
            work.facts["left"]["taken"]["a"] == 12 if longest is None else 8 <= work.facts["left"]["taken"]["a"] <= 12
        )


def test_a_row_that_selection_should_have_left_out_is_a_bug(model: Model, tmp_path: Path) -> None:
    rows = [{**row, "origin": "a"} for row in given(model)["a"]]

    def train(rows: list[Row], method: Sft) -> None:
        work = Work(tmp_path, Runtime(Store(tmp_path)), "finetune", {})
        finetune.function(Rows.of(rows), model, PROMPT, method, 0, work=work)

    with pytest.raises(StagesDisagree, match=r"row q0 has \d+ tokens, and \d+ can be trained on"):
        train(rows, Sft())
    with pytest.raises(StagesDisagree, match=r"row q1 has \d+ tokens, and 5 can be trained on"):
        train(rows[1:3], Sft(max_tokens=5))
    scored = [{**row, "origin": "a"} for row in score.function(Rows.of(rows[1:3]), model, PROMPT)]
    scored[1]["tokens"] += 1
    with pytest.raises(StagesDisagree, match=r"row q\d has \d+ tokens for training, and \d+ for its perplexity"):
        train(scored, Sft())
