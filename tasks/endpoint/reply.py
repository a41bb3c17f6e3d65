"""What is asked of an OpenAI-compatible endpoint and what its reply says: the part that decides answers."""

from dataclasses import dataclass
from typing import Any, Literal

from tasks.models.endpoint import Endpoint
from tasks.models.sampling import Sampling

STOPPED = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})
CUT_OFF = frozenset({"length", "max_tokens"})


@dataclass(frozen=True)
class Answer:
    """A usable reply."""

    text: str
    finish: Literal["stop", "length"]
    input: int | None
    """Prompt tokens by the server's count; None where it gives none that can be."""
    output: int | None


@dataclass(frozen=True)
class Unusable:
    """A reply that holds no answer, and why; what it cost, where that is said."""

    why: str
    input: int | None = None
    output: int | None = None
    final: bool = False
    """Whether asking again would give the same."""


def body(endpoint: Endpoint, text: str, sampling: Sampling, seed: int) -> dict[str, Any]:
    """The request for one response to a prompt, put as one user turn.

    Greedy decoding is asked for as temperature 0. The seed is cut to 31 bits: more than that not every server reads.
    """
    drawn = {
        "temperature": sampling.temperature,
        "top_p": 1.0 if sampling.temperature == 0 else sampling.top_p,
        "seed": seed & 0x7FFFFFFF,
    }
    top_k = {} if sampling.top_k is None or sampling.temperature == 0 else {"top_k": sampling.top_k}
    return {
        "model": endpoint.id,
        "messages": [{"role": "user", "content": text}],
        **{name: value for name, value in drawn.items() if name not in endpoint.settings.leave_out},
        **top_k,
        endpoint.settings.tokens_parameter: sampling.max_tokens,
        **endpoint.settings.extra,
    }


def read(reply: Any) -> Answer | Unusable:
    """What the parsed JSON of a reply says."""
    if not isinstance(reply, dict):
        return Unusable(f"the reply is {type(reply).__name__}, not an object")
    usage = reply.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    input_tokens, output_tokens = _count(counts.get("prompt_tokens"), 1), _count(counts.get("completion_tokens"), 0)
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        return Unusable(f"the reply has no choices{_words(reply.get('error'))}", input_tokens, output_tokens)
    finish, text = first.get("finish_reason"), _text(message.get("content"))
    if finish not in STOPPED and finish not in CUT_OFF:
        return Unusable(f"finish_reason {str(finish)[:40]}{_words(first.get('error'))}", input_tokens, output_tokens)
    if text is None:
        refused = "refused" if message.get("refusal") else "no content"
        return Unusable(refused, input_tokens, output_tokens)
    if not text.isascii() and text.encode(errors="replace").decode() != text:
        return Unusable("the text is no Unicode", input_tokens, output_tokens)
    if text and output_tokens == 0:
        output_tokens = None
    return Answer(text, "stop" if finish in STOPPED else "length", input_tokens, output_tokens)


def _words(error: Any) -> str:
    """What a server says of an error, after a colon."""
    said = error.get("message") if isinstance(error, dict) else error
    return f": {' '.join(said.split())[:200]}" if isinstance(said, str) and said.strip() else ""


def _text(content: Any) -> str | None:
    """The content as text; some servers send it in pieces."""
    if isinstance(content, list):
        texts = [piece.get("text") for piece in content if isinstance(piece, dict) and piece.get("type") == "text"]
        pieces = [text for text in texts if isinstance(text, str)]
        content = "".join(pieces) if pieces and len(pieces) == len(texts) else None
    return content if isinstance(content, str) else None


def _count(value: Any, least: int) -> int | None:
    """A token count, where it can be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None
