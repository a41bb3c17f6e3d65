"""A layer with its adapter folded into the weight is the same function as PEFT's, and so are its gradients."""

from pathlib import Path
from typing import Any

import pytest

from tasks.methods.sft import Sft
from tasks.models.model import Model
from tasks.training import adapter, folded_lora
from tasks.training.training import Training


def adapted(model: Model, *, folded: bool, **settings: Any) -> Any:
    """The model with an adapter of random A and B, as a training loads it."""
    import torch

    nowhere = Path("/nowhere")
    with pytest.MonkeyPatch.context() as patched:
        if not folded:
            patched.setattr(folded_lora, "fold", lambda model: None)
        loaded = adapter.load(Training(Sft(rank=4, alpha=8, **settings), model, nowhere, nowhere, nowhere, seed=3))
    torch.manual_seed(5)
    with torch.no_grad():
        for name, weight in loaded.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    return loaded


def layers(model: Any) -> list[Any]:
    return [layer for layer in model.modules() if isinstance(getattr(layer, "forward", None), folded_lora._Folded)]


def seen(model: Any) -> tuple[Any, dict[str, Any]]:
    """Logits of a few tokens, and the gradients of all that is trained."""
    import torch

    torch.manual_seed(7)
    ids = torch.randint(3, 200, (3, 17))
    logits = model(input_ids=ids).logits
    model.zero_grad()
    (logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None]).mean()).backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


def test_values_and_gradients_are_those_of_peft(tiny: Model) -> None:
    import torch

    ours, theirs = adapted(tiny, folded=True), adapted(tiny, folded=False)
    assert layers(ours)
    assert not layers(theirs)
    (logits, gradients), (wanted, wanted_gradients) = seen(ours), seen(theirs)
    torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-4)
    assert gradients.keys() == wanted_gradients.keys()
    for name, gradient in gradients.items():
        scale = float(wanted_gradients[name].abs().max())
        assert scale > 0
        torch.testing.assert_close(gradient, wanted_gradients[name], atol=1e-4 * scale, rtol=1e-3, msg=name)


def test_a_changed_adapter_is_what_runs_and_a_switched_off_one_is_not(tiny: Model) -> None:
    import torch

    ours, theirs = adapted(tiny, folded=True), adapted(tiny, folded=False)
    optimizers = [
        torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01, fused=True)
        for model in (ours, theirs)
    ]
    before, _ = seen(ours)
    seen(theirs)
    for optimizer in optimizers:
        optimizer.step()
    after, wanted = seen(ours)[0], seen(theirs)[0]
    assert float((after - before).abs().max()) > 0.01
    torch.testing.assert_close(after, wanted, atol=1e-3, rtol=1e-3)
    ids = torch.arange(3, 20)[None]
    with torch.no_grad(), ours.disable_adapter(), theirs.disable_adapter():
        torch.testing.assert_close(ours(input_ids=ids).logits, theirs(input_ids=ids).logits)


def test_dropout_is_left_to_peft(tiny: Model) -> None:
    assert not layers(adapted(tiny, folded=True, dropout=0.1))


def test_a_large_model_is_left_to_peft(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "SMALL", 1000)
    assert not layers(adapted(tiny, folded=True))
