"""What an endpoint's refusal means: retry, retry later, or fail with one line that says what to change."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.endpoint.rate_limiter import retry_after
from tasks.endpoint.reply import Unusable
from tasks.endpoint.secrets import Access, called
from tasks.models.endpoint import Endpoint
from tasks.resources.errors import StageFailed

DECIDES_NO_RESULT = True

RETRIED = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which sending a request again can help."""
MAYBE_PAID = frozenset({408, 502, 504, 524})
"""Statuses of a gateway that gave up waiting: the server behind it may have answered."""
FILTERED = ("content_filter", "content_policy_violation")
WORDS = {
    429: ("rate_limit", "too_many_requests", "insufficient_quota", "billing_hard_limit"),
    503: ("overloaded", "unavailable", "server_error", "internal_error", "api_error", "timeout"),
    401: ("invalid_api_key", "authentication"),
    404: ("model_not_found", "not_found_error"),
    400: ("invalid_request", "content_filter", "content_policy_violation", "context_length_exceeded"),
}
"""Parts of the words that servers give for a status, by the status."""
OUT_OF_QUOTA = ("insufficient_quota", "billing_hard_limit_reached")


@dataclass(frozen=True)
class Retry:
    """The request may be sent again."""

    why: str
    wait: float | None = None
    """Seconds the server asks for."""
    busy: bool = False
    """Whether the server has too much to do."""
    maybe_paid: bool = False
    """Whether the failed try may cost something."""


@dataclass(frozen=True)
class Refusal:
    """A reply that says what is wrong."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    inside: bool = False
    """Whether the status stands in the reply, and HTTP's own is 200: gateways pass on so what is behind them says."""

    def within(self) -> "Refusal | None":
        """The refusal that stands in a reply without an answer, or None where none does that has a status.

        It is an object `error` with a `code` (a status, or a word), of the reply or of its first choice.
        """
        try:
            said: Any = json.loads(self.content)
        except (ValueError, RecursionError):
            return None
        if not isinstance(said, dict):
            return None
        choices = said.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        for place in (said, first):
            error = place.get("error") if isinstance(place, dict) else None
            status = _status(error) if isinstance(error, dict) else None
            if status is not None:
                return Refusal(status, self.headers, json.dumps({"error": error}).encode(), inside=True)
        return None


def _status(error: Mapping[str, Any]) -> int | None:
    """The HTTP status that an error's code, status or type stands for."""
    for name in ("code", "status", "status_code", "type"):
        said = error.get(name)
        if isinstance(said, str | int) and re.fullmatch(r"[45]\d\d", str(said)):
            return int(said)
        if isinstance(said, str):
            word = said.lower()
            for status, words in WORDS.items():
                if any(known in word for known in words):
                    return status
    return None


def interpret(refusal: Refusal, endpoint: Endpoint, access: Access, row: str) -> Unusable | Retry:
    """What a reply without a response means for one request.

    Raises:
        StageFailed: sending it again would not help; one line that names what to change.
    """
    status, headers = refusal.status, refusal.headers
    code, message = _error(refusal.content)
    said = access.masked(message)[:300]
    what = (f"error {status} in a reply of HTTP 200" if refusal.inside else f"HTTP {status}") + (said and f": {said}")
    if status == 400 and code in FILTERED:
        return Unusable("refused by a content filter", final=True)
    if status == 429 and code in OUT_OF_QUOTA:
        raise StageFailed(f"{endpoint.name}: {what} (the account behind {endpoint.settings.key_env} has no quota left)")
    if status in RETRIED or status >= 500:
        return Retry(what, retry_after(headers), busy=status == 429, maybe_paid=status in MAYBE_PAID)
    raise StageFailed(f"{endpoint.name}: {what} ({_to_change(status, endpoint, row)})")


def _to_change(status: int, endpoint: Endpoint, row: str) -> str:
    settings = endpoint.settings
    if status in (401, 403):
        return f"check the key in {called(settings.key_env)}"
    if status in (404, 405) or 300 <= status < 400:
        return f"check the model id, and the address in {called(settings.base_url_env)}"
    return f"row {row}; a sampling value the server does not take can be left out: endpoints.{endpoint.id}.leave_out"


def unreachable(error: Exception, endpoint: Endpoint, access: Access) -> Retry:
    """What a broken connection means. The text names the variable with the address, never the address."""
    import httpx

    said = access.masked(" ".join(str(error).split()))[:200] or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol):
        return Retry(f"no server answers at the address in {endpoint.settings.base_url_env} ({said})")
    return Retry(f"the connection broke ({said})", maybe_paid=True)


def _error(content: bytes) -> tuple[str, str]:
    """Code and message of an error body, on one line; the servers differ in where they put them."""
    try:
        said: Any = json.loads(content)
    except (ValueError, RecursionError):
        text = content[:2000].decode(errors="replace")
        return "", "" if "<" in text else " ".join(text.split())
    error = said.get("error", said) if isinstance(said, dict) else said
    if not isinstance(error, dict):
        return "", " ".join(error.split()) if isinstance(error, str) else ""
    message = error.get("message") or error.get("detail") or ""
    behind = error.get("metadata")
    raw = behind.get("raw") if isinstance(behind, dict) else None  # what a gateway's provider said
    return str(error.get("code") or ""), " ".join(f"{message} {raw if isinstance(raw, str) else ''}".split())
