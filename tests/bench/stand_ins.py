"""What stands in for the dear parts of the chain in tests/bench/scale.py: questions, an engine, a scorer's network."""

import functools
import random
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks import score
from tasks.engine.engine import LOOK_AHEAD
from tasks.engine.interface import Completion, Request
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.runtime import Listener, Placement, Runtime
from tasks.pipeline.work import Work
from tasks.resources import slots
from tasks.scoring import likelihood
from tasks.storage.artifacts import Store
from tasks.storage.rows import RowFile

NAMES = ("Ann", "Bo", "Carla", "Dmitri", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mia", "Noor")
THINGS = ("apples", "books", "cards", "coins", "eggs", "keys", "lamps", "maps", "pens", "rolls", "shells", "stamps")


def gold(number: int) -> int:
    return number * 7919 % 1000


def questions(path: Path, count: int) -> None:
    """Word problems with a worked answer, written as they are made."""
    block = 10_000
    with RowFile(path) as file:
        for start in range(0, count, block):
            rng = random.Random(start)
            numbers = range(start, min(count, start + block))
            texts, worked = [], []
            for number in numbers:
                name, thing, other = rng.choice(NAMES), rng.choice(THINGS), rng.choice(THINGS)
                a, b, answer = rng.randint(2, 99), rng.randint(2, 99), gold(number)
                texts.append(
                    f"{name} has {a} {thing} in box {number} and gets {b} more, then trades some for {other} until "
                    f"there are {answer} things in all. How many things does {name} have now?"
                )
                worked.append(f"{a} + {b} = {a + b}\nAfter the trade there are {answer}.\nFinal answer: {answer}")
            golds = [str(gold(number)) for number in numbers]
            ids = [f"q{number:08d}" for number in numbers]
            file.add(pa.table({"id": ids, "question": texts, "gold": golds, "worked": worked}))


class Timed:
    """Seconds that a stand-in took, of wall and of processor time."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0

    @contextmanager
    def taken(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.thread_time() - cpu


STAND_IN = Timed()


class StandIn:
    """An engine, and the engines of a process, that answers what it was told beforehand."""

    def __init__(self) -> None:
        self._answers: list[list[int]] = []

    @contextmanager
    def use(self, model: Model, rank: int = 0, note: slots.Note = slots.quiet) -> Iterator["StandIn"]:
        if not self._answers:
            render = renderer(model)
            said = [f"I count what is there.\nSo there are {n} things.\nFinal answer: {n}" for n in range(1000)]
            self._answers = [render.response(text) for text in said]
        yield self

    def stream(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions in shuffled order, of as many requests at once as a real engine takes."""
        source = enumerate(requests)
        waiting: list[tuple[int, Completion]] = []
        rng = random.Random(0)
        done = False
        while not done or waiting:
            while not done and len(waiting) < LOOK_AHEAD:
                place, request = next(source, (-1, None))
                if request is None:
                    done = True
                    break
                with STAND_IN.taken():
                    right = gold(int(request.row[1:]))
                    answer = right if request.seed % 10 < 7 else (right + 1) % 1000
                    waiting.append((place, Completion(self._answers[answer], "stop")))
            with STAND_IN.taken():
                rng.shuffle(waiting)
                some, waiting = waiting[: LOOK_AHEAD // 4], waiting[LOOK_AHEAD // 4 :]
            yield from some

    def close(self) -> None:
        pass


class Scorer(likelihood.Likelihood):
    """A likelihood without a network: each token's is a number made of the token."""

    def __init__(self) -> None:
        self.device = "cpu"
        self.on_cpu = True
        self.cached_tokens = 8192

    def nll(self, batch: likelihood.Batch) -> Any:
        with STAND_IN.taken():
            return (batch.targets % 17).float() / 16


class Shared:
    """What scoring threads share, with the stand-in in the model's place."""

    def __init__(self) -> None:
        self.likelihood = Scorer()
        self.threads = ThreadPoolExecutor(1)
        self.users = 0

    def load(self, model: Model, work: Work | None) -> None:
        pass

    def close(self) -> None:
        self.threads.shutdown()


@functools.cache
def standing_in(store: Path, listener: Listener = lambda event, run, facts: None) -> Runtime:
    """A runtime whose models are stand-ins; one a process, as engines are."""
    score._Shared = Shared  # type: ignore[assignment, misc]

    made = Runtime(Store(store), Placement(), listener)
    made._engines = StandIn()  # type: ignore[assignment]
    return made
