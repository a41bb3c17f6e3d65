"""Of several arms the one that gains most where it gains least."""

import numpy as np
import pytest

from tasks.comparison.arms import Arms
from tasks.comparison.cell import Arm
from tasks.comparison.smallest_gain import smallest_gain
from tasks.comparison.statistics import Measured

ITEMS = 200


def arms(scores: dict[str, dict[str, float]]) -> Arms:
    """Arms by name with these scores on the benchmarks they are trained on; the untrained model has half everywhere."""
    trained = sorted({on for each in scores.values() for on in each})

    def answers(score: float) -> np.ndarray:
        return np.array([[1.0] * round(ITEMS * score) + [0.0] * round(ITEMS * (1 - score))])

    planned = [Arm("student", on, name, name, "sft") for name, each in scores.items() for on in each]
    made = {(arm, arm.train_benchmark): answers(scores[arm.arm][arm.train_benchmark]) for arm in planned}
    untrained = {(planned[0].untrained, on): answers(0.5) for on in trained}
    return Arms(Measured({**made, **untrained}), Measured({}), planned, trained)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (  # the mean gain of `hot` is larger, its smallest is smaller
            {"hot": {"x": 1.0, "y": 0.55}, "cool": {"x": 0.7, "y": 0.65}},
            "Training on cool responses gains most where it gains least: +15.0 points on y, 95 % interval ",
        ),
        (
            {"hot": {"x": 0.45, "y": 0.55}, "cool": {"x": 0.4, "y": 0.9}},
            "Training on hot responses gains most where it gains least: −5.0 points on x, 95 % interval ",
        ),
    ],
)
def test_the_arm_whose_smallest_gain_is_largest(scores: dict[str, dict[str, float]], said: str) -> None:
    (sentence,) = smallest_gain(arms(scores))
    assert sentence.startswith(said)


def test_one_arm_or_one_benchmark_leaves_nothing_to_choose() -> None:
    assert smallest_gain(arms({"hot": {"x": 1.0, "y": 0.5}})) == []
    assert smallest_gain(arms({"hot": {"x": 1.0}, "cool": {"x": 0.5}})) == []
