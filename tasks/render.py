"""One rendering: the only place where a question and a response become token ids.

Generation, perplexity, training and evaluation all use these ids. A question becomes a prompt by a Jinja template over
the row's columns, put as one user turn through the model's chat template; generation starts after it, so a response is
tokenised apart from it and no token straddles the two. The tokens that end a turn, up to and including the one that
generation stops at, belong to the response. A model without a chat template gets the prompt text and a new line, and
its end-of-sequence token ends the response.
"""

import functools
import hashlib
import json
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data.errors import InputError
from tasks.errors import StageFailed
from tasks.model import Model
from tasks.rows import Row

MARKER = "Zebra quartz 7"
"""A response that shows what a template puts around one; ends in no letter a tokenizer merges with `<` or a space."""
TODAY = "26 Jul 2024"
"""The date for templates that print one: a prompt must not change overnight. (Llama 3's own default.)"""


@dataclass(frozen=True)
class Rendered:
    """One question and response as the model sees them.

    `ids` are the prompt's and the response's token ids; the loss and the perplexity count those from `prompt_length`.
    """

    ids: list[int]
    prompt_length: int

    @property
    def response_ids(self) -> list[int]:
        return self.ids[self.prompt_length :]

    @property
    def response_mask(self) -> list[int]:
        """1 for each token of the response, 0 for each of the prompt."""
        return [0] * self.prompt_length + [1] * (len(self.ids) - self.prompt_length)


class Renderer:
    """Turns rows into token ids for one model. Safe to use from several threads.

    Raises:
        StageFailed: the model's tokenizer or chat template cannot be used.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._tokenizer, self._backend, self._literal = _tokenizers(model)
        self._decodes_plainly = self._backend is not None and _decodes_plainly(self._tokenizer)
        self._lock = threading.Lock()
        self._chat = self._tokenizer.chat_template is not None
        self._start = self._bos()
        self._prompt_ids = functools.lru_cache(maxsize=4096)(self._encode_prompt)
        eos = self._tokenizer.eos_token_id
        stops = {*_generation_stops(model), *([] if eos is None else [eos])}
        self._lead, self.end_ids = self._around_response(stops)
        self.stop_ids: list[int] = sorted({*stops, self.end_ids[-1]})
        """Token ids that generation stops at."""
        self.context = _context(model)
        """Tokens the model takes at most."""
        self.hash: str = self._hash()
        """Digest of the chat template, the special tokens and how prompts are made."""

    @property
    def end_id(self) -> int:
        """The token that ends a response."""
        return self.end_ids[-1]

    def prompt(self, template: str, row: Row) -> list[int]:
        """Ids of the prompt that `row` makes of the Jinja template, up to where the response begins.

        Raises:
            InputError: the template is wrong, or names a column the row lacks or has no value for.
        """
        return list(self._prompt_ids(fill(template, row)))

    def response(self, text: str) -> list[int]:
        """Ids of a response with the tokens that end its turn. Special tokens spelt out in `text` are plain text."""
        return [*self._encode(self._lead + text, literal=True), *self.end_ids]

    def row(self, template: str, row: Row, response: str | None = None) -> Rendered:
        """Prompt and response of one row; the response is the row's own where none is given."""
        prompt = self.prompt(template, row)
        return Rendered(prompt + self.response(row["response"] if response is None else response), len(prompt))

    def rows(self, template: str, rows: Iterable[Row]) -> list[Rendered]:
        return [self.row(template, row) for row in rows]

    def text(self, ids: list[int]) -> str:
        """The text of generated ids, without the tokens that end the turn."""
        end = len(self.end_ids)
        kept = ids[:-end] if list(ids[-end:]) == self.end_ids else ids
        if self._decodes_plainly:
            text = str(self._backend.decode(kept, skip_special_tokens=True))
        else:
            text = str(self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return text.removeprefix(self._lead)

    def _encode(self, text: str, literal: bool = False) -> list[int]:
        if self._backend is not None:
            return list((self._literal if literal else self._backend).encode(text, add_special_tokens=False).ids)
        with self._lock:
            return list(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=literal))

    def _bos(self) -> list[int]:
        """The beginning-of-sequence token, where the tokenizer puts one before plain text."""
        bos = self._tokenizer.bos_token_id
        return [bos] if bos is not None and self._tokenizer.encode("a")[:1] == [bos] else []

    def _turns(self, *turns: str, generation_prompt: bool = False) -> str:
        """The chat template's text for turns of user, assistant, user, …"""
        messages = [
            {"role": "assistant" if index % 2 else "user", "content": content} for index, content in enumerate(turns)
        ]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=generation_prompt,
                    date_string=TODAY,
                    strftime_now=lambda form: TODAY,
                )
            )
        except TemplateError as error:
            raise StageFailed(f"the chat template of {self._model.name} does not take a user turn: {error}") from error

    def _encode_prompt(self, text: str) -> tuple[int, ...]:
        if self._chat:
            return tuple(self._encode(self._turns(text, generation_prompt=True)))
        return (*self._start, *self._encode(text + "\n"))

    def _around_response(self, stops: set[int]) -> tuple[str, list[int]]:
        """What the template puts between the prompt and a response (text), and after the response (ids)."""
        eos = self._tokenizer.eos_token_id
        if not self._chat:
            if eos is None:
                raise StageFailed(f"the tokenizer of {self._model.name} has no end-of-sequence token and no template")
            return "", [eos]
        before = self._turns("Hello", generation_prompt=True)
        whole = self._turns("Hello", MARKER)
        head, found, tail = whole.rpartition(MARKER)
        if not found:
            raise StageFailed(f"the chat template of {self._model.name} drops the assistant's turn")
        end = self._end_of_turn(tail, stops)
        lead = head[len(before) :] if head.startswith(before) else ""
        if lead.strip():
            lead = ""
        if lead:
            # A sentencepiece tokenizer adds the space by itself: the lead is then already in the bare response.
            expected = self._encode(whole)[len(self._encode(before)) :]
            bare = self._encode(MARKER)
            if expected[: len(bare)] == bare:
                lead = ""
        return lead, end

    def _end_of_turn(self, tail: str, stops: set[int]) -> list[int]:
        """Ids of `tail` up to the first stop token; else up to its first special token; else end-of-sequence."""
        ids = self._encode(MARKER + tail)[len(self._encode(MARKER)) :]
        special = {*self._tokenizer.all_special_ids, *self._tokenizer.added_tokens_decoder}
        for wanted in (stops, special):
            for index, token in enumerate(ids):
                if token in wanted:
                    return ids[: index + 1]
        if self._tokenizer.eos_token_id is None:
            raise StageFailed(f"the chat template of {self._model.name} never ends a turn, and it has no end token")
        return [self._tokenizer.eos_token_id]

    def _hash(self) -> str:
        parts = {
            "chat_template": self._tokenizer.chat_template,
            "special": {name: str(token) for name, token in sorted(self._tokenizer.special_tokens_map.items())},
            "start": self._start,
            "lead": self._lead,
            "end": self.end_ids,
            "stop": self.stop_ids,
            "today": TODAY,
            "sample": [self._turns("Hello", generation_prompt=True) if self._chat else "Hello\n", MARKER],
            "ids": [*self._prompt_ids("Hello"), *self.response(MARKER)],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=8)
def _shared(model: Model) -> Renderer:
    return Renderer(model)


_loading = threading.Lock()


def renderer(model: Model) -> Renderer:
    """The renderer of `model`, made once a process."""
    with _loading:
        return _shared(model)


def fill(template: str, row: Row) -> str:
    """The text that a row makes of a Jinja prompt template.

    Raises:
        InputError: the template is no Jinja, or names a column that the row lacks or has no value for.
    """
    compiled = _compiled(template)
    try:
        return compiled.render(row)
    except TimeoutError:
        raise
    except Exception as error:  # a template is a program, and can go wrong as any can
        columns = meta.find_undeclared_variables(_prompts().parse(template))
        bad = sorted(name for name in columns if row.get(name) is None)
        known = isinstance(error, TemplateError)
        what = f"fails on row {row.get('id', '?')}: {error if known else f'{type(error).__name__}: {error}'}"
        if known and bad:
            what = f"needs {', '.join(bad)}, which row {row.get('id', '?')} lacks"
        raise InputError(f"prompt template {_short(template)}: it {what}; columns: {', '.join(row)}") from error


def _present(value: Any) -> Any:
    if value is None:
        raise TemplateError("a column it prints has no value")
    return value


@functools.cache
def _prompts() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=_present)


@functools.lru_cache(maxsize=256)
def _compiled(template: str) -> Template:
    try:
        return _prompts().from_string(template)
    except TimeoutError:
        raise
    except Exception as error:  # not only what it is no template for: one can be nested too deep
        known = isinstance(error, TemplateError)
        why = error if known else f"{type(error).__name__}: {error}"
        raise InputError(f"prompt template {_short(template)}: {why}") from error


def _short(template: str) -> str:
    return repr(template if len(template) <= 60 else template[:59] + "…")


def _tokenizers(model: Model) -> tuple[Any, Any, Any]:
    """The tokenizer, its Rust backend, and a copy of that for which special tokens are plain text (or None, None)."""
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            model.path, revision=model.revision or None, trust_remote_code=model.remote_code
        )
    except (OSError, ValueError, ImportError) as error:
        raise StageFailed(f"{model.name}: its tokenizer cannot be loaded: {error}") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return tokenizer, None, None
    backend = Tokenizer.from_str(backend.to_str())
    backend.no_truncation()
    backend.no_padding()
    literal = Tokenizer.from_str(backend.to_str())
    literal.encode_special_tokens = True
    return tokenizer, backend, literal


def _decodes_plainly(tokenizer: Any) -> bool:
    """Whether a tokenizer's `decode` is only its backend's, which takes a fifth of the time when called by itself."""
    from transformers import PreTrainedTokenizerFast

    kind = type(tokenizer)
    return all(getattr(kind, name) is getattr(PreTrainedTokenizerFast, name) for name in ("decode", "_decode"))


def _context(model: Model) -> int:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            model.path, revision=model.revision or None, trust_remote_code=model.remote_code
        )
    except (OSError, ValueError) as error:
        raise StageFailed(f"{model.name}: its configuration cannot be loaded: {error}") from error
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize)


def _generation_stops(model: Model) -> list[int]:
    from transformers import GenerationConfig

    try:
        stops = GenerationConfig.from_pretrained(model.path, revision=model.revision or "main").eos_token_id
    except OSError:
        return []
    if stops is None:
        return []
    return [stops] if isinstance(stops, int) else list(stops)
