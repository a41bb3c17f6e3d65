"""Token weights and selective token masking: what counts in the loss of sft, and what does not."""

import math
from pathlib import Path
from typing import Any, Literal

import pytest

from tasks.methods.sft import Sft
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row
from tests.tasks.test_finetune import PROMPT, digests, here, model, nll_by_hand, rows

__all__ = ["model"]  # a fixture
NOTHING = "no response token of the 3 rows is left to learn from"
ONE_STEP = Sft(learning_rate=1e-3, batch=8, epochs=1, rank=4, alpha=8, warmup=0.0)


def weighted(model: Model, given: list[Row], weight: Any) -> list[Row]:
    """The rows with `weight(row number, token number)` for each response token."""
    tokens = [len(renderer(model).response(row["response"])) for row in given]
    return [
        {**row, "token_weights": [weight(number, token) for token in range(count)]}
        for number, (row, count) in enumerate(zip(given, tokens, strict=True))
    ]


def test_the_loss_is_the_mean_by_weight(model: Model, tmp_path: Path) -> None:
    given = rows(6)
    facts = here(model, tmp_path, weighted(model, given, lambda row, token: 0.5 * (token % 3)), ONE_STEP)
    nll = nll_by_hand(model, renderer(model).rows(PROMPT, given))
    pairs = [(0.5 * (token % 3), value) for row in nll for token, value in enumerate(row)]
    expected = sum(weight * value for weight, value in pairs) / sum(weight for weight, _ in pairs)
    assert facts["loss_first"] == pytest.approx(expected, abs=1e-4)


def test_weights_of_one_change_no_byte(model: Model, tmp_path: Path) -> None:
    method = Sft(learning_rate=1e-2, batch=4, epochs=2, dropout=0.1)
    here(model, tmp_path / "without", rows(10), method)
    here(model, tmp_path / "ones", weighted(model, rows(10), lambda row, token: 1), method)
    half = weighted(model, rows(10), lambda row, token: 1)
    half[0]["token_weights"] = None
    here(model, tmp_path / "some null", half, method)
    here(model, tmp_path / "nothing masked", rows(10), method.model_copy(update={"mask_above": 1e9}))
    for name in ("ones", "some null", "nothing masked"):
        assert digests(tmp_path / name) == digests(tmp_path / "without")


def test_a_row_without_weight_contributes_nothing(model: Model, tmp_path: Path) -> None:
    """It is as if it were not there, not even as a step of its own."""
    rest = weighted(model, rows(6), lambda row, token: 0 if row == 0 else 1)
    facts = here(model, tmp_path / "with", rest, ONE_STEP.model_copy(update={"batch": 1}))
    here(model, tmp_path / "without", rows(6)[1:], ONE_STEP.model_copy(update={"batch": 1}))
    assert (facts["rows"], facts["rows_without_weight"], facts["steps"]) == (6, 1, 5)
    assert all(math.isfinite(loss) for loss in facts["loss"])
    names = [name for name in digests(tmp_path / "with") if name != "probe.json"]
    assert [digests(tmp_path / "with")[name] for name in names] == [
        digests(tmp_path / "without")[name] for name in names
    ]


def test_surprising_tokens_are_left_out_of_the_loss_and_stay_in_the_input(model: Model, tmp_path: Path) -> None:
    given = rows(6)
    nll = nll_by_hand(model, renderer(model).rows(PROMPT, given))
    each = sorted(value for row in nll for value in row)
    middle = len(each) // 2
    threshold = math.exp((each[middle - 1] + each[middle]) / 2)
    facts = here(model, tmp_path / "masked", given, ONE_STEP.model_copy(update={"mask_above": threshold}))
    kept = [value for value in each if math.exp(value) <= threshold]
    assert len(kept) == middle
    assert facts["masked_share"] == pytest.approx(1 - middle / len(each))
    assert facts["loss_first"] == pytest.approx(sum(kept) / len(kept), abs=1e-4)
    by_hand = weighted(model, given, lambda row, token: float(math.exp(nll[row][token]) <= threshold))
    here(model, tmp_path / "by hand", by_hand, ONE_STEP)
    assert digests(tmp_path / "masked") == digests(tmp_path / "by hand")


@pytest.mark.parametrize("control", ["lowest", "random"])
def test_a_control_masks_as_many_tokens_of_each_response(
    model: Model, tmp_path: Path, control: Literal["lowest", "random"]
) -> None:
    """The loss is the mean over the tokens that are left: by hand for the lowest; at random as many, and others."""
    given = rows(6)
    nll = nll_by_hand(model, renderer(model).rows(PROMPT, given))
    each = sorted(value for row in nll for value in row)
    threshold = math.exp(each[2 * len(each) // 3] - 1e-3)
    method = ONE_STEP.model_copy(update={"mask_above": threshold, "masked": control})
    facts = here(model, tmp_path / control, given, method)
    counts = [sum(math.exp(value) > threshold for value in row) for row in nll]
    assert facts["masked_share"] == pytest.approx(sum(counts) / len(each))
    kept = [value for row, count in zip(nll, counts, strict=True) for value in sorted(row)[count:]]
    if control == "lowest":
        assert facts["loss_first"] == pytest.approx(sum(kept) / len(kept), abs=1e-4)
    else:
        below = [value for row in nll for value in row if math.exp(value) <= threshold]
        assert sum(below) / len(below) < facts["loss_first"] < sum(kept) / len(kept)
        assert here(model, tmp_path / "again", given, method)["loss_first"] == facts["loss_first"]


def test_a_control_needs_a_threshold() -> None:
    with pytest.raises(ValueError, match="`masked: random` needs `mask_above`"):
        Sft(masked="random")


@pytest.mark.parametrize(
    ("method", "weight", "message"),
    [
        (
            Sft(mask_above=1.0),
            1,
            "no response token of the 3 rows is left to learn from: mask_above: 1.0 masks them all",
        ),
        (Sft(), 0, "no response token of the 3 rows is left to learn from: token_weights are all 0"),
        (Sft(), -1, "row q0: token_weights has -1; allowed are numbers from 0 up"),
        (Sft(), math.nan, "row q0: token_weights has nan; allowed are numbers from 0 up"),
    ],
)
def test_weights_that_cannot_be_used_are_named(
    model: Model, tmp_path: Path, method: Sft, weight: float, message: str
) -> None:
    with pytest.raises(StageFailed) as caught:
        here(model, tmp_path, weighted(model, rows(3), lambda row, token: weight), method)
    assert str(caught.value) == message


def test_as_many_weights_as_tokens(model: Model, tmp_path: Path) -> None:
    tokens = len(renderer(model).response(rows(1)[0]["response"]))
    with pytest.raises(
        StageFailed, match=f"row q0: token_weights has 2 numbers; allowed is one for each of the {tokens}"
    ):
        here(model, tmp_path, [{**rows(1)[0], "token_weights": [1.0, 1.0]}], Sft())
