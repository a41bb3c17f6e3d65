"""The client of OpenAI-compatible endpoints: many stages stream requests through it, responses come back as they come.

It decides when and how often a request is sent, never what a response says. One client an endpoint, study and process;
all run on one event loop in a thread of its own.
"""

import asyncio
import functools
import json
import queue
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from tasks.endpoint.budget import Budget, Spent
from tasks.endpoint.event_loop import loop
from tasks.endpoint.rate_limiter import RateLimiter
from tasks.endpoint.reply import Answer, Unusable
from tasks.endpoint.response_cache import ResponseCache, digest
from tasks.endpoint.secrets import Access, access
from tasks.endpoint.status import Retry
from tasks.endpoint.transport import Read, Transport
from tasks.models.endpoint import Endpoint
from tasks.resources.errors import StageFailed, Transient
from tasks.storage.artifacts import Store

DECIDES_NO_RESULT = True

TRIES = 8
"""Times a request is sent before the stage gives up for now; some two minutes."""
TRIES_WHEN_BUSY = 40
"""The same for a server that says it has too much to do (429)."""
TRIES_WHEN_UNUSABLE = 3
"""Times a request is sent whose reply is unusable."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds of back-off; doubled with every try."""
TEMPLATE_TOKENS = 256
"""Prompt tokens a server's chat template may add. A token of the text itself is at least one byte of it."""


@dataclass(frozen=True)
class Request:
    """One request. `row` names it in errors."""

    body: dict[str, Any]
    prompt_bytes: int
    max_tokens: int
    row: str

    @functools.cached_property
    def digest(self) -> str:
        return digest(self.body)


class OverBudget(Exception):
    """The next request could exceed the budget."""


@dataclass(eq=False)
class _Pending:
    """A request on its way, and the stream it belongs to."""

    position: int
    request: Request
    stage: str
    read: Read
    note: Callable[[str], None]
    sent: bool = False
    """Whether the server has it just now."""
    stopped: bool = False
    """Whether it is not to be sent again."""
    future: "Future[Answer | Unusable]" = field(default_factory=Future)


class Client:
    """Sends requests to one endpoint for one study. `stream` may be used from any thread, everything else runs on the
    event loop."""

    def __init__(self, endpoint: Endpoint, store: Store, known: Access) -> None:
        self.endpoint = endpoint
        self.budget = Budget(store, endpoint)
        self.cache = ResponseCache(store, endpoint)
        self._access = known
        self._limiter = RateLimiter(endpoint.name, endpoint.settings)
        self._transport = Transport(endpoint, known, self._limiter)
        self._reserved = 0
        """Requests whose cost is reserved and not settled yet."""
        self._settled = asyncio.Event()
        self._surplus = [0, 0]
        """Prompt and response tokens that this server counts beyond what is expected of a request."""
        self._noted = 0.0

    def stream(
        self,
        requests: Iterable[Request],
        stage: str,
        read: Read,
        note: Callable[[str], None],
    ) -> Generator[tuple[int, Answer | Unusable, bool], None, None]:
        """Send requests; yields, in any order, (position, response, whether it came from the cache).

        Requests under way when one fails are waited for and yielded first: they have been paid for.

        Args:
            stage: key of the artifact the responses are for.
            read: says what the JSON of a reply means.

        Raises:
            StageFailed: the server refuses a request; trying again would not help.
            Transient: the server does not answer.
            OverBudget: no more requests fit into the budget.
        """
        self.cache.refresh()
        ended: queue.SimpleQueue[_Pending] = queue.SimpleQueue()
        under_way: set[_Pending] = set()
        source = enumerate(requests)
        failed: BaseException | None = None
        more = True
        try:
            while True:
                while more and failed is None and len(under_way) < 2 * self.endpoint.settings.concurrency:
                    position, request = next(source, (-1, None))
                    if request is None:
                        more = False
                    elif (cached := self.cache.get(request.digest)) is not None:
                        yield position, cached, True
                    else:
                        under_way.add(self._submit(_Pending(position, request, stage, read, note), ended))
                if not under_way:
                    break
                pending = ended.get()
                under_way.discard(pending)
                try:
                    response = pending.future.result()
                except CancelledError:
                    continue
                except (StageFailed, Transient, OverBudget) as error:
                    failed = failed or error
                    _stop(under_way)
                    continue
                yield pending.position, response, False
        finally:
            for pending in under_way:
                pending.future.cancel()
        if failed is not None:
            raise failed

    def _submit(self, pending: _Pending, ended: "queue.SimpleQueue[_Pending]") -> _Pending:
        pending.future = asyncio.run_coroutine_threadsafe(self._complete(pending), loop())
        pending.future.add_done_callback(lambda _: ended.put(pending))
        return pending

    async def _complete(self, pending: _Pending) -> Answer | Unusable:
        """Send one request until there is a response, or it is clear that there will be none."""
        tries = unusable = 0
        while True:
            await self._limiter.acquire()
            try:
                if pending.stopped:
                    raise asyncio.CancelledError
                outcome = await self._send_once(pending, again=tries + unusable > 0)
            finally:
                self._limiter.release()
            if isinstance(outcome, Answer):
                return outcome
            if isinstance(outcome, Unusable):
                unusable += 1
                if unusable >= TRIES_WHEN_UNUSABLE or outcome.final:
                    return outcome
                await asyncio.sleep(_wait(unusable))
                continue
            tries += 1
            if tries >= (TRIES_WHEN_BUSY if outcome.busy else TRIES):
                raise Transient(f"{self.endpoint.name}: {outcome.why}, {tries} times one after another")
            await self._back_off(pending, outcome, tries)

    async def _back_off(self, pending: _Pending, outcome: Retry, tries: int) -> None:
        """Wait as long as the server asks, all requests together; by itself, longer with every try."""
        if outcome.busy:
            self._limiter.throttled()
        wait = outcome.wait or _wait(tries)
        if wait >= 5 and time.monotonic() - self._noted > 10:
            self._noted = time.monotonic()
            pending.note(f"{self.endpoint.name}: {outcome.why}; tries again in {wait:.0f} s")
        if outcome.wait:
            self._limiter.pause(outcome.wait)
        else:
            await asyncio.sleep(wait)

    async def _send_once(self, pending: _Pending, again: bool) -> Answer | Unusable | Retry:
        """Send a request once, its cost reserved before it is sent."""
        request, settings = pending.request, self.endpoint.settings
        extra = len(json.dumps(settings.extra)) if settings.extra else 0
        most = self.budget.cost(
            request.prompt_bytes + extra + TEMPLATE_TOKENS + self._surplus[0], request.max_tokens + self._surplus[1]
        )
        most += Spent(requests=1, retries=int(again))
        await self._reserve(pending.stage, most)
        cost: Spent | None = None  # where it is not known, what was reserved stays
        try:
            pending.sent = True
            outcome = await self._transport.post(request.body, most.tokens, request.row, pending.read)
            if isinstance(outcome, Retry):
                cost = None if outcome.maybe_paid else Spent()
                return outcome
            if outcome.input is not None and outcome.output is not None:
                cost = self.budget.cost(outcome.input, outcome.output)
                self._expect(pending, most, cost)
            if isinstance(outcome, Answer):
                outcome = self._without_secrets(outcome)
                self.cache.put(request.digest, outcome)
            return outcome
        except StageFailed:
            cost = Spent()
            raise
        finally:
            pending.sent = False
            if cost is not None:
                self.budget.settle(pending.stage, most, cost)
            self._reserved -= 1
            self._settled.set()

    async def _reserve(self, stage: str, most: Spent) -> None:
        """Reserve what a request may cost; waits for others to be settled where there is no room for it now."""
        while not self.budget.reserve(stage, most):
            if not self._reserved:
                raise OverBudget
            self._settled.clear()
            await self._settled.wait()
        self._reserved += 1

    def _expect(self, pending: _Pending, most: Spent, cost: Spent) -> None:
        """Reserve more for the next requests where a server counts more than could be expected."""
        surplus = [max(0, cost.input - most.input), max(0, cost.output - most.output)]
        if any(surplus):
            self._surplus = [a + b for a, b in zip(self._surplus, surplus, strict=True)]
            pending.note(
                f"{self.endpoint.name}: row {pending.request.row} took {cost.tokens:,} tokens by the server's count, "
                f"at most {most.tokens:,} were expected"
            )

    def _without_secrets(self, answer: Answer) -> Answer:
        text = self._access.without_secrets(answer.text)
        return answer if text == answer.text else Answer(text, answer.finish, answer.input, answer.output)


def _stop(under_way: Iterable[_Pending]) -> None:
    """Let requests that the server has complete, once, and drop the others."""

    def stop(pending: _Pending) -> None:
        pending.stopped = True
        if not pending.sent:
            pending.future.cancel()

    for pending in under_way:
        # In the loop's own thread: nothing is sent between the look and the end, which would count as perhaps paid.
        loop().call_soon_threadsafe(stop, pending)


def _wait(tries: int) -> float:
    """Seconds of back-off, part of it by chance, so that requests which failed together come apart."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (tries - 1))
    return longest * random.uniform(0.5, 1)


_clients: dict[Any, Client] = {}
"""The process's own, since stages of one study share the limits of an endpoint. The key holds all that a client depends
on, the study included: another study gets another client, with its own settings, limits and budget."""
_lock = threading.Lock()


def connect(endpoint: Endpoint, store: Store) -> Client:
    """The client of an endpoint for its study in this process; made when first needed.

    Raises:
        InputError: the environment does not say where the endpoint is.
    """
    known = access(endpoint)
    which = (
        *(endpoint.name, endpoint.study, endpoint.settings.model_dump_json(), str(store.root)),
        *(known.url, *known.headers.values()),
    )
    with _lock:
        if which not in _clients:
            _clients[which] = Client(endpoint, store, known)
        return _clients[which]
