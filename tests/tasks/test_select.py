"""Selection makes arms alike in questions, correctness, count and length, and says what it cost."""

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import Bounds, LinearConstraint, milp

from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.selection.length_match import most, within_tolerance
from tasks.selection.match import Match
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.tasks.selected import selected


def response(id: int, sample: int = 0, verdict: str = "correct", tokens: int = 10, perplexity: float = 2.0) -> Row:
    return {
        "id": f"q{id:03d}",
        "question": f"question {id}",
        "sample": sample,
        "response": f"{id} {sample}",
        "verdict": verdict,
        "tokens": tokens,
        "nll": 1.0,
        "perplexity": perplexity,
        "finish": "stop",
    }


def run(scored: dict[str, list[Row]], count: int | None = None, seed: int = 0, **match: Any) -> dict[str, list[Row]]:
    options = {"minimum": 1, **match}
    rows = {origin: Rows.of(given) for origin, given in scored.items()}
    made = selected(rows, Match.model_validate(options), count, seed)
    return {origin: [row for row in made if row["origin"] == origin] for origin in scored}


def ids(rows: list[Row]) -> list[str]:
    return [row["id"] for row in rows]


def test_arms_get_the_questions_that_every_origin_answers_correctly() -> None:
    human = [response(id) for id in range(30)]
    own = [response(id, sample, "correct" if id % 3 else "wrong") for id in range(5, 40) for sample in (0, 1)]
    taken = run({"human": human, "self": own})
    assert ids(taken["human"]) == ids(taken["self"]) == [f"q{id:03d}" for id in range(5, 30) if id % 3]
    assert {row["sample"] for row in taken["self"]} == {0}


def test_the_first_correct_sample_is_taken() -> None:
    own = [response(1, 0, "wrong"), response(1, 1, "unparseable"), response(1, 2), response(1, 3)]
    (row,) = run({"self": own})["self"]
    assert row["sample"] == 2


@pytest.mark.parametrize(("pick", "sample"), [("first", 0), ("lowest_perplexity", 2), ("highest_perplexity", 1)])
def test_which_sample_is_taken(pick: str, sample: int) -> None:
    own = [response(1, 0, perplexity=3), response(1, 1, perplexity=9), response(1, 2, perplexity=1)]
    assert run({"self": own}, pick=pick)["self"][0]["sample"] == sample


def test_within_takes_only_the_questions_of_other_rows() -> None:
    own = Rows.of([response(id, sample, "wrong") for id in range(30) for sample in (0, 1)])
    others = Rows.of([{**response(id), "origin": "human"} for id in (3, 5, 8)])
    made = selected({"self": own}, Match(correct="any", minimum=1), None, 0, {"self": others})
    assert ids(list(made)) == ["q003", "q005", "q008"]


def test_origins_with_questions_of_their_own_are_counted_by_them(tmp_path: Path) -> None:
    posed = [{**response(id), "id": f"posed/{id:06d}"} for id in range(20)]
    scored = {"human": Rows.of([response(id) for id in range(10)]), "posed": Rows.of(posed)}
    parts = {"human": scored["human"][:4], "posed": scored["posed"][:6]}
    work = Work(tmp_path, Runtime(Store(tmp_path)), "select", {})
    match = Match(questions=False, count=False, minimum=1)
    made = selected(scored, match, None, 0, parts, asked=parts, work=work)
    assert [row["id"] for row in made if row["origin"] == "posed"] == [f"posed/{id:06d}" for id in range(6)]
    assert {name: (each["taken"], each["left_out"]) for name, each in work.facts["origins"].items()} == {
        "human": (4, {"other_questions": 6}),
        "posed": (6, {"other_questions": 14}),
    }


def test_a_random_sample_is_the_same_for_the_same_seed() -> None:
    own = [response(id, sample) for id in range(40) for sample in range(4)]
    first, again, other = (
        [row["sample"] for row in run({"self": own}, seed=seed, pick="random")["self"]] for seed in (0, 0, 1)
    )
    assert first == again != other
    assert set(first) == {0, 1, 2, 3}


def test_any_takes_wrong_responses_but_no_errors_and_none_that_was_cut_off() -> None:
    own = [response(1, verdict="wrong"), response(2, verdict="error"), response(3), {**response(4), "finish": "length"}]
    assert ids(run({"self": own}, correct="any")["self"]) == ["q001", "q003"]
    assert ids(run({"self": own}, correct="any", cut_off=True)["self"]) == ["q001", "q003", "q004"]


def test_same_takes_questions_on_which_all_are_correct_or_none_is() -> None:
    one = [response(1), response(2, verdict="wrong"), response(3), response(4, 0, "wrong"), response(4, 1)]
    two = [response(1), response(2, verdict="unparseable"), response(3, verdict="wrong"), response(4)]
    taken = run({"one": one, "two": two}, correct="same")
    assert ids(taken["one"]) == ids(taken["two"]) == ["q001", "q002", "q004"]
    assert taken["one"][2]["sample"] == 1


def test_count_takes_the_same_random_part_of_every_arm() -> None:
    scored = {origin: [response(id) for id in range(100)] for origin in ("human", "teacher")}
    taken = run(scored, count=20)
    assert ids(taken["human"]) == ids(taken["teacher"]) == sorted(ids(taken["human"]))
    assert len(taken["human"]) == 20
    assert ids(taken["human"]) == ids(run(scored, count=20)["human"]) != ids(run(scored, count=20, seed=1)["human"])


def test_without_matched_questions_arms_still_have_one_size() -> None:
    scored = {"human": [response(id) for id in range(50)], "self": [response(id) for id in range(40, 70)]}
    taken = run(scored, questions=False)
    assert len(taken["human"]) == len(taken["self"]) == 30
    assert ids(taken["human"]) != ids(taken["self"])


def test_too_few_questions_fail_and_name_the_origin_that_limits() -> None:
    scored = {"human": [response(id) for id in range(50)], "self": [response(id) for id in range(3)]}
    message = r"3 questions with correct responses that all .*at least 10 .*self limits it.*human 50, self 3"
    with pytest.raises(StageFailed, match=message):
        run(scored, minimum=10)


def test_tokens_are_brought_together() -> None:
    human = [response(id, tokens=20 + id % 40) for id in range(200)]
    own = [response(id, tokens=25 + id % 7) for id in range(200)]
    before = fmean(row["tokens"] for row in human) / fmean(row["tokens"] for row in own)
    assert before > 1.3
    taken = run({"human": human, "self": own}, tokens=0.05)
    lengths = [fmean(row["tokens"] for row in rows) for rows in taken.values()]
    assert max(lengths) / min(lengths) <= 1.05
    assert ids(taken["human"]) == ids(taken["self"])
    assert len(taken["human"]) > 90


def test_questions_in_reserve_replace_those_left_out() -> None:
    human = [response(id, tokens=20 + id % 40) for id in range(200)]
    own = [response(id, tokens=25 + id % 7) for id in range(200)]
    taken = run({"human": human, "self": own}, count=60, tokens=0.05)
    assert len(taken["human"]) == 60
    lengths = [fmean(row["tokens"] for row in rows) for rows in taken.values()]
    assert max(lengths) / min(lengths) <= 1.05


def test_tokens_that_cannot_be_brought_together_fail() -> None:
    scored = {
        "human": [response(id, tokens=100) for id in range(50)],
        "self": [response(id, tokens=10) for id in range(50)],
    }
    message = r"cannot be brought within 5% .* 0 of 50 would remain .*human 100.0, self 10.0"
    with pytest.raises(StageFailed, match=message):
        run(scored, tokens=0.05)


def test_three_origins_are_brought_together() -> None:
    tokens = {
        "a": [n % 11 + 10 for n in range(300)],
        "b": [n % 17 + 9 for n in range(300)],
        "c": [n % 5 + 12 for n in range(300)],
    }
    places, apart = within_tolerance(tokens, 0.02, 300)
    means = [fmean(of[place] for place in places) for of in tokens.values()]
    assert max(means) / min(means) - 1 == pytest.approx(apart)
    assert apart <= 0.02
    assert len(places) > 50


def lengths(count: int, *means: float, spread: float = 14, seed: int = 0) -> dict[str, list[int]]:
    """Lengths of origins that differ, on questions that are long or short for all of them."""
    rng = np.random.default_rng(seed)
    question = rng.normal(0, 5, count)
    return {
        f"origin {mean:g}": np.maximum(3, mean + question + rng.normal(0, spread, count)).astype(int).tolist()
        for mean in means
    }


def largest(tokens: dict[str, list[int]], tolerance: float, size: int) -> int:
    """The size of the largest choice there is, by integer programming."""
    counts = np.array(list(tokens.values()), dtype=float)
    origins, questions = counts.shape
    least = np.ones((origins, 1))
    bounds = np.vstack([np.hstack([-counts, least]), np.hstack([counts, -(1 + tolerance) * least])])
    found = milp(
        np.append(-np.ones(questions), 0),
        constraints=[
            LinearConstraint(bounds, -np.inf, 0),
            LinearConstraint(np.append(np.ones(questions), 0)[None], 0, size),
        ],
        integrality=np.append(np.ones(questions), 0),
        bounds=Bounds(0, np.append(np.ones(questions), np.inf)),
    )
    return round(-found.fun)


@pytest.mark.parametrize("seed", range(5))
def test_no_more_questions_are_left_out_than_must_be(seed: int) -> None:
    for tokens, size in ((lengths(24, 30, 34, 38, seed=seed), 24), (lengths(40, 30, 40, 50, seed=seed), 40)):
        places, apart = within_tolerance(tokens, 0.05, size)
        assert apart <= 0.05
        assert largest(tokens, 0.05, size) - len(places) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_three_origins_of_very_different_lengths_keep_nearly_what_the_bound_allows(seed: int) -> None:
    tokens = lengths(300, 30, 45, 60, seed=seed)
    places, apart = within_tolerance(tokens, 0.05, 300)
    means = [fmean(of[place] for place in places) for of in tokens.values()]
    assert max(means) / min(means) - 1 == pytest.approx(apart)
    assert apart <= 0.05
    assert most(tokens, 0.05) - 2 <= len(places) <= most(tokens, 0.05)
    assert len(places) > 30


def test_select_says_how_many_questions_of_one_length_remain(tmp_path: Path) -> None:
    notes: list[str] = []
    work = Work(
        tmp_path, Runtime(Store(tmp_path), listener=lambda kind, name, of: notes.append(str(of["text"]))), "select", {}
    )
    scored = {
        name: Rows.of([response(id, tokens=length) for id, length in enumerate(each)])
        for name, each in lengths(300, 30, 45, 60).items()
    }
    made = selected(scored, Match(tokens=0.05), None, 0, work=work)
    taken = work.facts["left"]["taken"]["origin 30"]
    assert len(made) == 3 * taken
    assert work.facts["left"]["shared"]["origin 30"] == 300
    assert work.facts["tokens_within"] <= 0.05
    assert f"{taken} of 300 questions remain" in notes[-1]


def test_tokens_that_were_kept_for_the_report_do_not_travel_on() -> None:
    row = {**response(1), "token_nll": [0.5], "token_text": ["x"]}
    (made,) = run({"self": [row]})["self"]
    assert "token_nll" not in made
    assert made["tokens"] == 10


def test_facts_say_what_was_left_and_what_was_taken(tmp_path: Path) -> None:
    work = Work(tmp_path, Runtime(Store(tmp_path)), "select", {})
    scored = {
        "human": Rows.of([response(id, tokens=20, perplexity=4) for id in range(20)]),
        "self": Rows.of(
            [response(id, s, "wrong" if id < 5 else "correct", perplexity=id) for id in range(20) for s in (0, 1)]
        ),
    }
    selected(scored, Match(), 12, 0, work=work)
    assert work.facts["left"] == {
        "usable": {"human": 20, "self": 15},
        "shared": {"human": 15, "self": 15},
        "taken": {"human": 12, "self": 12},
    }
    own = work.facts["origins"]["self"]
    assert own["verdicts"] == {"correct": 30, "wrong": 10, "unparseable": 0, "error": 0, "missing": 0}
    assert own["pass_rate"] == 0.75
    assert (own["questions"], own["responses"], own["questions_passed"], own["taken"]) == (20, 40, 15, 12)
    assert work.facts["origins"]["human"]["tokens_mean"] == 20
    assert work.facts["origins"]["human"]["perplexity_median"] == 4


def test_matching_tokens_needs_matched_questions() -> None:
    with pytest.raises(ValidationError, match="they need `questions: true`"):
        Match(questions=False, tokens=0.1)
    with pytest.raises(ValidationError):
        Match.model_validate({"tokns": 0.1})
