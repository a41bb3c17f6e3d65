"""Rendering: prompt and response together are what the model's own chat template makes of the conversation."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from tasks.models.filling import fill
from tasks.models.model import Model
from tasks.models.rendering import Renderer
from tests.tasks import chat_templates
from tests.tasks.chat_templates import BARE, FOR_ALL, Kind, Turn
from tests.tasks.thinking_templates import THINKING_KINDS

KINDS = chat_templates.KINDS | THINKING_KINDS
QUESTION = "{{ question }}"
WORDS = ["She has 7 apples.", "[INST] Hello", "user assistant USER: ASSISTANT: ### Q: A:", "Zebra quartz final Date"]
TEXTS = ["7", "She has 3 + 4 = 7 apples.\nAnswer: 7", "Zoë 🦊 x²", "", "a literal </s> or <|im_end|>"]
SPLITTERS = ("bytes", "sentencepiece", "sentencepiece, legacy")


def model(folder: Path, kind: Kind, thinking: bool | None = None, splitter: str = "bytes") -> Model:
    """A folder with a tokenizer and a configuration, all that rendering reads of a model."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

    spaced = splitter != "bytes"
    backend = Tokenizer(models.BPE(byte_fallback=spaced))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if spaced:
        if splitter == "sentencepiece":
            backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        else:
            backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        alphabet = [*(chr(code) for code in range(32, 127)), "▁"]
        backend.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    else:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if spaced else []
    added = [*kind.special, *kind.marks]
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=[*added, *fallback], initial_alphabet=alphabet)
    texts = [f"She has {i} apples. Hello ASSISTANT: She" for i in range(200)] + WORDS
    backend.train_from_iterator(texts, trainer)
    state = json.loads(backend.to_str())
    for token in state["added_tokens"]:
        token["special"] = token["content"] in kind.special
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] in added]
    backend = Tokenizer.from_str(json.dumps(state))
    if kind.template is None and "bos_token" in kind.options:
        bos = kind.options["bos_token"]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, backend.token_to_id(bos))]
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, **kind.options)
    fast.chat_template = kind.template
    fast.save_pretrained(folder)
    LlamaConfig(max_position_embeddings=64).save_pretrained(folder)
    if kind.stops:
        ids = [backend.token_to_id(token) for token in kind.stops]
        GenerationConfig(eos_token_id=ids).save_pretrained(folder)
    return Model("test", str(folder), "", str(folder), thinking=thinking)


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> "Renderers":
    return Renderers(tmp_path_factory)


class Renderers(dict[tuple[str, bool | None, str], Renderer]):
    """Renderers by kind, choice and tokenizer, each made once."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self._folders = folders

    def __missing__(self, key: tuple[str, bool | None, str]) -> Renderer:
        name, thinking, splitter = key
        self[key] = Renderer(model(self._folders.mktemp("model"), KINDS[name], thinking, splitter))
        return self[key]


SETTLED = [(name, thinking) for name, kind in KINDS.items() for thinking in FOR_ALL if thinking in kind.turns]
UNSETTLED = [(name, thinking) for name, kind in KINDS.items() for thinking in FOR_ALL if thinking not in kind.turns]


def as_template(renderer: Renderer, text: str) -> list[int]:
    """The ids of a conversation's text as transformers gives them."""
    return list(renderer._start) + list(renderer._tokenizer(text, add_special_tokens=False)["input_ids"])


def whole_text(renderer: Renderer, turn: Turn) -> tuple[str, str]:
    """The finished turn's text by transformers alone, and what of it the response follows."""
    tokenizer = renderer._tokenizer
    if tokenizer.chat_template is None:
        return "Hello\n" + BARE, "Hello\n"
    thinking = renderer._model.thinking
    switch = {} if thinking is None else {"enable_thinking": thinking, "thinking": thinking}
    fixed = {"date_string": "26 Jul 2024", "strftime_now": lambda form: {"%Y-%m-%d": "2024-07-26"}[form]}
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": BARE}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False, **switch, **fixed)
    return whole, whole[: whole.rindex("Hello")] + turn.prompt


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize(("name", "thinking"), SETTLED)
def test_a_row_is_what_the_template_makes_of_a_finished_turn(
    name: str, thinking: bool | None, splitter: str, renderers: "Renderers"
) -> None:
    """Prompt, response and end of turn have the ids that the whole text has; what is generated from is the prompt."""
    renderer, turn = renderers[name, thinking, splitter], KINDS[name].turns[thinking]
    rendered = renderer.row(QUESTION, {"id": "a", "question": "Hello", "response": BARE})
    whole, prompt = whole_text(renderer, turn)
    shown = whole[whole.rindex("Hello") :]
    assert shown.startswith(turn.text or turn.prompt + turn.response + turn.end.removesuffix("<|user|>"))
    if not turn.text:
        whole = prompt + turn.response + turn.end
        assert rendered.ids == as_template(renderer, whole)
    assert rendered.ids[: rendered.prompt_length] == renderer.prompt(QUESTION, {"id": "a", "question": "Hello"})
    assert rendered.ids[: rendered.prompt_length] == as_template(renderer, prompt)
    assert renderer.end_ids == rendered.ids[-len(renderer.end_ids) :]
    assert as_template(renderer, "7" + turn.end)[-len(renderer.end_ids) :] == renderer.end_ids
    if splitter != "sentencepiece, legacy" or not KINDS[name].marks:  # this kind reads a space after each mark
        assert renderer._tokenizer.decode(rendered.response_ids).strip() == (turn.response + turn.end).strip()
    assert sum(rendered.response_mask) == len(rendered.response_ids)


@pytest.mark.parametrize(("name", "thinking"), SETTLED)
def test_generation_starts_from_the_templates_own_prompt(
    name: str, thinking: bool | None, renderers: "Renderers"
) -> None:
    """Or, where that is not how finished turns begin, from how they do."""
    renderer = renderers[name, thinking, "bytes"]
    if renderer._tokenizer.chat_template is None:
        return
    switch = {} if thinking is None else {"enable_thinking": thinking, "thinking": thinking}
    fixed = {"date_string": "26 Jul 2024", "strftime_now": lambda form: {"%Y-%m-%d": "2024-07-26"}[form]}
    asked = renderer._tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_dict=False, **switch, **fixed
    )
    begins_otherwise = {
        "DeepSeek-R1: the prompt opens a block, thoughts of finished turns are dropped": thinking is False,
        "gpt-oss: channels": thinking is False,
        "Kimi K2: finished turns have an empty block": thinking is False,
        "Command A: thoughts and responses are marked": thinking is False,
        "Apriel: the prompt says that reasoning follows": thinking is False,
        "a header without generation prompt": True,
        "a header of plain text and a space, without generation prompt": True,
        "a generation prompt that ends in a space": True,
        "blanks of the generation prompt are other ones": True,
    }
    assert (renderer.prompt(QUESTION, {"question": "Hello"}) == asked) is not begins_otherwise.get(name, False)
    assert set(renderer.end_ids[-1:]) <= set(renderer.stop_ids)
    assert renderer._tokenizer.eos_token_id in renderer.stop_ids


@pytest.mark.parametrize(("name", "thinking"), UNSETTLED)
def test_a_template_that_cannot_be_both_is_refused_in_one_line_with_each_sound_choice(
    name: str, thinking: bool | None, renderers: "Renderers"
) -> None:
    renderer, kind = renderers[name, thinking, "bytes"], KINDS[name]
    with pytest.raises(InputError) as error:
        renderer.check()
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("test: ")
    for choice, word in ((False, "thinking off"), (True, "thinking on")):
        if thinking is None:
            assert (f"{word} (a response follows " in line) is (choice in kind.turns)
            assert choice not in kind.turns or repr(kind.turns[choice].prompt[-12:])[1:-1] in line
        else:
            assert f"choose {'thinking on' if thinking is False else 'thinking off'}" in line
    with pytest.raises(InputError):
        renderer.row(QUESTION, {"id": "a", "question": "Hello", "response": "7"})
    assert renderer.prompt(QUESTION, {"question": "Hello"}), "a teacher that only generates needs no choice"


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize(("name", "thinking"), SETTLED)
def test_the_text_of_a_response_comes_back(
    name: str, thinking: bool | None, splitter: str, renderers: "Renderers"
) -> None:
    renderer = renderers[name, thinking, splitter]
    for text in TEXTS:
        ids = renderer.response(text)
        assert renderer.text(ids) == text
        assert renderer.text(ids[: -len(renderer.end_ids)]) == text, "a response that was cut off"


@pytest.mark.parametrize("thoughts", ["<think>\n3 + 4\n</think>\n\nShe has 7.", "<think>\n3 + 4 is"])
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.marks and True in kind.turns])
def test_generated_thoughts_are_trained_and_scored_as_they_were_generated(
    name: str, thoughts: str, renderers: "Renderers"
) -> None:
    renderer = renderers[name, True, "bytes"]
    prompt = renderer._tokenizer.decode(renderer.prompt(QUESTION, {"question": "Hello"}))
    generated = thoughts.removeprefix("<think>\n") if prompt.endswith("<think>\n") else thoughts
    if name.startswith("GLM"):
        generated = "\n" + generated.replace("<think>\n3 + 4\n</think>\n\n", "<think>3 + 4</think>\n")
    if name.startswith("DeepSeek V3.1"):
        thoughts = thoughts.replace("<think>\n", "<think>")
        generated = generated.replace("<think>\n", "")
    ids = renderer._tokens.encode(generated)
    text = renderer.text(ids)
    assert text.lstrip() == thoughts or name.startswith("GLM")
    assert renderer.response(text)[: len(ids)] == ids
    assert renderer.response(text)[len(ids) :] == renderer.end_ids


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.marks and False in kind.turns])
def test_without_thinking_only_what_follows_the_thoughts_counts(name: str, renderers: "Renderers") -> None:
    renderer = renderers[name, False, "bytes"]
    for text in ("<think>\n3 + 4\n</think>\n\nShe has 7.", "3 + 4\n</think>\n\nShe has 7."):
        assert renderer.leaves_out(text)
        assert renderer.response(text) == renderer.response("She has 7.")
    assert not renderer.leaves_out("She has 7.")
    assert renderer.text(renderer.response("<think>\n3 + 4 is")) == "<think>\n3 + 4 is", "it never ended"


def test_special_marks_of_thoughts_are_read_and_written(
    renderers: "Renderers",
) -> None:
    renderer = renderers["Gemma 4: the prompt alone has an empty block, of special tokens", True, "bytes"]
    text = "<|channel>thought\n3 + 4<channel|>She has 7."
    ids = renderer._tokens.encode(text)
    assert len(ids) < len(renderer._tokens.encode(text.replace("|", "!"))), "the marks are one token each"
    assert renderer.text([*ids, *renderer.end_ids]) == text
    assert renderer.response(text) == [*ids, *renderer.end_ids]


def test_a_question_that_changes_the_template_is_named(tmp_path: Path) -> None:
    """Some templates look for commands in what the user says."""
    switched = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | replace('/bare', '') }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if '/bare' in messages[0]['content'] %}Bare: {% endif %}{% endif %}"
    )
    renderer = Renderer(
        model(tmp_path, Kind(switched, {}, KINDS["ChatML"].special, options={"eos_token": "<|im_end|>"}))
    )
    with pytest.raises(InputError, match=r"row q1: the chat template of test renders this .* in another way") as error:
        renderer.row(QUESTION, {"id": "q1", "question": "What? /bare", "response": "7"})
    assert "\n" not in str(error.value)
    assert renderer.row(QUESTION, {"id": "q2", "question": "What?", "response": "7"}).ids


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith(("Llama 3.1", "gpt-oss"))])
def test_a_date_in_a_template_is_the_same_on_every_day(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime as standard

    from transformers.utils import chat_template_utils

    first = Renderer(model(tmp_path, KINDS[name], False))
    text = first._tokenizer.decode(first.prompt(QUESTION, {"question": "x"}))
    assert "26 Jul 2024" in text or "2024-07-26" in text
    assert any("prints a date" in note for note in first.notes)

    class Later(standard.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Later":
            return cls(2031, 1, 2)

    monkeypatch.setattr(chat_template_utils, "datetime", Later)
    assert Renderer(first._model).hash == first.hash


def test_what_a_user_should_know_is_said_and_nothing_else(
    renderers: "Renderers",
) -> None:
    said = {name: renderers[name, None, "bytes"].notes for name, kind in KINDS.items() if None in kind.turns}
    expected = {
        "Llama 3.1: date, default system prompt, trimmed": "prints a date",
        "blanks of the generation prompt are other ones": "responses are generated after the latter",
        "a generation prompt that ends in a space": "",
        "a turn that never ends": "does not end a turn: </s> is put after a response",
    }
    for name, notes in said.items():
        assert len(notes) == bool(expected.get(name)), (name, notes)
        assert not notes or expected[name] in notes[0]


def test_special_tokens_spelt_out_in_a_response_stay_text(
    renderers: "Renderers",
) -> None:
    renderer = renderers["ChatML", None, "bytes"]
    ids = renderer.response("stop <|im_end|> here")
    assert ids.count(renderer.end_id) == 1
    assert ids[-1] == renderer.end_id


def test_the_hash_follows_template_special_tokens_and_thinking_only(tmp_path: Path) -> None:
    kind = KINDS["ChatML"]
    assert kind.template is not None
    first = model(tmp_path / "a", kind)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    copy = Model("copy", str(tmp_path / "copy"), "", "copy")
    template = kind.template.replace("\n{% endfor", "{% endfor")
    other = model(tmp_path / "b", Kind(template, {}, kind.special, options=kind.options))
    end = model(tmp_path / "c", KINDS["ChatML, another end of sequence"])
    chosen = model(tmp_path / "d", kind, thinking=False)
    hashes = [Renderer(each).hash for each in (first, copy, other, end, chosen)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4


def test_a_choice_is_part_of_a_models_identity() -> None:
    made = [Model("m", "/m", "", "c", thinking=thinking).identity() for thinking in FOR_ALL]
    assert made == ["c", {"content": "c", "thinking": False}, {"content": "c", "thinking": True}]


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
