"""Predictors: each on numbers that can be worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tasks.kinds.predictors import Candidate, InContext, Predictor, Response, TrainingSet, directions, kinds_by_name
from tasks.prediction.training_set import values
from tasks.predictors.rank_surprisal_ratio import of_response

LN2 = math.log(2)


def response(id: str, nll: list[float], rank: list[int], **more: object) -> Response:
    found = Response(id, "", np.array(nll), np.array(rank), ending=1)
    return replace(found, **more)  # type: ignore[arg-type]


ONE = response("q1", [LN2, 3 * LN2, 0.0, 0.0], [2, 150, 1, 1], steps=(1, 3), verdict="correct", text="six and two")
"""Perplexity 2; the last token ends the turn."""
TWO = response("q2", [2 * LN2, 0.0], [3, 1], steps=(1,), verdict="wrong", text="a b")
"""Perplexity 2 as well, of half the tokens."""
CANDIDATES = (
    Candidate("q1", 4 * LN2, 4, "correct"),
    Candidate("q1", LN2, 4, "wrong"),
    Candidate("q1", math.nan, 9, "unparseable"),
    Candidate("q2", 2 * LN2, 2, "wrong"),
    Candidate("q9", 0.0, 1, "correct"),
    Candidate("q9", 0.1, 1, "error"),
)
SET = TrainingSet([ONE, TWO], CANDIDATES, own={"q1": ["six and two is eight", "no"], "q3": ["six and two"]})


def value(name: str, rows: TrainingSet = SET) -> float:
    return values({name: kinds_by_name()[name]}, rows)[name]


def test_perplexity_three_ways() -> None:
    third = response("q3", [5 * LN2], [9])
    rows = TrainingSet([ONE, TWO, third])
    assert value("perplexity_mean", rows) == pytest.approx((2 + 2 + 32) / 3)
    assert value("perplexity_median", rows) == pytest.approx(2)
    assert value("perplexity_corpus", rows) == pytest.approx(2 ** (11 / 7))


def test_length_counts_all_tokens() -> None:
    assert value("length") == 3


def test_surprising_are_tokens_of_a_perplexity_above_2_5() -> None:
    """2 is not, 8 and 4 are."""
    assert value("surprising_share") == pytest.approx(2 / 6)


def test_grape_is_of_the_best_candidate_of_each_question_trained_on() -> None:
    assert value("grape") == pytest.approx((-LN2 / 4 + -LN2) / 2)
    assert value("grape", replace(SET, candidates=())) == pytest.approx(-LN2)


def test_local_naturalness_is_a_mean_over_steps() -> None:
    """Of q1: the first step has −ln 2, the second the mean of −3 ln 2 and 0."""
    rows = TrainingSet([replace(each, local_nll=each.nll[:-1]) for each in (ONE, TWO)])
    assert value("local_naturalness", rows) == pytest.approx(((-LN2 - 1.5 * LN2) / 2 + -2 * LN2) / 2)


def test_without_first_tokens_what_is_left_of_a_step_counts() -> None:
    """Steps of one token have nothing left: of q1 there remains the last token of its second step, of q2 nothing."""
    rows = TrainingSet([replace(each, local_nll=np.array([7.0, 8.0, 0.5])[: each.words]) for each in (ONE, TWO)])
    assert value("local_naturalness_drop", rows) == pytest.approx(-0.5)


def test_the_rank_surprisal_ratio_cuts_ranks_at_100_and_leaves_the_end_of_the_turn_out() -> None:
    """Mean rank and nll of q1 are 103/3 and 4 ln 2/3; of q2, 3 and 2 ln 2."""
    assert of_response(ONE) == pytest.approx(103 / (4 * LN2))
    assert value("rank_surprisal_ratio") == pytest.approx((103 / 3 + 3) / (4 * LN2 / 3 + 2 * LN2))


def test_in_context_perplexity_is_a_mean_over_the_responses_that_were_read() -> None:
    rows = TrainingSet(
        [replace(ONE, in_context=InContext(6 * LN2, 3)), replace(ONE, in_context=InContext(0.0, 3)), TWO]
    )
    assert value("in_context_perplexity", rows) == pytest.approx((4 + 1) / 2)


def test_pass_rate_is_of_all_candidates_and_wrong_responses_of_those_trained_on() -> None:
    assert value("pass_rate") == pytest.approx(2 / 5)
    assert value("wrong_share") == pytest.approx(1 / 2)


def test_the_distance_from_own_words_is_to_the_nearest_own_response() -> None:
    """ "six and two" lacks two of the five words of the nearer one; q2 has no own response."""
    assert value("own_words") == pytest.approx(2 / 5)


@pytest.mark.parametrize("name", ["local_naturalness", "local_naturalness_drop", "in_context_perplexity", "own_words"])
def test_what_was_not_measured_has_no_value(name: str) -> None:
    assert math.isnan(value(name, replace(SET, own={})))
    assert math.isnan(value(name, TrainingSet([])))


def test_verdicts_are_needed_where_they_count() -> None:
    unjudged = [replace(each, verdict=None) for each in SET.responses]
    assert math.isnan(value("wrong_share", replace(SET, responses=unjudged)))


def test_each_says_what_it_is() -> None:
    kinds = kinds_by_name()
    assert len(kinds) >= 13
    assert len({title for title, _ in directions().values()}) == len(kinds)
    assert {better for _, better in directions().values()} == {"lower", "higher"}
    for kind in kinds.values():
        assert issubclass(kind, Predictor)
        assert len(str(__import__(kind.__module__, fromlist=["x"]).__doc__)) > 100
