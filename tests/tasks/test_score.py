"""Perplexity: the same numbers as a plain forward pass, however rows are batched, resumed or shared."""

import dataclasses
import math
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks import score as scoring
from tasks.models.model import Model, resolve
from tasks.models.rendering import Rendered, renderer
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.resources import slots
from tasks.resources.errors import StageFailed, Transient
from tasks.resources.placement import Placement
from tasks.score import as_kept_here, familiarity, load, perplexity, score
from tasks.scoring import token_numbers
from tasks.scoring.likelihood import Likelihood, negative_log_likelihoods
from tasks.scoring.token_surprise import kept
from tasks.storage.artifacts import Store
from tasks.storage.partial_rows import PartialRows
from tasks.storage.rows import Row, Rows
from tests.waiting import PATIENCE, until

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
    monkeypatch.setattr("tasks.scoring.likelihood.CHUNK_BYTES", 4 * 600 * 7)
    rows = responses(10)
    for index, each in negative_log_likelihoods(load(model), renderer(model).rows(PROMPT, rows), 1000):
        assert each.tolist() == pytest.approx([-value for value in by_hand[rows[index]["id"]]], abs=1e-4)


def test_ranks_are_those_of_a_plain_forward_pass(model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each token's place among all tokens sorted by their logits, whatever the chunks; kept as bytes in a study."""
    import torch

    monkeypatch.setattr("tasks.scoring.likelihood.CHUNK_BYTES", 4 * 600 * 7)
    runtime = Runtime(Store(tmp_path), Placement(score_tokens=200))
    source = answered(10)
    execute(source, runtime)
    made = {row["id"]: row for row in execute(score(source, model, PROMPT), runtime)[0].rows()}
    network = load(model)
    highest = 0
    for row in responses(10):
        rendered = renderer(model).row(PROMPT, row)
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([rendered.ids])).logits[0, rendered.prompt_length - 1 : -1]
        order = logits.argsort(-1, descending=True).tolist()
        expected = [places.index(token) + 1 for places, token in zip(order, rendered.response_ids, strict=True)]
        nll, rank = token_numbers.unpacked(*(made[row["id"]][name] for name in token_numbers.COLUMNS))
        assert rank.tolist() == [min(value, token_numbers.MOST_RANK) for value in expected]
        assert nll.sum() == pytest.approx(made[row["id"]]["nll"], abs=1e-4)
        highest = max(highest, *expected)
    assert highest > token_numbers.MOST_RANK, "a random model gives some tokens a rank that is clipped"


def random_network(family: str, **options: Any) -> Any:
    """A tiny random model whose logits are large, as a trained model's are: a soft cap shows in those only."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    small: dict[str, Any] = {"vocab_size": 120, "bos_token_id": 1, "eos_token_id": 2}
    if family == "gpt2":
        small |= {"n_embd": 32, "n_layer": 2, "n_head": 4}
    else:
        small |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "pad_token_id": 0}
        small |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **small | options)).eval()
    with torch.no_grad():
        network.get_output_embeddings().weight.mul_(20)
    return network


EXAMPLES = [Rendered([5, 6, 7, 8, 9], 2), Rendered([9, 8, 7], 1), Rendered(list(range(3, 30)), 20)]
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {"final_logit_softcapping": 30.0},
    "gemma3_text": {"final_logit_softcapping": 20.0},
    "cohere": {"logit_scale": 0.0625},
    "granite": {"logits_scaling": 8.0},
    "gpt2": {},
    "phi3": {},
    "qwen2": {},
    "qwen3": {},
    "mistral": {},
    "olmo2": {},
    "gpt_oss": {},
}
WHOLE: dict[str, dict[str, Any]] = {
    "modernbert-decoder": {},
    "recurrent_gemma": {"logits_soft_cap": 30.0},
    "falcon_h1": {
        "lm_head_multiplier": 0.5,
        **{"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8},
    },
}
"""What calls its head its decoder, its cap or its scale by names of its own."""


@pytest.mark.parametrize("family", [*FAMILIES, *WHOLE])
@pytest.mark.parametrize("training", [False, True])
def test_other_architectures_give_their_own_likelihoods(family: str, training: bool) -> None:
    """Body and head put together are the model, caps and scales included; else it is run whole, and that is said."""
    import torch

    network = random_network(family, **(FAMILIES | WHOLE)[family]).train(training)
    likelihood = Likelihood(network)
    assert network.training is training
    assert bool(likelihood.note) is (family in WHOLE)
    assert not likelihood.note or "is run whole, which takes more memory: " in likelihood.note
    assert "\n" not in likelihood.note
    network.eval()
    for index, each in negative_log_likelihoods(likelihood, EXAMPLES, 1000):
        ids = torch.tensor([EXAMPLES[index].ids])
        with torch.no_grad():
            log_probabilities = network(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
        expected = -log_probabilities.gather(1, ids[0, 1:, None])[EXAMPLES[index].prompt_length - 1 :, 0]
        assert each.tolist() == pytest.approx(expected.tolist(), abs=1e-3)


def test_a_cap_that_small_logits_hide_is_found() -> None:
    """Logits of a random model are below 1, where a cap at 30 changes less than a thousandth of a nat."""
    import torch

    network = random_network("recurrent_gemma", logits_soft_cap=30.0)
    with torch.no_grad():
        network.get_output_embeddings().weight.div_(500)
        assert network(input_ids=torch.arange(3, 30)[None]).logits.abs().max() < 1
    assert "nats a token off" in Likelihood(network).note


def test_a_model_that_is_run_whole_is_said_in_one_line(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        scoring, "load", lambda model, gpu=None, adapter=None: random_network("modernbert-decoder", vocab_size=600)
    )
    with pytest.warns(UserWarning, match="ModernBertDecoderForCausalLM is run whole") as said:
        scored = list(score.function(Rows.of(responses(3)), model, PROMPT))
    assert len(said) == 1
    assert all(math.isfinite(row["nll"]) for row in scored)


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
    none = torch.OutOfMemoryError("none")
    monkeypatch.setattr(Likelihood, "nll_and_rank", lambda self, batch: (_ for _ in ()).throw(none))
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
    whole = Likelihood.nll_and_rank
    passes = []

    def breaks(self: Likelihood, batch: Any) -> Any:
        passes.append(len(batch.counts))
        if len(passes) == 4:
            raise RuntimeError("broken on purpose")
        return whole(self, batch)

    monkeypatch.setattr(Likelihood, "nll_and_rank", breaks)
    node = score(source, model, PROMPT)
    with pytest.raises(RuntimeError, match="on purpose"):
        execute(node, runtime)
    kept = PartialRows(runtime.store.folder("score", runtime.keys.find(node) or ""), Rows.of(responses(30))).units
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
    with scoring.loaded(model, None):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
    assert len(seen) == 1
    assert not scoring._models


def test_networks_that_are_loaded_at_once_have_their_weights(model: Model) -> None:
    begin = threading.Barrier(2)

    def weights() -> dict[str, Any]:
        begin.wait()
        return dict(load(model).state_dict())

    with ThreadPoolExecutor(2) as pool:
        one, other = (future.result() for future in [pool.submit(weights) for _ in range(2)])
    assert one.keys() == other.keys()
    assert all(tensor.equal(other[name]) and not tensor.is_meta for name, tensor in one.items())


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
        with scoring.loaded(second, None, work):
            loaded.set()

    waits = threading.Thread(target=other, daemon=True)
    with scoring.loaded(model, None, work):
        waits.start()
        until(lambda: told)
        assert "waiting for the trainer slot" in told[0]
        with scoring.loaded(model, None, work):  # one more for the first student is not kept waiting
            assert not loaded.is_set()
    waits.join(PATIENCE)
    assert loaded.is_set()
    assert not scoring._models


def test_a_missing_column_is_named(model: Model) -> None:
    with pytest.raises(InputError, match="qestion"):
        list(score.function(Rows.of(responses(2)), model, "{{ qestion }}"))


def test_rows_taken_over_keep_tokens_as_if_they_were_scored_here() -> None:
    """Among 256 all keep theirs, among 2,560 one in ten; what has none of its own is scored again."""
    rows = [{"id": f"q{i}", "nll": 3.0, "token_nll": [1.0, 2.0], "token_text": ["a", "b"]} for i in range(200)]
    rows += [{"id": "long", "nll": math.nan, "token_nll": None, "token_text": None}]
    few = as_kept_here(Rows.of(rows).table, 2560)
    keep = {f"q{i}" for i in range(200) if kept(f"q{i}", 0.1)}
    assert 5 < len(keep) < 40
    assert few.num_rows == 201
    assert {row["id"] for row in few.to_pylist() if row["token_nll"] is not None} == keep
    assert {row["id"] for row in few.to_pylist() if row["token_text"] is not None} == keep
    again = as_kept_here(few, 256)
    assert {row["id"] for row in again.to_pylist()} == {*keep, "long"}
