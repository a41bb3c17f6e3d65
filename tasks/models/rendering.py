"""One rendering: the only place where a question and a response become token ids.

Generation, perplexity, training and evaluation all use these ids. A question becomes a prompt by a Jinja template over
the row's columns, put as one user turn through the model's chat template (tasks/models/chat_template.py). Generation
starts after the prompt, so a response is tokenised apart from it and no token straddles the two. The tokens that end a
turn, up to and including the one that generation stops at, belong to the response. A model without a chat
template gets the prompt text and a new line, and its end-of-sequence token ends the response.
"""

import functools
import hashlib
import json
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data.errors import InputError
from tasks.models import tokens
from tasks.models.chat_template import MARKER, QUESTION, TODAY, ChatTemplate
from tasks.models.filling import fill
from tasks.models.model import Model
from tasks.models.tokens import Tokens
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row


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
        self._tokenizer = tokens.load(model)
        self._chat = self._tokenizer.chat_template is not None
        self._template = ChatTemplate(model.name, self._tokenizer, model.thinking)
        self._tokens = Tokens(self._tokenizer, self._template.marks or ())
        self._start = [] if self._chat else self._tokens.start()
        self.notes: tuple[str, ...] = self._template.notes
        """What a user should know of how this model's rows are rendered, a line each."""
        prompt = self._template.prompt(QUESTION)
        self._moved_blank = self._tokens.straddled_blank(prompt, self._template.lead)
        self._prompt_ids = functools.lru_cache(maxsize=4096)(self._encode_prompt)
        bare = self._moved_blank + self._bare
        self._response_ids, same = self._tokens.after(prompt.removesuffix(self._moved_blank), bare)
        self._lead = self.decode(self._response_ids(bare)).rpartition(MARKER)[0]
        if not same:
            self.notes += (f"{model.name}: its tokenizer splits a response after the prompt in another way than alone",)
        eos = self._tokenizer.eos_token_id
        stops = {*_generation_stops(model), *([] if eos is None else [eos])}
        self.end_ids = self._end_of_turn(stops)
        """Token ids that end a response."""
        self.stop_ids: list[int] = sorted({*stops, self.end_ids[-1], *self._tokens.special.intersection(self.end_ids)})
        """Token ids that generation stops at."""
        self.context = _context(model)
        """Tokens the model takes at most."""
        self.hash: str = self._hash()
        """Digest of the chat template, the special tokens and how prompts are made."""

    @property
    def end_id(self) -> int:
        """The token that ends a response."""
        return self.end_ids[-1]

    def check(self) -> None:
        """See that responses can be rendered, before any work.

        Raises:
            InputError: the chat template leaves a choice that nobody has made; says which there is.
        """
        if self._template.unsettled:
            raise InputError(self._template.unsettled)

    def prompt(self, template: str, row: Row) -> list[int]:
        """Ids of the prompt that `row` makes of the Jinja template, up to where the response begins.

        Raises:
            InputError: the template is wrong, or names a column the row lacks or has no value for.
        """
        return list(self._prompt_ids(fill(template, row)))

    def response(self, text: str, question: str = QUESTION) -> list[int]:
        """Ids of a response with the tokens that end its turn, as the chat template has it in a finished turn.

        Special tokens spelt out in `text` are plain text.

        Raises:
            InputError: see `check`; or the chat template renders this one in another way than others.
        """
        return [*self._response_ids(self._moved_blank + self._template.response(question, text)), *self.end_ids]

    def beginning(self, text: str, question: str = QUESTION) -> list[int]:
        """Ids of a response that is not ended, for a model to go on from.

        Raises:
            InputError: as `response`.
        """
        return self.response(text, question)[: -len(self.end_ids)]

    def row(self, template: str, row: Row, response: str | None = None) -> Rendered:
        """Prompt and response of one row; the response is the row's own where none is given.

        Raises:
            InputError: as `prompt` and `response`.
        """
        self.check()
        question = fill(template, row)
        prompt = self._prompt_ids(question)
        text = row["response"] if response is None else response
        try:
            return Rendered([*prompt, *self.response(text, question)], len(prompt))
        except (StageFailed, InputError) as error:
            raise InputError(f"row {row.get('id', '?')}: {error}") from error

    def rows(self, template: str, rows: Iterable[Row]) -> list[Rendered]:
        return [self.row(template, row) for row in rows]

    def leaves_out(self, text: str) -> bool:
        """Whether a response has thoughts that are not rendered: thinking is off."""
        return self._template.leaves_out(text)

    def text(self, ids: list[int]) -> str:
        """The response of generated ids, without the tokens that end the turn.

        Thoughts are part of it, with the mark that begins them where the prompt has it. An empty block of them is not.
        """
        end = len(self.end_ids)
        kept = ids[:-end] if list(ids[-end:]) == self.end_ids else ids
        return self._template.written(self.decode(kept), self._lead)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        return self._tokens.decode(ids)

    def _encode_prompt(self, question: str) -> tuple[int, ...]:
        text = self._template.prompt(question)
        return (*self._start, *self._tokens.encode(text.removesuffix(self._moved_blank)))

    @property
    def _bare(self) -> str:
        """What a response without thoughts looks like after the prompt."""
        return self._template.lead + MARKER

    def _end_of_turn(self, stops: set[int]) -> list[int]:
        """Ids of what follows a response up to the first token that generation stops at; else up to the first special
        token; else the stop token that begins the next turn; else end-of-sequence."""
        after, following = (
            self._tokens.encode(MARKER + text)[len(self._tokens.encode(MARKER)) :]
            for text in (self._template.tail, self._template.next_turn())
        )
        for ids, wanted in ((after, stops), (after, self._tokens.special), (following[:1], stops)):
            for index, token in enumerate(ids):
                if token in wanted:
                    return ids[: index + 1]
        eos = self._tokenizer.eos_token_id
        if eos is None:
            raise StageFailed(f"nothing ends a response of {self._model.name}: it has no end-of-sequence token")
        if self._chat:
            ends = self._tokenizer.eos_token
            self.notes += (
                f"{self._model.name}: its chat template does not end a turn: {ends} is put after a response",
            )
        return [eos]

    def _hash(self) -> str:
        parts = {
            "chat_template": self._tokenizer.chat_template,
            "thinking": self._model.thinking,
            "special": {name: str(token) for name, token in sorted(self._tokenizer.special_tokens_map.items())},
            "start": self._start,
            "lead": self._template.lead,
            "end": self.end_ids,
            "stop": self.stop_ids,
            "today": str(TODAY),
            "sample": [self._template.prompt(QUESTION), MARKER],
            "ids": [*self._prompt_ids(QUESTION), *self._response_ids(self._moved_blank + self._bare)],
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


def _context(model: Model) -> int:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            model.path, revision=model.revision or None, trust_remote_code=model.remote_code
        )
        return int(getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize)
    except Exception as error:  # whatever the library stumbles on in a model's files
        why = " ".join(str(error).split())
        raise StageFailed(f"{model.name}: its configuration cannot be loaded: {type(error).__name__}: {why}") from error


def _generation_stops(model: Model) -> list[int]:
    from transformers import GenerationConfig

    try:
        stops = GenerationConfig.from_pretrained(model.path, revision=model.revision or "main").eos_token_id
    except OSError:
        return []
    if stops is None:
        return []
    return [stops] if isinstance(stops, int) else list(stops)
