"""One table: accuracy on unseen graphs before and after per-step DPO, by the model that judged the steps."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.star_graph import StarGraph, draw
from flows.star_graph.rollouts import first_pits, right, wrong_responses
from flows.star_graph.sizes import Sizes
from flows.star_graph.training import per_step_dpo, positives_only, sft
from tasks.comparison.statistics import Estimate, Measured, Term

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS = (
    ("under", "under"),
    ("well", "well"),
    ("over", "over"),
    ("well", "under"),
    ("well", "over"),
    ("well", "positives only"),
)
"""The checkpoint that answers and is trained, and the one whose rollouts value its steps. The paper has one model for
both; the next two rows hold the answers fixed; the last trains on right answers alone."""


@dataclass(frozen=True)
class Outcome:
    """One row with one seed."""

    policy: str
    values: str
    seed: int
    policy_step: int
    train_accuracy: float
    """Greedy, before tuning, on the training graphs asked."""
    pairs: int
    at_wrong_turn: int
    """Pits that are the first step that the right answer has not."""
    before: list[bool]
    after: list[bool]


def graphs(sizes: Sizes, count: int, name: str) -> list[StarGraph]:
    """Different draws for different names: a graph of ten labels out of thirty does not come twice."""
    rng = random.Random(f"star graph {name}")
    return [draw(rng, sizes.arms, sizes.length, sizes.labels) for _ in range(count)]


def outcomes(sizes: Sizes, seed: int, log: Callable[[str], None]) -> list[Outcome]:
    """All rows of one seed. Training graphs, first weights and samples go by the seed, test graphs are the same."""
    import torch

    train, validation = graphs(sizes, sizes.train, f"train {seed}"), graphs(sizes, sizes.validation, "validation")
    test, asked, limit = graphs(sizes, sizes.test, "test"), train[: sizes.asked], sizes.answer_tokens
    checkpoints = sft(sizes, seed, train, validation)
    torch.manual_seed(seed)
    before = {name: right(each.model, test, limit) for name, each in checkpoints.items()}
    learnt = {name: share(right(each.model, asked, limit)) for name, each in checkpoints.items()}
    wrong = {name: wrong_responses(each.model, asked, sizes.samples, limit) for name, each in checkpoints.items()}
    found = []
    for policy, values in ROWS:
        model = checkpoints[policy].model
        pits = []
        if values in checkpoints:
            pits = first_pits(checkpoints[values].model, wrong[policy], sizes.rollouts, limit)
            tuned = per_step_dpo(model, pits, sizes, seed)
        else:
            tuned = positives_only(model, asked, sizes, seed)
        after = right(tuned, test, limit)
        at_wrong_turn = sum(pit.at == pit.wrong.wrong_turn for pit in pits)
        log(
            f"seed {seed}: policy {policy} (step {checkpoints[policy].step}, {learnt[policy]:.1%} of its training "
            f"graphs), values {values}: {len(pits)} pairs, {at_wrong_turn} at the wrong turn; test accuracy "
            f"{share(before[policy]):.1%} -> {share(after):.1%}"
        )
        found.append(
            Outcome(
                policy=policy,
                values=values,
                seed=seed,
                policy_step=checkpoints[policy].step,
                train_accuracy=learnt[policy],
                pairs=len(pits),
                at_wrong_turn=at_wrong_turn,
                before=before[policy],
                after=after,
            )
        )
    return found


def share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)


def table(found: Sequence[Outcome]) -> "pd.DataFrame":
    """A line for each of `ROWS`, in percent and percentage points with 95 % intervals over test graphs and seeds.

    The change is taken graph by graph and seed by seed, so what a seed gives both accuracies is not in its interval.
    """
    import numpy as np
    import pandas as pd

    lines = []
    for policy, values in ROWS:
        of = [each for each in found if (each.policy, each.values) == (policy, values)]
        before, after = (np.array([getattr(each, name) for each in of], dtype=float) for name in ("before", "after"))
        line: dict[str, object] = {"policy": policy, "values": values, "seeds": len(of)}
        line["sft_steps"] = "/".join(str(each.policy_step) for each in of)
        line["train_before"] = round(100 * float(np.mean([each.train_accuracy for each in of])), 1)
        line["pairs"] = sum(each.pairs for each in of)
        line["at_wrong_turn"] = sum(each.at_wrong_turn for each in of)
        for name, scores, limits in (
            ("before", before, (0.0, 1.0)),
            ("after", after, (0.0, 1.0)),
            ("change", after - before, (-1.0, 1.0)),
        ):
            estimate = estimated(scores, limits)
            for part in ("value", "low", "high"):
                line[name if part == "value" else f"{name}_{part}"] = round(100 * getattr(estimate, part), 1)
        lines.append(line)
    return pd.DataFrame(lines)


def estimated(scores: "np.ndarray", limits: tuple[float, float]) -> Estimate:
    """The mean of scores (seeds × test graphs) with its interval."""
    return Measured({("row", "test"): scores}, limits).estimate([Term("row", "test")])
