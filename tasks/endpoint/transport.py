"""One HTTP request to an endpoint, and what became of it."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from tasks.endpoint.rate_limiter import RateLimiter
from tasks.endpoint.reply import Answer, Unusable
from tasks.endpoint.secrets import Access
from tasks.endpoint.status import Refusal, Retry, interpret, unreachable
from tasks.models.endpoint import Endpoint

DECIDES_NO_RESULT = True

LARGEST_REPLY = 64 * 2**20
"""Bytes of a reply; what sends more is no chat completion."""
Read = Callable[[Any], Answer | Unusable]
"""Says what the parsed JSON of a reply means."""


class Transport:
    """The connections to one endpoint. Belongs to one event loop."""

    def __init__(self, endpoint: Endpoint, access: Access, limiter: RateLimiter) -> None:
        import httpx

        # Its lines for debugging hold the headers of replies, and a server may echo the key in one.
        logging.getLogger("httpcore").setLevel(logging.INFO)
        self._endpoint = endpoint
        self._access = access
        self._limiter = limiter
        self._http = httpx.AsyncClient(
            headers=access.headers,
            timeout=httpx.Timeout(None, connect=30),  # the whole request has its own limit
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=endpoint.settings.concurrency),
            trust_env=not access.local,
        )

    async def post(self, body: dict[str, Any], tokens: int, row: str, read: Read) -> Answer | Unusable | Retry:
        """Send a request once, and tell the rate limiter what the server says of its load.

        Args:
            tokens: the most that the request may take.
            row: names the request in errors.

        Raises:
            StageFailed: the server refuses it, and sending it again would not help.
        """
        import httpx

        timeout = self._endpoint.settings.timeout
        content = bytearray()
        try:
            async with asyncio.timeout(timeout), self._http.stream("POST", self._access.url, json=body) as reply:
                async for piece in reply.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST_REPLY:
                        return Unusable("the reply does not end")
        except TimeoutError:
            return Retry(f"no whole answer within {timeout:g} s", maybe_paid=True)
        except httpx.HTTPError as error:
            return unreachable(error, self._endpoint, self._access)
        self._limiter.observe(reply.headers, tokens)
        refusal = Refusal(reply.status_code, reply.headers, bytes(content))
        if reply.is_success:
            result = _parsed(bytes(content), read)
            within = refusal.within() if isinstance(result, Unusable) else None
            if within is None:
                self._limiter.succeeded()
                return result
            refusal = within
        return interpret(refusal, self._endpoint, self._access, row)


def _parsed(content: bytes, read: Read) -> Answer | Unusable:
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        return Unusable("the reply is no JSON")
    return read(reply)
