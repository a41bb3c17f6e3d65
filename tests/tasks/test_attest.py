"""Attesting, on the real engine: a live adapter passes; another's weights, no effect and a dead adapter do not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.attest import _judge, _with_room, attest
from tasks.models.model import Model
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact


def probe(folder: Path, model: Model) -> None:
    """Write what `finetune` writes beside an adapter: PEFT's log-probabilities with it and without."""
    import torch
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    adapted = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(model.path), str(folder / "adapter")).eval()
    rows = []
    for number in range(4):
        prompt, response = [1, 3, *range(10 + number, 40), 4], [50 + number, 60, 70, 2]

        def known(prompt: list[int] = prompt, response: list[int] = response) -> list[float]:
            ids = torch.tensor([prompt + response])
            with torch.no_grad():
                logits = adapted(ids).logits[0].log_softmax(-1)
            found: list[float] = logits[len(prompt) - 1 : -1].gather(1, ids[0, len(prompt) :, None]).flatten().tolist()
            return found

        with adapted.disable_adapter():
            base = known()
        rows.append({"prompt_ids": prompt, "response_ids": response, "base": base, "adapted": known()})
    (folder / "probe.json").write_text(json.dumps({"rows": rows}))


@pytest.fixture(scope="module")
def trained(tiny: Model, make_adapter: Callable[..., Path]) -> Callable[..., Artifact]:
    """An artifact as `finetune` leaves it, with an adapter of that seed and size."""

    def make(seed: int, size: float, rank: int = 8) -> Artifact:
        folder = make_adapter(seed, size, rank).parent
        probe(folder, tiny)
        return Artifact(
            folder, {"key": f"adapter-{seed}", "facts": {}, "files": {"w": {"sha256": str(seed), "bytes": 1}}}
        )

    return make


@pytest.fixture
def work(runtime: Runtime, tmp_path: Path) -> Work:
    return Work(tmp_path, runtime, "attest self/ledger", {})


@pytest.mark.parametrize(("size", "rank"), [(0.05, 8), (0.3, 8), (0.05, 4)])
def test_a_live_adapter_passes(
    trained: Callable[..., Artifact], tiny: Model, work: Work, size: float, rank: int
) -> None:
    adapter = trained(1, size, rank)
    rows = attest.function(adapter, tiny, work=work)
    assert len(rows) == 4
    assert work.facts["adapter"] == adapter.content
    assert work.facts["adapted_error"] < 1e-4 < work.facts["moved"]
    assert work.facts["engine_moved"] == pytest.approx(work.facts["moved"], rel=0.05)


def test_a_row_that_fills_the_context_is_shown_without_its_last_token() -> None:
    full = {"prompt_ids": [1, 2], "response_ids": [3, 4, 5], "base": [0.1, 0.2, 0.3], "adapted": [0.4, 0.5, 0.6]}
    (kept,) = _with_room([full], 5)
    assert kept == {**full, "response_ids": [3, 4], "base": [0.1, 0.2], "adapted": [0.4, 0.5]}
    assert _with_room([full], 6) == [full]
    assert _with_room([{**full, "response_ids": [3]}], 3) == []


def test_other_weights_fail(trained: Callable[..., Artifact], tiny: Model, work: Work) -> None:
    adapter, other = trained(1, 0.3), trained(2, 0.3)
    for file in (other.folder / "adapter").iterdir():
        shutil.copyfile(file, adapter.folder / "adapter" / file.name)
    with pytest.raises(StageFailed, match="serves another adapter"):
        attest.function(adapter, tiny, work=work)


def test_an_adapter_that_changes_nothing_fails(trained: Callable[..., Artifact], tiny: Model, work: Work) -> None:
    with pytest.raises(StageFailed, match="attest self/ledger: the adapter changes nothing"):
        attest.function(trained(3, 0.0), tiny, work=work)


def test_a_dead_adapter_fails(trained: Callable[..., Artifact], tiny: Model, work: Work) -> None:
    from safetensors.torch import load_file, save_file

    adapter = trained(4, 0.3)
    weights = adapter.folder / "adapter" / "adapter_model.safetensors"
    save_file({name: weight * 0 for name, weight in load_file(weights).items()}, weights)
    with pytest.raises(StageFailed, match="is not live"):
        attest.function(adapter, tiny, work=work)


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        ((0.5, 0.5, 0.2, 0.0), "not run the same base model"),
        ((0.5, 0.5, 0.0, 0.002), "another adapter"),
        ((0.002, 0.002, 0.0, 0.0009), "another adapter"),
        ((float("nan"), 0.5, 0.0, 0.0), "changes nothing"),
        ((0.5, 0.5, 0.0, float("nan")), "another adapter"),
    ],
)
def test_what_is_not_clearly_right_fails(measured: tuple[float, float, float, float], why: str) -> None:
    with pytest.raises(StageFailed, match=why):
        _judge("attest", 1e-3, *measured)
