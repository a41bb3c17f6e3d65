"""The client of OpenAI-compatible endpoints: many stages stream requests through it, answers come back as they come.

It decides when and how often a request is sent, never what an answer says. One client an endpoint and process; all run
on one event loop in a thread of its own.
"""

import asyncio
import functools
import json
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from tasks.endpoint.budget import Account, Spent
from tasks.endpoint.event_loop import loop
from tasks.endpoint.rate_limiter import Gate
from tasks.endpoint.reply import Answer, Unusable
from tasks.endpoint.response_cache import Answers, digest
from tasks.endpoint.secrets import Access, access
from tasks.endpoint.status import Again, Refusal, heard, unreachable
from tasks.models.endpoint import Endpoint
from tasks.resources.errors import StageFailed, Transient
from tasks.storage.artifacts import Store

TRIES = 8
"""Times a request is sent before the stage gives up for now; some two minutes."""
TRIES_WHEN_BUSY = 40
"""The same for a server that says it has too much to do (429)."""
TRIES_FOR_RUBBISH = 3
"""Times an unusable reply is asked for again."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds of back-off; doubled with every try."""
TEMPLATE_TOKENS = 256
"""Prompt tokens a server's chat template may add. A token of the text itself is at least one byte of it."""
MOST_BYTES = 64 * 2**20
"""Of a reply; what sends more is no chat completion."""


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
    """The next request could pass the budget."""


@dataclass(eq=False)
class _Pending:
    """A request on its way, and the stream it belongs to."""

    position: int
    request: Request
    stage: str
    read: Callable[[Any], Answer | Unusable]
    note: Callable[[str], None]
    sent: bool = False
    """Whether the server has it just now."""
    stopped: bool = False
    """Whether it is not to be sent again."""
    future: "Future[Answer | Unusable]" = field(default_factory=Future)


class Client:
    """Asks one endpoint. `stream` may be used from any thread, everything else runs on the event loop."""

    def __init__(self, endpoint: Endpoint, store: Store, known: Access) -> None:
        import httpx

        # Its lines for debugging hold the headers of replies, and a server may echo the key in one.
        logging.getLogger("httpcore").setLevel(logging.INFO)
        self.endpoint = endpoint
        self.account = Account(store, endpoint)
        self.answers = Answers(store, endpoint)
        self._access = known
        self._gate = Gate(endpoint.name, endpoint.settings)
        self._under_way = 0
        self._settled = asyncio.Event()
        self._beyond = [0, 0]
        self._noted = 0.0
        self._http = httpx.AsyncClient(
            headers=known.headers,
            timeout=httpx.Timeout(None, connect=30),  # the whole request has its own limit
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=endpoint.settings.concurrency),
            trust_env=not known.local,
        )

    def stream(
        self,
        requests: Iterable[Request],
        stage: str,
        read: Callable[[Any], Answer | Unusable],
        note: Callable[[str], None],
    ) -> Generator[tuple[int, Answer | Unusable, bool], None, None]:
        """Answer requests, in any order, as (position, what came, whether it was kept from before).

        What is under way when one fails is waited for and given out first: it has been paid for.

        Args:
            stage: key of the artifact the answers are for.
            read: says what the JSON of a reply means.

        Raises:
            StageFailed: the server refuses a request; trying again would not help.
            Transient: the server does not answer.
            OverBudget: nothing more can be asked within the budget.
        """
        self.answers.refresh()
        inbox: queue.SimpleQueue[_Pending] = queue.SimpleQueue()
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
                    elif (kept := self.answers.find(request.digest)) is not None:
                        yield position, kept, True
                    else:
                        under_way.add(self._send(_Pending(position, request, stage, read, note), inbox))
                if not under_way:
                    break
                pending = inbox.get()
                under_way.discard(pending)
                try:
                    came = pending.future.result()
                except CancelledError:
                    continue
                except (StageFailed, Transient, OverBudget) as error:
                    failed = failed or error
                    _stop(under_way)
                    continue
                yield pending.position, came, False
        finally:
            for pending in under_way:
                pending.future.cancel()
        if failed is not None:
            raise failed

    def _send(self, pending: _Pending, inbox: "queue.SimpleQueue[_Pending]") -> _Pending:
        pending.future = asyncio.run_coroutine_threadsafe(self._ask(pending), loop())
        pending.future.add_done_callback(lambda _: inbox.put(pending))
        return pending

    async def _ask(self, pending: _Pending) -> Answer | Unusable:
        """One request until it is answered, or it is clear that it will not be."""
        tries = useless = 0
        while True:
            await self._gate.enter()
            try:
                if pending.stopped:
                    raise asyncio.CancelledError
                outcome = await self._try(pending, again=tries + useless > 0)
            finally:
                self._gate.leave()
            if isinstance(outcome, Answer):
                return outcome
            if isinstance(outcome, Unusable):
                useless += 1
                if useless >= TRIES_FOR_RUBBISH or outcome.final:
                    return outcome
                await asyncio.sleep(_wait(useless))
                continue
            tries += 1
            if tries >= (TRIES_WHEN_BUSY if outcome.busy else TRIES):
                raise Transient(f"{self.endpoint.name}: {outcome.why}, {tries} times one after another")
            await self._pause(pending, outcome, tries)

    async def _pause(self, pending: _Pending, outcome: Again, tries: int) -> None:
        """Wait as long as the server asks, all requests together; by itself, longer with every try."""
        if outcome.busy:
            self._gate.throttled()
        wait = outcome.wait or _wait(tries)
        if wait >= 5 and time.monotonic() - self._noted > 10:
            self._noted = time.monotonic()
            pending.note(f"{self.endpoint.name}: {outcome.why}; asks again in {wait:.0f} s")
        if outcome.wait:
            self._gate.close_for(outcome.wait)
        else:
            await asyncio.sleep(wait)

    async def _try(self, pending: _Pending, again: bool) -> Answer | Unusable | Again:
        """Send a request once, put down in the account from before it is sent."""
        request, settings = pending.request, self.endpoint.settings
        extra = len(json.dumps(settings.extra)) if settings.extra else 0
        most = self.account.cost(
            request.prompt_bytes + extra + TEMPLATE_TOKENS + self._beyond[0], request.max_tokens + self._beyond[1]
        )
        most += Spent(requests=1, retries=int(again))
        await self._hold(pending.stage, most)
        cost: Spent | None = None  # where it is not known, what was put down stays
        try:
            pending.sent = True
            outcome = await self._post(pending, most.tokens)
            if isinstance(outcome, Again):
                cost = None if outcome.maybe_paid else Spent()
                return outcome
            if outcome.input is not None and outcome.output is not None:
                cost = self.account.cost(outcome.input, outcome.output)
                self._learn(pending, most, cost)
            if isinstance(outcome, Answer):
                outcome = self._without_secrets(outcome)
                self.answers.add(request.digest, outcome)
            return outcome
        except StageFailed:
            cost = Spent()
            raise
        finally:
            pending.sent = False
            if cost is not None:
                self.account.settle(pending.stage, most, cost)
            self._under_way -= 1
            self._settled.set()

    async def _hold(self, stage: str, most: Spent) -> None:
        """Reserve what a request may cost; waits for others to be settled where there is no room for it now."""
        while not self.account.reserve(stage, most):
            if not self._under_way:
                raise OverBudget
            self._settled.clear()
            await self._settled.wait()
        self._under_way += 1

    async def _post(self, pending: _Pending, tokens: int) -> Answer | Unusable | Again:
        import httpx

        settings = self.endpoint.settings
        content = bytearray()
        try:
            async with (
                asyncio.timeout(settings.timeout),
                self._http.stream("POST", self._access.url, json=pending.request.body) as reply,
            ):
                async for piece in reply.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        return Unusable("the reply does not end")
        except TimeoutError:
            return Again(f"no whole answer within {settings.timeout:g} s", maybe_paid=True)
        except httpx.HTTPError as error:
            return unreachable(error, self.endpoint, self._access)
        self._gate.hear(reply.headers, tokens)
        said, refusal = bytes(content), Refusal(reply.status_code, reply.headers, bytes(content))
        if reply.is_success:
            came = _parsed(said, pending.read)
            within = refusal.within() if isinstance(came, Unusable) else None
            if within is None:
                self._gate.answered()
                return came
            refusal = within
        return heard(refusal, self.endpoint, self._access, pending.request.row)

    def _learn(self, pending: _Pending, most: Spent, cost: Spent) -> None:
        """Put the next requests down higher where a server counts more than could be expected."""
        beyond = [max(0, cost.input - most.input), max(0, cost.output - most.output)]
        if any(beyond):
            self._beyond = [a + b for a, b in zip(self._beyond, beyond, strict=True)]
            pending.note(
                f"{self.endpoint.name}: row {pending.request.row} took {cost.tokens:,} tokens by the server's count, "
                f"at most {most.tokens:,} were expected"
            )

    def _without_secrets(self, answer: Answer) -> Answer:
        text = self._access.without_secrets(answer.text)
        return answer if text == answer.text else Answer(text, answer.finish, answer.input, answer.output)


def _stop(under_way: Iterable[_Pending]) -> None:
    """Let requests that the server has come back, once, and drop the others."""

    def stop(pending: _Pending) -> None:
        pending.stopped = True
        if not pending.sent:
            pending.future.cancel()

    for pending in under_way:
        # In the loop's own thread: nothing is sent between the look and the end, which would count as perhaps paid.
        loop().call_soon_threadsafe(stop, pending)


def _parsed(content: bytes, read: Callable[[Any], Answer | Unusable]) -> Answer | Unusable:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return Unusable("the reply is no JSON")
    return read(said)


def _wait(tries: int) -> float:
    """Seconds of back-off, part of it by chance, so that requests which failed together come apart."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (tries - 1))
    return longest * random.uniform(0.5, 1)


_clients: dict[Any, Client] = {}
_lock = threading.Lock()


def connect(endpoint: Endpoint, store: Store) -> Client:
    """The client of an endpoint in this process; made when first asked for.

    Raises:
        InputError: the environment does not say where it is.
    """
    known = access(endpoint)
    which = (
        *(endpoint.name, endpoint.account, endpoint.settings.model_dump_json(), str(store.root)),
        *(known.url, *known.headers.values()),
    )
    with _lock:
        if which not in _clients:
            _clients[which] = Client(endpoint, store, known)
        return _clients[which]
