"""The interface of a served model: requests stream in, completions stream out, whichever engine computes them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.models.model import Model
from tasks.models.sampling import Sampling, parameters
from tasks.resources.errors import Transient

DECIDES_NO_RESULT = True


@dataclass(frozen=True)
class Request:
    """A prompt to be continued. `row` names it in errors."""

    prompt: list[int]
    sampling: Sampling
    stop_ids: tuple[int, ...]
    seed: int
    """Of this one response; the same seed gives the same response whatever else runs."""
    adapter: Path | None = None
    row: str = ""
    copies: int = 1
    """Responses that are drawn to the prompt, which is computed once for all of them."""


@dataclass(frozen=True)
class Completion:
    """A response: its token ids, the stop token included, and whether it stopped or was cut off."""

    ids: list[int]
    finish: Literal["stop", "length"]


Result = list[Any]
"""[token ids, how they ended] of each copy, and log-probabilities of the prompt or None."""
Parameters = Callable[[Request], dict[str, Any]]
"""vLLM's sampling parameters of a request."""


class ServedModel(ABC):
    """A model that answers requests. Thread-safe."""

    model: Model

    @abstractmethod
    def results(
        self, requests: Iterator[tuple[int, Request]], sampling: Parameters
    ) -> Generator[tuple[int, Result], None, None]:
        """Results by the requests' numbers, in any order."""

    def stream(self, requests: Iterable[Request]) -> Generator[tuple[int, Completion], None, None]:
        """Complete requests, in any order, as (position, completion); a request's copies follow each other.

        `requests` is read as far ahead as keeps the engine busy, in the caller's thread.

        Raises:
            StageFailed: a prompt leaves no room for a response, or vLLM refuses a request; names the row.
            Transient: the engine died.
        """
        for position, (completions, _) in self.results(enumerate(requests), _parameters):
            for ids, finish in completions:
                if finish not in ("stop", "length"):
                    raise Transient(f"the engine of {self.model.name} ended a request: {finish}")
                yield position, Completion(ids, finish)

    def log_probabilities(self, requests: Iterable[tuple[list[int], list[int], Path | None]]) -> list[list[float]]:
        """Log-probability in nats of each response token, for (prompt ids, response ids, adapter or None).

        Raises:
            StageFailed, Transient: as `stream`.
        """
        scored = list(requests)
        log_probabilities: list[list[float]] = [[] for _ in scored]
        prompts = [
            Request(prompt + response, Sampling(max_tokens=1), (), 0, adapter, f"number {position}")
            for position, (prompt, response, adapter) in enumerate(scored)
        ]
        whole_text: dict[str, Any] = {"prompt_logprobs": 0, "max_tokens": 1}
        for position, (_, values) in self.results(enumerate(prompts), lambda request: whole_text):
            log_probabilities[position] = values[len(values) - len(scored[position][1]) :]
        return log_probabilities


def _parameters(request: Request) -> dict[str, Any]:
    return parameters(request.sampling, request.seed, request.stop_ids) | {"n": request.copies}
