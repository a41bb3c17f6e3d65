"""When the next request may go to an endpoint: concurrency, requests a minute, and what the server asks for.

aiolimiter would replace only the spacing of requests (two lines of `acquire`): it knows no concurrency, no pause that a
server asks for, and no rate that falls after a 429; and it lets a whole minute's requests through at once.
"""

import asyncio
import email.utils
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from tasks.models.endpoint import EndpointSettings
from tasks.resources.errors import StageFailed

DECIDES_NO_RESULT = True

LONGEST_PAUSE = 900.0
"""Seconds a server may ask to wait; for longer (a daily limit) the stage ends and says so."""
SMALLEST_TIMESTAMP = 1e9
"""A number of seconds larger than this counts from 1970."""
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
IN_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class RateLimiter:
    """Admits the requests of one client one by one. Belongs to one event loop.

    After a 429 fewer requests are admitted at once, then again more with every success, so that a server which takes
    less than `concurrency` is asked at the rate it takes. Processes do not share a limit: all requests of a run are
    sent from one process (see `tasks.pipeline.sharding.by_endpoint`), and two runs hear of each other by 429.
    """

    def __init__(self, name: str, settings: EndpointSettings) -> None:
        self._name = name
        self._concurrency = settings.concurrency
        self._allowed = float(settings.concurrency)
        self._interval = 60 / settings.requests_per_minute if settings.requests_per_minute else 0.0
        self._in_flight = 0
        self._next_start = 0.0
        self._paused_until = 0.0
        self._lowered_at = 0.0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def acquire(self) -> None:
        """Wait until one more request may be sent; must be followed by `release`.

        Raises:
            StageFailed: the server asks to wait for longer than `LONGEST_PAUSE`.
        """
        async with self._turn:
            while True:
                while self._in_flight >= int(self._allowed):
                    self._changed.clear()
                    await self._changed.wait()
                now = time.monotonic()
                if self._paused_until - now > LONGEST_PAUSE:
                    minutes = (self._paused_until - now) / 60
                    raise StageFailed(
                        f"{self._name}: the server asks to wait {minutes:,.0f} minutes (a limit for the day?). What is "
                        "finished is kept; run again after that"
                    )
                if max(self._paused_until, self._next_start) <= now:
                    break
                await asyncio.sleep(max(self._paused_until, self._next_start) - now)
            self._next_start = max(time.monotonic(), self._next_start) + self._interval
            self._in_flight += 1

    def release(self) -> None:
        self._in_flight -= 1
        self._changed.set()

    def pause(self, seconds: float) -> None:
        """Admit no request for a while."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def throttled(self) -> None:
        """After a 429: half as many at once from now on; once for all that were under way together."""
        if time.monotonic() - self._lowered_at > 1:
            self._lowered_at = time.monotonic()
            self._allowed = max(1.0, self._allowed / 2)

    def succeeded(self) -> None:
        """After a success: a few more at once, up to `concurrency`."""
        self._allowed = min(float(self._concurrency), self._allowed + 1 / self._allowed)
        self._changed.set()

    def observe(self, headers: Mapping[str, str], tokens: int) -> None:
        """Heed what the server says is left (`x-ratelimit-*`); `tokens` are what a request may take."""
        for what, needed in (("requests", 1), ("tokens", tokens)):
            remaining = _number(headers.get(f"x-ratelimit-remaining-{what}"))
            limit = _number(headers.get(f"x-ratelimit-limit-{what}"))
            reset = duration(headers.get(f"x-ratelimit-reset-{what}"))
            if remaining is not None and reset and remaining < needed and (limit is None or limit >= needed):
                self.pause(reset)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: `Retry-After` in seconds or as a date, or `retry-after-ms`."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    header = headers.get("retry-after")
    if header is None:
        return None
    seconds = _number(header)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def duration(text: str | None) -> float | None:
    """A duration such as `6m0s`, `20ms` or `1.5`, in seconds; None where it is none."""
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        if seconds > SMALLEST_TIMESTAMP:
            seconds -= time.time()
        return max(0.0, seconds)
    parts = DURATION_PART.findall(text.strip())
    if not parts or "".join(amount + unit for amount, unit in parts) != text.strip():
        return None
    return sum(float(amount) * IN_SECONDS[unit] for amount, unit in parts)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 1e12 else None
