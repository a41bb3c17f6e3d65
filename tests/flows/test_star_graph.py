"""The star-graph study: rollouts, values and pits of models that are known, pairs, losses, and the command at a small
size."""

import copy
import random
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data.star_graph import END, StarGraph
from flows.star_graph import __main__ as command
from flows.star_graph.rollouts import Pit, Prefix, Wrong, completions, first_pits, right, values, wrong_responses
from flows.star_graph.sizes import QUICK
from flows.star_graph.study import ROWS, Outcome, graphs, table
from flows.star_graph.training import Text, answers_loss, nll, pair, per_step_dpo, sft

GRAPH = StarGraph(edges=((7, 12), (30, 7), (5, 19), (30, 5)), path=(30, 5, 19))
LIMIT = 4
OTHER_ARM = (30, 7, 12, END)


class Model:
    """Turns at the centre to an arm at random, or always to the one of `turn`, and follows it to its end. From a token
    that is no node it goes to the centre.

    Args:
        lost: what it says at the centre and from there on, instead.
    """

    def __init__(self, turn: int | None = None, lost: int | None = None) -> None:
        self.turn, self.lost, self.rng = turn, lost, random.Random(0)

    def next(self, node: int) -> int:
        if node not in {n for edge in GRAPH.edges for n in edge}:
            return 30 if node != self.lost else node
        if node == 30:
            return self.lost or self.turn or self.rng.choice([7, 5])
        return dict(GRAPH.edges).get(node, END)

    def generate(
        self, input_ids: Any, attention_mask: Any, num_return_sequences: int, max_new_tokens: int, **sampling: Any
    ) -> Any:
        import torch

        rows = []
        for row in input_ids.repeat_interleave(num_return_sequences, 0).tolist():
            for _ in range(max_new_tokens):
                row.append(0 if END in row else self.next(row[-1]))
            rows.append(row)
        return torch.tensor(rows)


def modelled(turn: int | None = None, lost: int | None = None) -> Any:
    return Model(turn, lost)


def test_completions_keep_the_prefix_and_end_with_their_end() -> None:
    prefixes = [Prefix(GRAPH, (30, 7)), Prefix(GRAPH), Prefix(GRAPH, (30, 5))]
    other, whole, same = completions(modelled(), prefixes, 20, LIMIT)
    assert set(other) == {OTHER_ARM}
    assert set(whole) == {OTHER_ARM, (30, 5, 19, END)}
    assert set(same) == {(30, 5, 19, END)}
    assert [len(each) for each in (other, whole, same)] == [20, 20, 20]


def test_a_response_without_its_end_is_cut_off_and_no_negative() -> None:
    assert completions(modelled(lost=40), [Prefix(GRAPH)], 2, LIMIT) == [[(30, 40, 40, 40)] * 2]
    assert wrong_responses(modelled(lost=40), [GRAPH], 5, LIMIT) == []


def test_different_wrong_responses_are_found_once() -> None:
    assert wrong_responses(modelled(), [GRAPH], 20, LIMIT) == [Wrong(GRAPH, OTHER_ARM)]
    assert wrong_responses(modelled(turn=5), [GRAPH], 20, LIMIT) == []


def test_accuracy_is_of_the_greedy_answer() -> None:
    assert right(modelled(turn=5), [GRAPH], LIMIT) == [True]
    assert right(modelled(turn=7), [GRAPH], LIMIT) == [False]


def test_values_are_best_of_five() -> None:
    """The centre completes to the path half the time: 1 - 0.5^5, estimated from 2000 completions; the same for a prefix
    that is asked for twice."""
    prefixes = [Prefix(GRAPH, steps) for steps in ((30,), (30, 7), (30, 5), (30,))]
    centre, other, same, again = values(modelled(), prefixes, 2_000, LIMIT)
    assert centre == again == pytest.approx(1 - 0.5**5, abs=0.02)
    assert (other, same) == (0, 1)


@pytest.mark.parametrize(
    ("model", "at"),
    [
        (modelled(), 1),  # it can get to the goal from the centre, and from the other arm no more
        (modelled(turn=5), 1),
        (modelled(turn=7), 0),  # it never turns right itself: the centre is blamed
        (modelled(lost=40), 0),
    ],
)
def test_the_first_pit_is_where_no_rollout_is_right(model: Any, at: int) -> None:
    wrong = Wrong(GRAPH, OTHER_ARM)
    assert wrong.wrong_turn == 1
    assert first_pits(model, [wrong], 20, LIMIT) == [Pit(wrong, at)]


def test_a_last_step_is_a_pit_without_rollouts() -> None:
    early = Wrong(GRAPH, (30, 5, END))
    assert first_pits(modelled(turn=5), [early], 5, LIMIT) == [Pit(early, 2)]


def test_a_pair_goes_on_from_before_the_pit() -> None:
    question = GRAPH.question
    chosen, rejected = pair(Pit(Wrong(GRAPH, OTHER_ARM), 1))
    assert (chosen, rejected) == (Text([*question, 30, 5, 19, END], 13), Text([*question, 30, 7], 13))
    chosen, rejected = pair(Pit(Wrong(GRAPH, OTHER_ARM), 0))
    assert (chosen, rejected) == (Text([*question, 30, 5, 19, END], 12), Text([*question, 30], 12))


@pytest.fixture(scope="module")
def checkpoints() -> Any:
    import torch

    torch.set_num_threads(1)
    return sft(QUICK, 0, graphs(QUICK, QUICK.train, "train 0"), graphs(QUICK, QUICK.validation, "validation"))


def test_checkpoints_are_of_one_training(checkpoints: Any) -> None:
    import torch

    validation = graphs(QUICK, QUICK.validation, "validation")
    with torch.no_grad():
        losses = {name: answers_loss(each.model, validation).item() for name, each in checkpoints.items()}
    assert checkpoints["under"].step < checkpoints["well"].step <= checkpoints["over"].step == QUICK.sft_steps
    assert losses["well"] <= min(losses.values())


def test_nats_are_those_of_the_stock_forward_pass(checkpoints: Any) -> None:
    import torch

    model, graph = checkpoints["well"].model, graphs(QUICK, 1, "test")[0]
    texts = [Text([*graph.question, *graph.answer], len(graph.question)), Text([*graph.question, 9], 22)]
    by_hand = []
    for text in texts:
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            each = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        by_hand.append(-each[text.start - 1 :])
    found = nll(model, texts)
    assert found.shape == (6,)
    assert torch.allclose(found, torch.cat(by_hand), atol=1e-4)


def test_dpo_moves_the_chosen_above_the_rejected_and_leaves_the_reference(checkpoints: Any) -> None:
    import torch

    model, seen = checkpoints["well"].model, graphs(QUICK, 2, "train 0")
    kept = copy.deepcopy(model.state_dict())
    pits = [Pit(Wrong(graph, (graph.path[0], seen[1 - at].path[1], END)), 1) for at, graph in enumerate(seen)]

    def margin(model: Any) -> torch.Tensor:
        with torch.no_grad():
            return torch.stack([nll(model, pair(pit)[1:]).sum() - nll(model, pair(pit)[:1]).sum() for pit in pits])

    assert bool((margin(per_step_dpo(model, pits, QUICK, 0)) > margin(model)).all())
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    assert per_step_dpo(model, [], QUICK, 0) is model


def test_a_change_is_paired_and_has_an_interval() -> None:
    """Two seeds of 100 graphs: 30 and 40 right before, the same and 20 more after."""
    found = [
        Outcome(
            policy,
            values,
            seed,
            25,
            0.5,
            10,
            7,
            [at < before for at in range(100)],
            [at < before + 20 for at in range(100)],
        )
        for policy, values in ROWS
        for seed, before in enumerate((30, 40))
    ]
    lines = table(found)
    assert list(zip(lines["policy"], lines["values"], strict=True)) == list(ROWS)
    line = lines.iloc[0]
    assert (line["before"], line["after"], line["change"]) == (35.0, 55.0, 20.0)
    assert (line["pairs"], line["at_wrong_turn"], line["sft_steps"]) == (20, 14, "25/25")
    assert 10 < line["change_low"] < 20 < line["change_high"] < 30


def test_the_command_writes_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["star_graph", "--quick", "--seeds", "1", "--out", str(tmp_path / "out")])
    command.main()
    summary = pd.read_csv(tmp_path / "out" / "summary.csv", dtype={"sft_steps": str})
    printed = capsys.readouterr().out
    assert list(zip(summary["policy"], summary["values"], strict=True)) == list(ROWS)
    assert summary.to_string(index=False) in printed
    assert (summary["pairs"] > 0).tolist() == [True] * 5 + [False]
    assert (summary["at_wrong_turn"] <= summary["pairs"]).all()
