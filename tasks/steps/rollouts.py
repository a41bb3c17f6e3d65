"""Rollouts from prefixes of responses: drawn once each, judged, and kept as they come.

Every prefix is one request of as many samples as are wanted, so that it is computed once. The same prefix of several
responses to a question (the empty one, always) is rolled out for all of them together.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType

from tasks.engine.interface import Request, ServedModel
from tasks.models.rendering import Renderer
from tasks.models.sampling import Sampling, seed_of
from tasks.pipeline import cache_key
from tasks.storage.append_only_file import append, new_lines
from tasks.storage.rows import Row
from tasks.verification.parallel_verdicts import judged_all


@dataclass(frozen=True)
class Prefix:
    """Where rollouts begin: a question, and a part of a response to it."""

    row: Row
    """The question's columns."""
    prompt: tuple[int, ...]
    """Token ids of the question as the model sees it."""
    begun: tuple[int, ...]
    """Token ids of the part of the response; none for rollouts from the question."""

    @cached_property
    def key(self) -> str:
        return cache_key.digest([self.prompt, self.begun])


@dataclass(frozen=True)
class Rolled:
    """What some rollouts from one prefix came to."""

    made: int
    correct: int
    tokens: int
    """Generated, in all of them."""
    errors: dict[str, int]
    """Rollouts that could not be judged, by why; they count as made and as not correct."""
    shortest: str | None = None
    """The whole response that the shortest correct one makes with its prefix."""


class RolloutLog:
    """Rollouts that were finished, in a file, so that a study that was killed does not make them again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, Rolled] = {}
        self.made = self.tokens = 0
        """Rollouts, and tokens generated in them, before the study was killed too."""
        self.errors: Counter[str] = Counter()
        for _, line in new_lines(path, 0)[0]:
            self._keep(line.pop("key"), Rolled(**line))

    def find(self, key: str) -> Rolled | None:
        return self._found.get(key)

    def add(self, key: str, rolled: Rolled) -> None:
        append(self._path, {"key": key, **asdict(rolled)})
        self._keep(key, rolled)

    def _keep(self, key: str, rolled: Rolled) -> None:
        self._found[key] = rolled
        self.made += rolled.made
        self.tokens += rolled.tokens
        self.errors.update(rolled.errors)


@dataclass(frozen=True)
class Asked:
    """Rollouts that are wanted from a prefix, beside those that there are."""

    prefix: Prefix
    made: int
    count: int

    @cached_property
    def key(self) -> str:
        return cache_key.digest([self.prefix.key, self.made, self.count])


@dataclass(frozen=True)
class Roller:
    """What rolls out: a served model, how it samples, and who judges."""

    engine: ServedModel
    rendering: Renderer
    adapter: Path | None
    sampling: Sampling
    seed: int
    verifier: FunctionType
    log: RolloutLog

    def roll(self, wanted: Iterable[Asked]) -> Mapping[str, Rolled]:
        """All of them by their key: those not in the log are drawn, each kept when the last of its samples is judged.

        Raises:
            StageFailed, Transient: as `ServedModel.stream`.
        """
        asked = {one.key: one for one in wanted}
        fresh = [one for key, one in asked.items() if self.log.find(key) is None]
        for one, drawn in self._drawn(fresh):
            self.log.add(one.key, drawn)
        return {key: rolled for key in asked if (rolled := self.log.find(key)) is not None}

    def _drawn(self, fresh: list[Asked]) -> Iterator[tuple[Asked, Rolled]]:
        places: list[tuple[int, int]] = []
        """Of each rollout that is judged: which of `fresh` it is of, and how many tokens were generated."""

        def responses() -> Iterator[Row]:
            for position, completion in self.engine.stream(map(self._request, fresh)):
                begun = fresh[position].prefix.begun
                places.append((position, len(completion.ids)))
                yield {**fresh[position].prefix.row, "response": self.rendering.text([*begun, *completion.ids])}

        left = [one.count for one in fresh]
        correct = [0] * len(fresh)
        tokens = [0] * len(fresh)
        errors: list[Counter[str]] = [Counter() for _ in fresh]
        shortest: dict[int, tuple[int, str]] = {}
        for number, (row, verdict) in enumerate(judged_all(responses(), self.verifier)):
            position, length = places[number]
            left[position] -= 1
            tokens[position] += length
            if verdict.verdict == "correct":
                correct[position] += 1
                shortest[position] = min((length, row["response"]), shortest.get(position, (length, row["response"])))
            elif verdict.verdict == "error":
                errors[position][verdict.reason] += 1
            if not left[position]:
                one = fresh[position]
                found = shortest.get(position, (0, None))[1]
                yield one, Rolled(one.count, correct[position], tokens[position], dict(errors[position]), found)

    def _request(self, one: Asked) -> Request:
        prefix = one.prefix
        return Request(
            [*prefix.prompt, *prefix.begun],
            self.sampling,
            tuple(self.rendering.stop_ids),
            # vLLM gives the copies of a request the seeds from this one on, so that a prefix has the same rollouts
            # whether they are asked for together or in parts.
            seed_of(self.seed, one.prefix.key, 0) % 2**62 + one.made,
            self.adapter,
            str(prefix.row["id"]),
            copies=one.count,
        )
