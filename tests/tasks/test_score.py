"""Perplexity: the same numbers as a plain forward pass, however rows are batched, resumed or shared."""

import dataclasses
import math
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks import score as scoring
from tasks import slots
from tasks.errors import StageFailed, Transient
from tasks.likelihood import Likelihood, negative_log_likelihoods
from tasks.model import Model, resolve
from tasks.parts import Parts
from tasks.render import renderer
from tasks.rows import Row, Rows
from tasks.runtime import Placement, Runtime
from tasks.score import familiarity, load, perplexity, score
from tasks.stage import Work, execute, stage
from tasks.store import Store

PROMPT = "{{ question }}"


def responses(count: int) -> list[Row]:
    rng = random.Random(0)
    return [
        {
            "id": f"q{i}",
            "sample": 0,
            "question": f"Ann has {i} apples and buys {rng.randint(1, 9)} more.",
            "response": " ".join(f"She has {rng.randint(0, 99)}." for _ in range(rng.randint(0, 9))),
        }
        for i in range(count)
    ]


@stage()
def answered(count: int) -> list[Row]:
    return responses(count)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return resolve(str(tiny_model))


@pytest.fixture(scope="module")
def by_hand(model: Model) -> dict[str, list[float]]:
    """Log-probability of every response token from full logits, one row at a time."""
    import torch

    network = load(model)
    found = {}
    for row in responses(40):
        rendered = renderer(model).row(PROMPT, row)
        ids = torch.tensor([rendered.ids])
        with torch.no_grad():
            log_probabilities = network(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
        each = log_probabilities.gather(1, ids[0, 1:, None])[:, 0]
        found[row["id"]] = each[rendered.prompt_length - 1 :].tolist()
    return found


def test_perplexity_is_that_of_a_plain_forward_pass(model: Model, by_hand: dict[str, list[float]]) -> None:
    for row in score.function(Rows.of(responses(40)), model, PROMPT):
        expected = by_hand[row["id"]]
        assert row["tokens"] == len(expected)
        assert row["nll"] == pytest.approx(-sum(expected), abs=1e-3)
        assert row["perplexity"] == pytest.approx(math.exp(-sum(expected) / len(expected)), rel=1e-4)


@pytest.mark.parametrize("budget", [1, 100, 1000, 100_000])
def test_the_batch_budget_changes_no_number(model: Model, by_hand: dict[str, list[float]], budget: int) -> None:
    rows = responses(40)
    found = negative_log_likelihoods(load(model), renderer(model).rows(PROMPT, rows), budget)
    for index, each in found:
        assert each.tolist() == pytest.approx([-value for value in by_hand[rows[index]["id"]]], abs=1e-4)


def test_small_chunks_of_the_vocabulary_change_no_number(
    model: Model, by_hand: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.likelihood.CHUNK_BYTES", 4 * 600 * 7)
    rows = responses(10)
    for index, each in negative_log_likelihoods(load(model), renderer(model).rows(PROMPT, rows), 1000):
        assert each.tolist() == pytest.approx([-value for value in by_hand[rows[index]["id"]]], abs=1e-4)


@pytest.mark.parametrize("family", ["gemma2", "cohere", "granite", "gpt2", "qwen2"])
def test_other_architectures_give_their_own_logits(family: str) -> None:
    """Caps, scales and learned positions: body and head put together are the model, or the model is run whole."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    small: dict[str, Any] = {"vocab_size": 120, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    small |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
    small |= {"bos_token_id": 1, "eos_token_id": 2}
    if family == "gpt2":
        small = {"vocab_size": 120, "n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 1, "eos_token_id": 2}
    if family == "granite":
        small |= {"logits_scaling": 8.0}
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **small)).eval()
    from tasks.render import Rendered

    examples = [Rendered([5, 6, 7, 8, 9], 2), Rendered([9, 8, 7], 1), Rendered(list(range(3, 30)), 20)]
    for index, each in negative_log_likelihoods(network, examples, 1000):
        ids = torch.tensor([examples[index].ids])
        with torch.no_grad():
            log_probabilities = network(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
        expected = -log_probabilities.gather(1, ids[0, 1:, None])[examples[index].prompt_length - 1 :, 0]
        assert each.tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_out_of_memory_halves_the_budget(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    whole = Likelihood.nll

    def small_memory(self: Likelihood, batch: Any) -> Any:
        if batch.ids.numel() > 300:
            raise torch.OutOfMemoryError("no memory")
        return whole(self, batch)

    monkeypatch.setattr(Likelihood, "nll", small_memory)
    told: list[int] = []
    examples = renderer(model).rows(PROMPT, responses(40))
    found = dict(negative_log_likelihoods(load(model), examples, 4000, halved=told.append))
    assert sorted(found) == list(range(40))
    assert min(told) <= 300
    monkeypatch.setattr(Likelihood, "nll", lambda self, batch: (_ for _ in ()).throw(torch.OutOfMemoryError("none")))
    with pytest.raises(Transient, match="out of memory"):
        list(score.function(Rows.of(responses(3)), model, PROMPT))


def test_a_row_longer_than_the_context_has_no_perplexity(model: Model) -> None:
    rows = responses(3)
    rows[1]["response"] = "She has 7. " * renderer(model).context
    made = {row["id"]: row for row in score.function(Rows.of(rows), model, PROMPT)}
    assert math.isnan(made["q1"]["perplexity"])
    assert made["q1"]["tokens"] > renderer(model).context
    for row in rows:
        rendered = renderer(model).row(PROMPT, row)
        found = made[row["id"]]
        assert (found["prompt_tokens"], found["tokens"]) == (rendered.prompt_length, len(rendered.response_ids))
    facts = familiarity(Rows.of(made.values()))
    assert (facts["scored"], facts["too_long"]) == (2, 1)
    assert math.isfinite(facts["perplexity_corpus"])
    with pytest.raises(StageFailed, match="no response fits the context"):
        list(score.function(Rows.of(rows[1:2]), model, PROMPT))


def test_the_summary_is_mean_median_and_corpus() -> None:
    rows = [{"nll": math.log(2) * 4, "tokens": 4}, {"nll": math.log(8), "tokens": 1}, {"nll": math.nan, "tokens": 9}]
    facts = familiarity(Rows.of(rows))
    assert facts["perplexity_mean"] == pytest.approx(5)
    assert facts["perplexity_median"] == pytest.approx(5)
    assert facts["perplexity_corpus"] == pytest.approx(2 ** (7 / 5))
    assert facts["tokens"] == 5
    assert perplexity(1e9, 1) < math.inf


def test_a_killed_score_goes_on_and_its_summary_covers_all_rows(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(Store(tmp_path), Placement(score_tokens=200))
    source = answered(30)
    execute(source, runtime)
    whole = Likelihood.nll
    passes = []

    def breaks(self: Likelihood, batch: Any) -> Any:
        passes.append(len(batch.counts))
        if len(passes) == 4:
            raise RuntimeError("broken on purpose")
        return whole(self, batch)

    monkeypatch.setattr(Likelihood, "nll", breaks)
    node = score(source, model, PROMPT)
    with pytest.raises(RuntimeError, match="on purpose"):
        execute(node, runtime)
    kept = Parts(runtime.store.folder("score", node.key), Rows.of(responses(30))).units
    assert kept > 0
    passes[:] = [0] * 4  # the first four calls are past
    artifact, _ = execute(node, runtime)
    assert sum(passes) == 30 - kept, "a finished row was scored twice"
    assert artifact.facts["scored"] == 30
    assert artifact.facts["template"] == renderer(model).hash
    assert artifact.rows().column("id") == [f"q{i}" for i in range(30)]


def test_threads_share_one_model_and_let_it_go(model: Model) -> None:
    seen: set[int] = set()
    results: list[list[Row]] = []

    def work() -> None:
        made = []
        for row in score.function(Rows.of(responses(40)), model, PROMPT):
            seen.update(id(shared) for shared in scoring._models.values())
            made.append(row)
        results.append(sorted(made, key=lambda row: row["id"]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    with scoring._loaded(model):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
    assert len(seen) == 1
    assert not scoring._models


def test_one_gpu_serves_two_students_in_turn(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the place that the first has, who must be able to give it back."""
    monkeypatch.setenv("MOTHERTONGUE_SLOTS", str(tmp_path / "slots"))
    told: list[str] = []
    monkeypatch.setattr(slots, "PATIENCE", 0.2)
    placement = Placement(gpus=("0",), trainers=1)
    runtime = Runtime(Store(tmp_path), placement, lambda event, run, facts: told.append(facts["text"]))
    work = Work(tmp_path, runtime, "score", {})
    second = dataclasses.replace(model, content="another")
    loaded = threading.Event()

    def other() -> None:
        with scoring._loaded(second, work):
            loaded.set()

    waits = threading.Thread(target=other, daemon=True)
    with scoring._loaded(model, work):
        waits.start()
        until = time.monotonic() + 20
        while not told and time.monotonic() < until:
            time.sleep(0.05)
        assert "waiting for the trainer slot" in told[0]
        with scoring._loaded(model, work):  # one more for the first student is not kept waiting
            assert not loaded.is_set()
    waits.join(20)
    assert loaded.is_set()
    assert not scoring._models


def test_a_missing_column_is_named(model: Model) -> None:
    with pytest.raises(InputError, match="qestion"):
        list(score.function(Rows.of(responses(2)), model, "{{ qestion }}"))
