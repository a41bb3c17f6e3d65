"""The search for the first pit against chances that are known, and the advantages that rollouts give."""

import random

import pytest

from tasks.steps.search import Search, Where
from tasks.steps.values import advantages


def searched(chances: list[float], seed: int, where: Where = "pit", again: int = 15) -> Search:
    """A search in a wrong response with a step a chance; chance k is that of being right from the first k steps."""
    rng = random.Random(seed)
    search = Search(len(chances), False, where, 5, again)
    while wanted := search.wanted():
        for prefix, made, more in wanted:
            assert made == search.made.get(prefix, 0)
            search.add(prefix, more, sum(rng.random() < chances[prefix] for _ in range(more)))
    return search


@pytest.mark.parametrize("where", ["pit", "all"])
@pytest.mark.parametrize("pit", range(9))
def test_the_pit_is_the_step_after_which_nothing_is_right(where: Where, pit: int) -> None:
    assert searched([1.0] * (pit + 1) + [0.0] * (8 - pit), seed=0, where=where).pit == pit


def test_a_question_that_is_never_right_has_no_pit() -> None:
    search = searched([0.0] * 6, seed=0)
    assert search.pit is None
    assert search.made == {0: 20}


def test_a_response_of_one_step_loses_the_answer_there() -> None:
    assert searched([0.4], seed=0).pit == 0


def test_a_prefix_from_which_a_few_fail_together_is_tried_again() -> None:
    # From each of the first four prefixes the student is right in 3 of 10 tries: five fail together in 17 % of cases.
    chances = [0.3, 0.3, 0.3, 0.3, 0.0, 0.0]
    once = sum(searched(chances, seed, again=0).pit == 3 for seed in range(400)) / 400
    surely = sum(searched(chances, seed).pit == 3 for seed in range(400)) / 400
    assert once < 0.80
    assert surely > 0.97


def test_a_binary_search_finds_the_pits_of_all_rollouts_with_half_of_them() -> None:
    rng = random.Random(5)
    same = binary = exhaustive = 0
    for seed in range(300):
        steps = rng.randint(4, 10)
        pit = rng.randrange(steps)
        chances = [rng.uniform(0.3, 0.9) for _ in range(pit + 1)] + [0.0] * (steps - pit - 1)
        few, all_ = searched(chances, seed), searched(chances, seed, "all")
        same += few.pit == all_.pit
        binary += sum(few.made.values())
        exhaustive += sum(all_.made.values())
    assert same / 300 >= 0.95
    assert binary < exhaustive


def decided(results: list[list[bool]], where: Where = "pit") -> Search:
    """A search in a wrong response of which each rollout from each prefix is known."""
    found = Search(len(results), False, where, 5, 15)
    while wanted := found.wanted():
        for prefix, made, more in wanted:
            found.add(prefix, more, sum(results[prefix][made : made + more]))
    return found


def test_two_rollouts_first_decide_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(11)
    fewer = at_once = 0
    for _ in range(500):
        chances = [rng.choice([0.0, 0.1, 0.3, 0.6, 0.9]) for _ in range(rng.randint(1, 10))]
        results = [[rng.random() < chance for _ in range(20)] for chance in chances]
        monkeypatch.setattr("tasks.steps.search.FIRST", 2)
        two_first = decided(results)
        monkeypatch.setattr("tasks.steps.search.FIRST", 5)
        all_five = decided(results)
        assert two_first.pit == all_five.pit
        assert two_first.made.keys() == all_five.made.keys()
        fewer, at_once = fewer + sum(two_first.made.values()), at_once + sum(all_five.made.values())
    assert fewer < 0.9 * at_once


@pytest.mark.parametrize(("chance", "tries"), [(0.3, 5), (0.1, 5), (0.3, 20), (0.1, 20)])
def test_how_often_a_prefix_fails_by_luck_is_binomial(chance: float, tries: int) -> None:
    # One prefix alone, of a response of one step: without `again` five tries decide, with it twenty.
    rng, studies = random.Random(2), 4000
    fails = 0
    for _ in range(studies):
        found = Search(1, False, "pit", 5, tries - 5)
        while wanted := found.wanted():
            for prefix, _, more in wanted:
                found.add(prefix, more, sum(rng.random() < chance for _ in range(more)))
        fails += found.pit is None
    assert fails / studies == pytest.approx((1 - chance) ** tries, abs=0.025)


def test_a_right_rollout_is_enough() -> None:
    found = decided([[True] * 20, [False, True] * 10, [False] * 20])
    assert found.pit == 1
    assert found.made == {0: 2, 1: 2, 2: 20}


@pytest.mark.parametrize(
    ("correct", "right", "expected"),
    [
        ([5, 5, 0], False, [0.0, -1.0, 0.0]),  # the second step loses it
        ([0, 0, 5], True, [0.0, 1.0, 0.0]),
        ([1, 0, 0], False, [-1.0, 0.0, 0.0]),  # of the best of five, one of five is enough
    ],
)
def test_advantages_are_what_each_step_adds(correct: list[int], right: bool, expected: list[float]) -> None:
    assert advantages([5] * len(correct), correct, right) == pytest.approx(expected)


def test_advantages_sum_to_the_result_less_the_value_of_the_question() -> None:
    # V = 1 - C(8, 5) / C(10, 5) = 1 - 56 / 252.
    made, correct = [10, 10, 10], [2, 3, 1]
    assert sum(advantages(made, correct, False)) == pytest.approx(-(1 - 56 / 252))
    assert sum(advantages(made, correct, True)) == pytest.approx(56 / 252)


def test_fewer_rollouts_than_the_best_is_taken_of_have_no_value() -> None:
    with pytest.raises(ValueError, match="pass@5 of 4 samples"):
        advantages([5, 4], [1, 1], False)
