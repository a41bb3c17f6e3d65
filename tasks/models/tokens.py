"""Text into token ids and back, for one model."""

import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tasks.models.model import Model
from tasks.resources.errors import StageFailed

Encode = Callable[[str], list[int]]
WORDS = ("The", "She", "I", "To", "So", "7", "Zebra")
"""Beginnings of responses, most of which have a token of their own with a space before them."""


def load(model: Model) -> Any:
    """The model's tokenizer, as transformers gives it.

    Raises:
        StageFailed: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            model.path, revision=model.revision or None, trust_remote_code=model.remote_code
        )
    except Exception as error:  # whatever the library stumbles on in a model's files
        why = " ".join(str(error).split())
        raise StageFailed(f"{model.name}: its tokenizer cannot be loaded: {type(error).__name__}: {why}") from error


class Tokens:
    """Text into token ids and back. Safe to use from several threads."""

    def __init__(self, tokenizer: Any, plain: Iterable[str] = ()) -> None:
        """Take a tokenizer of transformers.

        Args:
            plain: special tokens that are text like any other: they are read and written.
        """
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._backend, self._literals = _backends(tokenizer, frozenset(plain))
        self._decodes_plainly = self._backend is not None and _decodes_plainly(tokenizer)
        self.special = frozenset([*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder])
        """Ids of special and added tokens."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which special tokens are spelt out."""
        if self._backend is not None:
            return _ids(self._backend, text)
        with self._lock:
            return list(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        if self._decodes_plainly:
            return str(self._backend.decode(ids, skip_special_tokens=True))
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def start(self) -> list[int]:
        """The beginning-of-sequence token, where the tokenizer puts one before plain text."""
        bos = self._tokenizer.bos_token_id
        return [bos] if bos is not None and self._tokenizer.encode("a")[:1] == [bos] else []

    def straddled_blank(self, prompt: str, response: str) -> str:
        """Spaces at the end of a prompt that become one token with a response: they have to go with it.

        Args:
            response: what comes before the first word of a response.
        """
        shorter = prompt.rstrip(" ")
        wholes = [self.encode(prompt + response + word) for word in WORDS]
        if all(_begins(whole, self.encode(prompt)) for whole in wholes):
            return ""
        return prompt[len(shorter) :] if all(_begins(whole, self.encode(shorter)) for whole in wholes) else ""

    def after(self, prompt: str, response: str) -> tuple[Encode, bool]:
        """How to split a response alone into the ids that it has after the prompt; special tokens in it are plain text.

        Some tokenizers put a space before a text, or before each piece of text after a special token.

        Returns:
            The function from text to ids, and whether it gives this response the ids that it has after this prompt.
        """
        expected = self.encode(prompt + response)[len(self.encode(prompt)) :]
        ways = list(self._ways(prompt[-1:]))
        for way in ways:
            if way(response) == expected:
                return way, True
        return ways[0], False

    def _ways(self, before: str) -> Iterator[Encode]:
        encoders: list[Encode] = [functools.partial(_ids, literal) for literal in self._literals]
        encoders = encoders or [self._encode_literally]
        yield from encoders
        for encode in encoders:
            yield functools.partial(_going_on, encode, before)
            yield functools.partial(_without_a_space, encode)

    def _encode_literally(self, text: str) -> list[int]:
        with self._lock:
            return list(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))


def _backends(tokenizer: Any, plain: frozenset[str]) -> tuple[Any, list[Any]]:
    """The Rust tokenizer (None where there is none), and copies of it for which special tokens are plain text: one that
    goes on a text, then, where it differs, one that begins it."""
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None, []
    state = json.loads(backend.to_str()) | {"truncation": None, "padding": None}
    for token in state["added_tokens"]:
        token["special"] = token["special"] and token["content"] not in plain
    going_on = _without_first_space(state)
    literals = []
    for found in [going_on, state] if going_on != state else [state]:
        literal = Tokenizer.from_str(json.dumps(found))
        literal.encode_special_tokens = True
        literals.append(literal)
    return Tokenizer.from_str(json.dumps(state)), literals


def _without_first_space(state: Any) -> Any:
    """A tokenizer's state without what puts a space before a text."""
    if isinstance(state, list):
        return [_without_first_space(part) for part in state]
    if not isinstance(state, dict):
        return state
    changed = {name: part if name == "model" else _without_first_space(part) for name, part in state.items()}
    match changed.get("type"):
        case "Metaspace":
            return changed | {"prepend_scheme": "never"}
        case "ByteLevel":
            return changed | {"add_prefix_space": False}
        case "Prepend":
            return {"type": "Sequence", "normalizers": []}
    return changed


def _ids(backend: Any, text: str) -> list[int]:
    return list(backend.encode(text, add_special_tokens=False).ids)


def _going_on(encode: Encode, before: str, text: str) -> list[int]:
    return encode(before + text)[len(encode(before)) :]


def _without_a_space(encode: Encode, text: str) -> list[int]:
    return encode(text.removeprefix(" "))


def _begins(whole: list[int], part: list[int]) -> bool:
    return whole[: len(part)] == part


def _decodes_plainly(tokenizer: Any) -> bool:
    """Whether a tokenizer's `decode` is only its backend's, which takes a fifth of the time when called by itself."""
    from transformers import PreTrainedTokenizerFast

    kind = type(tokenizer)
    return all(getattr(kind, name) is getattr(PreTrainedTokenizerFast, name) for name in ("decode", "_decode"))
