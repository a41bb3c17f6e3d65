"""What an artifact holds does not depend on how it was made: whole, by shares in any order, or grown from a smaller
study's rows. With the real engine and trainer."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from flows.config.study_file import load
from flows.planning.plan import Plan, expand
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import divisible, execute_shard
from tasks.resources.placement import Placement
from tasks.storage.artifacts import Store

SMALL = ["train=[abacus/boxes]", "evaluate=[abacus/boxes, abacus/clock]", "seeds=[0]", "method.epochs=1"]

MEASURED = ("read_again", "predict", "compare", "report")
"""Stages whose tables hold likelihoods: their last digits depend on which rows shared a forward pass. (The report says
besides how each step was made.) What is chosen, trained on and answered does not."""


def study(train: int, evaluate: int, samples: int) -> Plan:
    own = f"origins.self={{samples: {samples}, temperature: 0.7, max_tokens: 120}}"
    return expand(load("abacus", [*SMALL, f"questions={{train: {train}, evaluate: {evaluate}}}", own]))


def assert_close(one: pd.DataFrame, other: pd.DataFrame) -> None:
    floats = ["nll", "perplexity"]
    tokens = ["nll_of_tokens", "rank_of_tokens", "token_nll"]
    pd.testing.assert_frame_equal(one[floats], other[floats], rtol=1e-4)
    pd.testing.assert_frame_equal(one.drop(columns=floats + tokens), other.drop(columns=floats + tokens))


@pytest.mark.slow
def test_an_artifact_holds_the_same_whole_by_shares_and_grown(tmp_path: Path) -> None:
    whole, grown = (Runtime(Store(tmp_path / name), Placement(kv_cache_gib=0.5)) for name in ("whole", "grown"))
    plan = study(60, 12, 6)
    taken: Counter[str] = Counter()
    try:
        made = {node.recipe: execute(node, whole)[0] for node in plan.nodes}
        whole.close()
        for node in study(40, 8, 3).nodes:
            execute(node, grown)
        for node in plan.nodes:
            for number in (2, 0, 1) if divisible(node) else ():
                execute_shard(node, number, 3, grown)
            artifact = execute(node, grown)[0]
            taken[node.stage.name] += sum(artifact.manifest.get("taken", {}).values())
            if node.stage.name == "score":
                assert_close(artifact.rows().frame(), made[node.recipe].rows().frame())
            elif node.stage.name not in MEASURED:
                assert artifact.content == made[node.recipe].content, node.run_name
    finally:
        whole.close()
        grown.close()
    # 40 of 60 questions are the same; of 6 samples 3 are there, and are no rows of their own to take over.
    assert taken["generate"] >= 40 * 4
    assert min(taken["verify"], taken["score"]) >= 40 * (1 + 4 + 3)
    assert taken["evaluate"] >= 8 * 2
