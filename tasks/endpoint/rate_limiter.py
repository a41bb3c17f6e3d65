"""When the next request may go to an endpoint: concurrency, requests a minute, and what the server asks for."""

import asyncio
import email.utils
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from tasks.models.endpoint import EndpointSettings
from tasks.resources.errors import StageFailed

LONGEST = 900.0
"""Seconds a server may ask to wait; for longer (a daily limit) the stage ends and says so."""
LONG_AGO = 1e9
"""A number of seconds larger than this counts from 1970."""
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
IN_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Gate:
    """Lets requests through one by one. Belongs to one event loop.

    After a 429 fewer requests are let through at once, then again more with every answer, so that a server which
    takes less than `concurrency` is asked at the rate it takes.
    """

    def __init__(self, name: str, settings: EndpointSettings) -> None:
        self._name = name
        self._most = settings.concurrency
        self._allowed = float(settings.concurrency)
        self._every = 60 / settings.requests_per_minute if settings.requests_per_minute else 0.0
        self.inside = 0
        self._next = 0.0
        self._closed_until = 0.0
        self._lowered = 0.0
        self._door = asyncio.Lock()
        self._left = asyncio.Event()

    async def enter(self) -> None:
        """Wait for a turn; must be followed by `leave`.

        Raises:
            StageFailed: the server asks to wait for longer than anybody would.
        """
        async with self._door:
            while True:
                while self.inside >= int(self._allowed):
                    self._left.clear()
                    await self._left.wait()
                now = time.monotonic()
                if self._closed_until - now > LONGEST:
                    minutes = (self._closed_until - now) / 60
                    raise StageFailed(
                        f"{self._name}: the server asks to wait {minutes:,.0f} minutes (a limit for the day?). What is "
                        "finished is kept; run again after that"
                    )
                if max(self._closed_until, self._next) <= now:
                    break
                await asyncio.sleep(max(self._closed_until, self._next) - now)
            self._next = max(time.monotonic(), self._next) + self._every
            self.inside += 1

    def leave(self) -> None:
        self.inside -= 1
        self._left.set()

    def close_for(self, seconds: float) -> None:
        """Let nobody through for a while."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)

    def throttled(self) -> None:
        """The server had too much: half as many from now on; once for all that were under way together."""
        if time.monotonic() - self._lowered > 1:
            self._lowered = time.monotonic()
            self._allowed = max(1.0, self._allowed / 2)

    def answered(self) -> None:
        """The server had time: a few more at once."""
        self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)
        self._left.set()

    def hear(self, headers: Mapping[str, str], tokens: int) -> None:
        """Heed what the server says is left (`x-ratelimit-*`); `tokens` are what a request may take."""
        for what, needed in (("requests", 1), ("tokens", tokens)):
            left = _number(headers.get(f"x-ratelimit-remaining-{what}"))
            most = _number(headers.get(f"x-ratelimit-limit-{what}"))
            again = seconds(headers.get(f"x-ratelimit-reset-{what}"))
            if left is not None and again and left < needed and (most is None or most >= needed):
                self.close_for(again)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: `Retry-After` in seconds or as a date, or `retry-after-ms`."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    said = headers.get("retry-after")
    if said is None:
        return None
    number = _number(said)
    if number is not None:
        return max(0.0, number)
    try:
        date = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def seconds(said: str | None) -> float | None:
    """A duration such as `6m0s`, `20ms` or `1.5`, in seconds; None where it is none."""
    if said is None:
        return None
    number = _number(said)
    if number is not None:
        if number > LONG_AGO:  # a point in time, not a duration
            number -= time.time()
        return max(0.0, number)
    parts = PART.findall(said.strip())
    if not parts or "".join(amount + unit for amount, unit in parts) != said.strip():
        return None
    return sum(float(amount) * IN_SECONDS[unit] for amount, unit in parts)


def _number(said: str | None) -> float | None:
    try:
        number = float(said) if said is not None else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 1e12 else None
