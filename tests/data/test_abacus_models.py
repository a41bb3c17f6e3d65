"""The bundled models: small, loadable, one tokenizer, the template they were trained on, and what they can do.

What they must be able to do is held against `measured.json`, which `flows.pretrain` writes;
a slow test measures again. The fast one asks a few questions, so that other weights than were measured are noticed.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest

import data
from data.abacus.card import measure, weights_of
from data.abacus.families import FAMILIES
from data.abacus.final_answer import is_right
from data.abacus.inference import answers
from data.abacus.splits import draw
from data.abacus.tokenizer import ASSISTANT, BOS, END, USER
from flows.ceiling import ceilings
from flows.pretrain import RECIPES

MODELS = Path(data.__file__).parent / "models"
LIMITS = dict.fromkeys(("abacus-base", "abacus-student", "abacus-teacher", "abacus-tutor"), 2_000_000)


@pytest.mark.parametrize("name", LIMITS)
def test_a_model_is_small_and_plainly_loadable(name: str) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODELS / name)
    assert model.num_parameters() <= LIMITS[name]
    assert sum(file.stat().st_size for file in (MODELS / name).iterdir()) <= 10_000_000
    assert model.config.head_dim == 32
    assert model.config.pad_token_id != model.config.eos_token_id


def test_all_models_share_the_tokenizer() -> None:
    assert len({(MODELS / name / "tokenizer.json").read_text() for name in LIMITS}) == 1


def test_the_chat_template_is_what_training_saw() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODELS / "abacus-student")
    user = [{"role": "user", "content": "Sort 43 17 from small to large."}]
    prompt = tokenizer.apply_chat_template(user, add_generation_prompt=True, tokenize=False)
    assert prompt == f"{BOS}{USER}Sort 43 17 from small to large.{ASSISTANT}"
    whole = tokenizer.apply_chat_template([*user, {"role": "assistant", "content": "First is 17."}], tokenize=False)
    assert whole == f"{prompt}First is 17.{END}"
    encoded: Any = tokenizer.apply_chat_template(user, add_generation_prompt=True, return_dict=True)
    assert (
        encoded["input_ids"]
        == tokenizer(prompt, add_special_tokens=False)["input_ids"]
        == tokenizer(prompt)["input_ids"]
    )


def test_any_text_passes_and_digits_stay_single() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODELS / "abacus-student")
    text = "Natalia sold 48/2 = <<48/2=24>>24 clips…\n\nShe's  über 漢字 \t#### 72 😀"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    digits = [piece for piece in tokenizer.convert_ids_to_tokens(ids) if any(c.isdigit() for c in piece)]
    assert all(sum(c.isdigit() for c in piece) == 1 for piece in digits)


def figures(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((MODELS / f"abacus-{name}" / "measured.json").read_text())
    return read


def loaded(name: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = MODELS / f"abacus-{name}"
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", RECIPES)
def test_the_card_is_of_these_weights(name: str) -> None:
    assert figures(name)["weights"] == weights_of(MODELS / f"abacus-{name}")


@pytest.mark.parametrize("name", ["student", "teacher", "tutor"])
def test_a_few_questions_are_answered_as_the_card_says(name: str) -> None:
    model, tokenizer = loaded(name)
    rng = random.Random("a few questions")
    asked = [(kind, draw(kind, "test", rng)) for kind in FAMILIES.values() for _ in range(20)]
    replies = answers(model, tokenizer, [kind.ask(problem, rng) for kind, problem in asked])
    right = [is_right(reply, kind.work(problem).answer) for reply, (kind, problem) in zip(replies, asked, strict=True)]
    card = [family["accuracy"] for family in figures(name)["families"].values()]
    # 120 answers: three standard errors are at most 14 points.
    assert sum(right) / len(right) == pytest.approx(sum(card) / len(card), abs=0.14)


def teachable(measured: dict[str, Any]) -> None:
    families = measured["families"].values()
    assert sum(0.10 <= family["accuracy"] <= 0.50 for family in families) >= 5
    assert all(family["reachable"] >= 0.85 for family in families)
    gains = [measured["ceiling"][name] - family["accuracy"] for name, family in measured["families"].items()]
    assert sum(gain >= 0.25 for gain in gains) >= 3


def in_order_of_familiarity(measured: dict[str, Any]) -> None:
    for family in measured["families"].values():
        own, teacher, human = (family["perplexity"][register][1] for register in ("own", "teacher", "human"))
        assert own < teacher < human
        assert 2 <= human / own <= 8


def able(measured: dict[str, Any]) -> None:
    assert all(family["accuracy"] >= 0.95 for family in measured["families"].values())


def correcting(measured: dict[str, Any]) -> None:
    assert all(share >= 0.75 for share in measured["skills"]["correct a slip"].values())
    assert all(share >= 0.75 for share in measured["skills"]["correct haste"].values())


def judging(measured: dict[str, Any]) -> None:
    assert all(share >= 0.90 for share in measured["skills"]["feedback, verdict"].values())
    assert all(share >= 0.75 for share in measured["skills"]["feedback, step"].values())


def posing(measured: dict[str, Any]) -> None:
    assert all(share >= 0.90 for share in measured["skills"]["pose"].values())
    assert all(share >= 0.70 for share in measured["skills"]["pose, distinct"].values())


def self_consistent(measured: dict[str, Any]) -> None:
    assert all(0.40 <= share <= 0.70 for share in measured["skills"]["few-shot, chatter"].values())
    assert all(share >= 0.70 for share in measured["skills"]["few-shot, majority"].values())


NOT_YET: dict[tuple[str, Any], str] = {
    ("student", posing): "in ledger and clock 86 and 88 of 100 posed questions are well-formed",
    **{
        (name, posing): "in some families one posed question in five is not well-formed"
        for name in ("teacher", "tutor")
    },
    **{(name, judging): "in sorting the verdict is right in 84 to 86 of 100" for name in ("teacher", "tutor")},
}
"""What the models of today cannot do: a study that needs it has to wait."""
MUST_HOLD = [
    *(("student", teachable), ("student", in_order_of_familiarity), ("student", self_consistent)),
    *(("student", posing), ("teacher", posing), ("tutor", posing)),
    *((name, holds) for name in ("teacher", "tutor") for holds in (able, correcting, judging)),
]


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        pytest.param(*one, marks=[pytest.mark.xfail(reason=NOT_YET[one], strict=True)] if one in NOT_YET else [])
        for one in MUST_HOLD
    ],
)
def test_what_a_study_stands_on(name: str, holds: Any) -> None:
    holds(figures(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student", "teacher", "tutor"])
def test_measured_again(name: str) -> None:
    model, tokenizer = loaded(name)
    folder, mix = MODELS / f"abacus-{name}", RECIPES[name].mix
    reached = ceilings(model, tokenizer, folder, 100) if mix.hasty else {}
    again = measure(model, tokenizer, folder, mix, 100, reached)
    before = figures(name)["families"]
    for family, found in again.families.items():
        # The same questions; what is sampled differs.
        assert found.accuracy == pytest.approx(before[family]["accuracy"], abs=0.12)
        assert found.reachable == pytest.approx(before[family]["reachable"], abs=0.12)
