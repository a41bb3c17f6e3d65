"""Direct preference optimisation: equation 7 by hand, what a rejected text ends with, and where a training starts."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.kinds.methods import Predicted
from tasks.methods import dpo
from tasks.methods.dpo import Dpo
from tasks.methods.sft import Sft
from tasks.models.model import Model
from tasks.models.rendering import Rendered, renderer
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row
from tasks.training import checkpoint, loop
from tests.tasks.test_finetune import PROMPT, digests, here, model, nll_by_hand, rows, trained

__all__ = ["model"]  # a fixture
SMALL = {"rank": 4, "alpha": 8, "batch": 4, "warmup": 0.0}
METHOD = Dpo(learning_rate=1e-3, epochs=2, **SMALL)


def pairs(count: int) -> list[Row]:
    return [
        {**row, "rejected": f"There are {2 * number + 1}.", "rejected_ends": number % 2 == 0}
        for number, row in enumerate(rows(count))
    ]


def sequences(model: Model, given: list[Row]) -> list[Rendered]:
    return [sequence for example in Dpo().examples(given, renderer(model), PROMPT) for sequence in example.sequences]


@pytest.fixture
def start(model: Model, tmp_path: Path) -> Path:
    """An adapter that sft has trained."""
    here(model, tmp_path / "start", rows(8), Sft(learning_rate=1e-2, epochs=1, **SMALL))
    return tmp_path / "start" / "adapter"


def test_a_rejected_prefix_is_not_ended(model: Model) -> None:
    rendering = renderer(model)
    whole, prefix = pairs(2)
    for row, ends in ((whole, True), (prefix, False), ({**prefix, "rejected_ends": None}, True)):
        ((chosen, rejected),) = [each.sequences for each in Dpo().examples([row], rendering, PROMPT)]
        assert chosen == rendering.row(PROMPT, row)
        prompt = rendering.prompt(PROMPT, row)
        response = rendering.response(row["rejected"])
        assert rejected.ids == prompt + (response if ends else response[: -len(rendering.end_ids)])
        assert rejected.prompt_length == len(prompt)


def test_loss_and_gradient_are_equation_7(model: Model, start: Path) -> None:
    """Against a loop over pairs, with log-probabilities from the full logits of one row at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from tasks.scoring.likelihood import Batch, Likelihood

    given = sequences(model, pairs(5))
    network = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    policy = PeftModel.from_pretrained(network, str(start), is_trainable=True)
    trainable = [parameter for parameter in policy.parameters() if parameter.requires_grad]

    def log_probability(sequence: Rendered) -> torch.Tensor:
        ids = torch.tensor([sequence.ids])
        each = policy(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        return each[sequence.prompt_length - 1 :].sum()

    with torch.no_grad(), policy.disable_adapter():
        reference = [log_probability(sequence) for sequence in given]
        reference_nll = Likelihood(policy).nll(Batch.of(given, 0))
    beta, terms = 0.3, []
    for chosen in range(0, len(given), 2):
        ratios = [log_probability(given[at]) - reference[at] for at in (chosen, chosen + 1)]
        terms.append(-torch.log(1 / (1 + torch.exp(-beta * (ratios[0] - ratios[1])))))
    by_hand = torch.stack(terms).sum()
    gradient_by_hand = torch.autograd.grad(by_hand, trainable)

    batch = Batch.of(given, 0)
    nll = Likelihood(policy).nll(batch)
    ours = Dpo(beta=beta).loss(Predicted(nll, None, reference_nll, batch.counts))
    assert ours.value.item() == pytest.approx(by_hand.item(), abs=1e-5)
    assert abs(by_hand.item() - 5 * math.log(2)) > 1e-3, "the adapter makes no difference"
    for one, other in zip(torch.autograd.grad(ours.value, trainable), gradient_by_hand, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_trl_gives_the_same_loss(model: Model, start: Path, tmp_path: Path) -> None:
    """On the ids that TRL's DPOTrainer makes of two pairs, which it ends with an end-of-sequence token itself."""
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    from tasks.scoring.likelihood import Batch, Likelihood

    base, other = (AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32) for _ in range(2))
    policy = PeftModel.from_pretrained(base, str(start), is_trainable=True)
    texts = {"prompt": ["3 + 4 =", "Ann has"], "chosen": [" 7.", " two."], "rejected": [" 8, I think.", " no."]}
    trainer = DPOTrainer(
        model=policy,
        ref_model=other,
        args=DPOConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none", beta=0.3, disable_tqdm=True),
        train_dataset=Dataset.from_dict(texts),
        processing_class=AutoTokenizer.from_pretrained(model.path),
    )
    policy.eval()
    batch = trainer.data_collator(list(trainer.train_dataset))
    expected = trainer.compute_loss(policy, batch).item()

    given = []
    for number in (0, 2, 1, 3):  # TRL has the chosen ones first
        ids = batch["input_ids"][number][batch["attention_mask"][number].bool()].tolist()
        given.append(Rendered(ids, len(ids) - int(batch["completion_mask"][number].sum())))
    with torch.no_grad():
        tokens = Batch.of(given, 0)
        reference = Likelihood(other).nll(tokens)
        ours = Dpo(beta=0.3).loss(Predicted(Likelihood(policy).nll(tokens), None, reference, tokens.counts))
    assert ours.value.item() / 2 == pytest.approx(expected, abs=1e-5)
    assert abs(expected - math.log(2)) > 1e-3, "the adapter makes no difference"


def test_what_is_watched_is_that_of_all_pairs(model: Model, start: Path, tmp_path: Path) -> None:
    """From a new adapter the reference is the base model, from a given one that one; the facts are of all pairs."""
    given = pairs(8)
    for name, began_with in (("new", None), ("started", start)):
        facts = here(model, tmp_path / name, given, METHOD, start=began_with)
        before, after = (
            [[-sum(nll[at]), -sum(nll[at + 1])] for at in range(0, 16, 2)]
            for nll in (
                nll_by_hand(model, sequences(model, given), began_with),
                nll_by_hand(model, sequences(model, given), tmp_path / name / "adapter"),
            )
        )
        mean: Callable[[list[float]], float] = lambda values: sum(values) / len(values)  # noqa: E731
        assert facts["chosen_start"] == pytest.approx(mean([pair[0] for pair in before]), abs=1e-3)
        assert facts["rejected_start"] == pytest.approx(mean([pair[1] for pair in before]), abs=1e-3)
        assert facts["chosen_end"] == pytest.approx(mean([pair[0] for pair in after]), abs=1e-3)
        assert facts["rejected_end"] == pytest.approx(mean([pair[1] for pair in after]), abs=1e-3)
        margins = [0.1 * (a[0] - b[0] - a[1] + b[1]) for b, a in zip(before, after, strict=True)]
        assert facts["margin"] == pytest.approx(mean(margins), abs=1e-3)
        assert facts["margin_above_zero"] == mean([float(margin > 0) for margin in margins]) > 0.5
        assert facts["chosen_above_rejected_end"] == mean([float(pair[0] > pair[1]) for pair in after])
        assert facts["loss_first"] == pytest.approx(math.log(2), abs=1e-4), "the first step starts at the reference"
        assert facts["loss_last"] < facts["loss_first"]
        assert set(facts["watched"]) == {"chosen", "rejected", "margin"}
        assert len(facts["watched"]["margin"]) == facts["steps"] == 4
        assert facts["collapsed"] is False


def test_the_probe_of_a_started_adapter_compares_it_with_the_base_model(
    model: Model, start: Path, tmp_path: Path
) -> None:
    here(model, tmp_path, pairs(6), METHOD, start=start)
    probe = json.loads((tmp_path / "probe.json").read_text())["rows"]
    shown = [Rendered(row["prompt_ids"] + row["response_ids"], len(row["prompt_ids"])) for row in probe]
    assert shown == sequences(model, pairs(4))[::2]
    for name, adapter in (("base", None), ("adapted", tmp_path / "adapter")):
        for row, each in zip(probe, nll_by_hand(model, shown, adapter), strict=True):
            assert row[name] == pytest.approx([-value for value in each], abs=1e-4)


def test_a_collapse_is_named(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(dpo, "COLLAPSE", -10.0)
    facts = here(model, tmp_path, pairs(6), METHOD, log=said.append)
    assert facts["collapsed"] is True
    fall = facts["chosen_fall_per_token"]
    tokens = sum(len(sequence.response_ids) for sequence in sequences(model, pairs(6))[::2])
    assert fall == pytest.approx(6 * (facts["chosen_start"] - facts["chosen_end"]) / tokens)
    assert said[-1].startswith(f"collapsed: the log-probability of chosen responses fell by {fall:.2f} nats a token")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"rank": 8}, "has rank 4 and alpha 8, and method dpo says rank 8 and alpha 8"),
        ({"alpha": 16}, "has rank 4 and alpha 8, and method dpo says rank 4 and alpha 16"),
        (
            {"targets": ("q_proj", "v_proj")},
            "is on the layers down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj, "
            "and method dpo says q_proj, v_proj",
        ),
    ],
)
def test_another_shape_than_that_of_the_start_is_refused(
    model: Model, start: Path, tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageFailed, match=f"the adapter to start from {message}"):
        here(model, tmp_path, pairs(4), METHOD.model_copy(update=other), start=start)


def test_an_adapter_that_stays_as_it_started_fails(model: Model, start: Path, tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="the adapter changes nothing after 2 steps"):
        here(model, tmp_path, rows(8), Sft(epochs=1, learning_rate=1e-30, **SMALL), start=start)


def test_a_method_is_refused_rows_that_it_does_not_take(model: Model, tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="method dpo trains on pairs, and these rows have no column rejected"):
        trained(tmp_path, model, rows(3), Dpo())
    with pytest.raises(StageFailed, match="method sft trains on responses, and these rows have a column rejected"):
        trained(tmp_path, model, pairs(3), Sft())
    with pytest.raises(StageFailed, match="row q1: it has no rejected response"):
        trained(tmp_path, model, [pairs(1)[0], {**pairs(2)[1], "rejected": None}], Dpo())
    with pytest.raises(StageFailed, match="row q1: its rejected prefix has no token"):
        trained(tmp_path, model, [{**pairs(2)[1], "rejected": ""}], Dpo())


def test_memory_that_is_short_changes_no_step(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    whole = here(model, tmp_path / "whole", pairs(6), METHOD)
    nll = loop.Likelihood.nll

    def small_memory(self: Any, batch: Any) -> Any:
        if len(batch.counts) > 4:
            raise torch.OutOfMemoryError("no memory")
        return nll(self, batch)

    monkeypatch.setattr(loop.Likelihood, "nll", small_memory)
    halved = here(model, tmp_path / "halved", pairs(6), METHOD)
    assert (whole["micro_batch"], halved["micro_batch"], halved["steps"]) == (4, 2, whole["steps"])
    assert halved["loss"] == pytest.approx(whole["loss"], abs=1e-4)
    assert halved["watched"]["chosen"] == pytest.approx(whole["watched"]["chosen"], abs=1e-3)


def test_a_training_that_was_cut_short_gives_the_same_bytes_and_measures_its_reference_once(
    model: Model, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    method = METHOD.model_copy(update={"dropout": 0.1})
    whole = here(model, tmp_path / "whole", pairs(10), method, start=start)

    class Killed(Exception):
        pass

    def until(end: int) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if done > end:
                raise Killed

        return progress

    with pytest.raises(Killed):
        here(model, tmp_path / "again", pairs(10), method, start=start, progress=until(2))
    kept = tmp_path / "again" / "scratch" / "reference.safetensors"
    written = kept.stat().st_mtime_ns
    said: list[str] = []
    facts = here(model, tmp_path / "again", pairs(10), method, start=start, log=said.append)
    assert said[0] == "goes on after step 2 of 6"
    assert kept.stat().st_mtime_ns == written
    assert digests(tmp_path / "again") == digests(tmp_path / "whole")
    assert facts["watched"] == whole["watched"]

    content = bytearray(kept.read_bytes())
    content[-1] ^= 64
    kept.write_bytes(content)
    here(model, tmp_path / "again", pairs(10), method, start=start)
    assert kept.stat().st_mtime_ns != written, "a damaged reference was used"
    assert digests(tmp_path / "again") == digests(tmp_path / "whole")
