"""Rendering: prompt and response together are what the model's own chat template makes of the conversation."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks.model import Model
from tasks.render import TODAY, Renderer, fill
from tests.bench.models import CHAT

QUESTION = "{{ question }}"
LLAMA_3 = (
    "{{ bos_token }}{% if strftime_now is defined %}<|start|>system<|stop|>Today: {{ strftime_now('%d %b %Y') }}<|eot|>"
    "{% endif %}{% for m in messages %}<|start|>{{ m['role'] }}<|stop|>\n\n{{ m['content'] | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|stop|>\n\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}"
    "{% elif (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% elif m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %} {{ m['content'] }}</s>{% endif %}"
    "{% endfor %}"
)
LLAMA_2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token }}[INST] {{ m['content'] | trim }} [/INST]"
    "{% else %} {{ m['content'] | trim }} </s>{% endif %}{% endfor %}"
)
UNENDED = (
    "{% for m in messages %}### {{ m['role'] }}\n{{ m['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant\n{% endif %}"
)
THINKING = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|eot|>\n{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
SPECIALS = ["<s>", "</s>", "<|start|>", "<|stop|>", "<|eot|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"]
TEXTS = [
    "7",
    "She has 3 + 4 = 7 apples.\nAnswer: 7",
    "  spaces around  ",
    "Zoë 🦊 x²",
    "",
    "a literal </s> or <|im_end|>",
]


def tokenizer(folder: Path, template: str | None, sentencepiece: bool = False, **special: str) -> Model:
    """A folder with a tokenizer and a configuration, all that rendering reads of a model."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(byte_fallback=sentencepiece))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if sentencepiece:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        backend.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        alphabet = [chr(code) for code in range(32, 127)]
    else:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
    extra = [f"<0x{byte:02X}>" for byte in range(256)] if sentencepiece else []
    trainer = trainers.BpeTrainer(vocab_size=800, special_tokens=[*SPECIALS, *extra], initial_alphabet=alphabet)
    texts = [f"She has {i} apples." for i in range(200)] + ["[INST] Hello", "[/INST]", "assistant"]
    backend.train_from_iterator(texts, trainer)  # no text goes on after [/INST], so that no token spans it
    if sentencepiece:
        state = json.loads(backend.to_str())
        for token in state["added_tokens"]:
            token["special"] = token["content"] in SPECIALS
        backend = Tokenizer.from_str(json.dumps(state))
    if special.get("bos_token") and template is None:
        bos = special["bos_token"]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, SPECIALS.index(bos))]
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    fast.chat_template = template
    fast.save_pretrained(folder)
    LlamaConfig(max_position_embeddings=64).save_pretrained(folder)
    return Model("test", str(folder), "", str(folder))


CASES: dict[str, dict[str, Any]] = {
    "chatml": {"template": CHAT, "eos_token": "<|im_end|>", "end": "<|im_end|>"},
    "chatml, other end of sequence": {"template": CHAT, "eos_token": "<|endoftext|>", "end": "<|im_end|>"},
    "llama 3": {"template": LLAMA_3, "bos_token": "<s>", "eos_token": "<|eot|>", "end": "<|eot|>"},
    "llama 2": {"template": LLAMA_2, "bos_token": "<s>", "eos_token": "</s>", "end": " </s>"},
    "mistral": {"template": MISTRAL, "bos_token": "<s>", "eos_token": "</s>", "end": "</s>"},
    "mistral, sentencepiece": {
        "template": MISTRAL,
        "sentencepiece": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "end": "</s>",
    },
    "unended": {"template": UNENDED, "eos_token": "</s>", "end": "</s>"},
    "thinking": {"template": THINKING, "eos_token": "<|eot|>", "end": "<|eot|>"},
    "base model": {"template": None, "eos_token": "</s>", "end": "</s>"},
    "base model with a start": {"template": None, "bos_token": "<s>", "eos_token": "</s>", "end": "</s>"},
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Renderer]:
    options = {name: value for name, value in CASES[request.param].items() if name != "end"}
    return request.param, Renderer(tokenizer(tmp_path, **options))


def test_a_response_ends_with_what_ends_a_turn_and_generation_stops_there(case: tuple[str, Renderer]) -> None:
    name, renderer = case
    end = renderer._tokenizer.decode(renderer.end_ids)
    assert end == CASES[name]["end"]
    assert renderer.response("7")[-len(renderer.end_ids) :] == renderer.end_ids
    assert renderer.end_ids[-1] in renderer.stop_ids
    assert renderer._tokenizer.eos_token_id in renderer.stop_ids


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_response_comes_back(case: tuple[str, Renderer], text: str) -> None:
    name, renderer = case
    ids = renderer.response(text)
    if "sentencepiece" in name:
        text = text.removeprefix(" ")  # this kind of tokenizer gives " x" and "x" the same tokens
    assert renderer.text(ids) == text
    assert renderer.text(ids[: -len(renderer.end_ids)]) == text, "a response that was cut off"


def test_prompt_and_response_are_the_rendered_conversation(case: tuple[str, Renderer]) -> None:
    name, renderer = case
    row = {"id": "a", "question": "How many apples?", "response": "She has 7 apples."}
    rendered = renderer.row(QUESTION, row)
    assert rendered.response_ids == renderer.response(row["response"])
    assert sum(rendered.response_mask) == len(rendered.response_ids)
    tokenizer = renderer._tokenizer
    if tokenizer.chat_template is None:
        expected = renderer._start + renderer._encode("How many apples?\n") + renderer._encode("She has 7 apples.")
        assert rendered.ids == [*expected, tokenizer.eos_token_id]
        return
    whole = renderer._turns("How many apples?", "She has 7 apples.")
    if name == "thinking":
        whole = whole.replace("<think>\n\n</think>\n\n", "")
    ids = renderer._encode(whole)
    compared = len(ids) if name != "unended" else len(rendered.ids) - 1
    assert ids[: len(rendered.ids)][:compared] == rendered.ids[:compared]


def test_the_date_in_a_template_does_not_change_overnight(tmp_path: Path) -> None:
    renderer = Renderer(tokenizer(tmp_path, LLAMA_3, bos_token="<s>", eos_token="<|eot|>"))
    assert TODAY in renderer._tokenizer.decode(renderer.prompt(QUESTION, {"question": "x"}))


def test_special_tokens_spelt_out_in_a_response_stay_text(tmp_path: Path) -> None:
    renderer = Renderer(tokenizer(tmp_path, CHAT, eos_token="<|im_end|>"))
    ids = renderer.response("stop <|im_end|> here")
    assert ids.count(renderer.end_id) == 1
    assert ids[-1] == renderer.end_id


def test_the_hash_follows_template_and_special_tokens_only(tmp_path: Path) -> None:
    first = tokenizer(tmp_path / "a", CHAT, eos_token="<|im_end|>")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    copy = Model("copy", str(tmp_path / "copy"), "", "copy")
    other = tokenizer(tmp_path / "b", CHAT.replace("\n{% endfor", "{% endfor"), eos_token="<|im_end|>")
    end = tokenizer(tmp_path / "c", CHAT, eos_token="<|endoftext|>")
    hashes = [Renderer(model).hash for model in (first, copy, other, end)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize(
    ("template", "row", "message"),
    [
        (
            "Solve: {{ qestion }}",
            {"id": "r1", "question": "x"},
            "needs qestion, which row r1 lacks; columns: id, question",
        ),
        ("{{ reference }}", {"id": "r1", "reference": None}, "needs reference, which row r1 lacks"),
        ("{{ question", {"id": "r1", "question": "x"}, "unexpected end of template"),
        ("{{ question.a.b }}", {"id": "r1", "question": "x"}, "has no attribute"),
    ],
)
def test_a_wrong_prompt_template_is_named(template: str, row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match="prompt template") as error:
        fill(template, row)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_template_may_use_several_columns_and_conditions() -> None:
    template = "{{ question }}{% if hint is defined %} Hint: {{ hint }}{% endif %}"
    assert fill(template, {"question": "Q"}) == "Q"
    assert fill(template, {"question": "Q", "hint": "H"}) == "Q Hint: H"
