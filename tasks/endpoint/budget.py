"""What an endpoint has cost a study, in a file beside the artifacts that outlives every crash.

A request is put down at the most it can cost before it is sent, and corrected when the server's own count is known. So
the sum of the lines is never less than what was spent, whatever was killed in between, and a budget that the sum stays
within is not passed. Several processes may use one file: it is read and written under a lock.
"""

import threading
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from tasks.endpoint.append_only_file import POLL, append, file_name, new_lines
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.storage.artifacts import Store


@dataclass(frozen=True)
class Spent:
    """Tokens, money and requests."""

    input: int = 0
    output: int = 0
    usd: float = 0.0
    requests: int = 0
    retries: int = 0

    @property
    def tokens(self) -> int:
        return self.input + self.output

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __neg__(self) -> "Spent":
        return Spent(*(-getattr(self, each.name) for each in fields(self)))


class Account:
    """What one study has spent at one endpoint, and whether it may spend more. Use it from any thread."""

    def __init__(self, store: Store, endpoint: Endpoint) -> None:
        self.settings: EndpointSettings = endpoint.settings
        self._path = path(store, endpoint)
        self._lock = threading.Lock()
        self._read_to = 0
        self._total = Spent()
        self._by_stage: dict[str, Spent] = {}

    def cost(self, input_tokens: int, output_tokens: int) -> Spent:
        return Spent(input_tokens, output_tokens, self.settings.usd(input_tokens, output_tokens))

    def reserve(self, stage: str, most: Spent) -> bool:
        """Put a request down at the most it can cost; False, and nothing is put down, where a budget forbids it.

        Args:
            stage: key of the artifact it is for.
        """
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock").acquire(poll_interval=POLL):
                self._catch_up()
                if not self._within(self._total + most):
                    return False
                self._write(stage, most, safe=self._limited)
        return True

    def settle(self, stage: str, most: Spent, actual: Spent) -> None:
        """Correct a reserved request to what it cost."""
        counted = Spent(actual.input, actual.output, actual.usd)
        with self._lock, FileLock(f"{self._path}.lock").acquire(poll_interval=POLL):
            self._catch_up()
            self._write(stage, counted + -Spent(most.input, most.output, most.usd), safe=False)

    def total(self) -> Spent:
        """What the study has spent here, what is under way counted at the most it can cost."""
        with self._lock:
            self._catch_up()
            return self._total

    def of_stage(self, stage: str) -> Spent:
        """What was spent for one artifact, all tries together."""
        with self._lock:
            self._catch_up()
            return self._by_stage.get(stage, Spent())

    @property
    def _limited(self) -> bool:
        return self.settings.budget_tokens is not None or self.settings.budget_usd is not None

    def _within(self, total: Spent) -> bool:
        tokens, usd = self.settings.budget_tokens, self.settings.budget_usd
        return (tokens is None or total.tokens <= tokens) and (usd is None or total.usd <= usd)

    def _catch_up(self) -> None:
        """Read what was added to the file since, by this process or another."""
        lines, self._read_to = new_lines(self._path, self._read_to)
        for _, line in lines:
            known = {each.name: line.get(each.name, 0) for each in fields(Spent)}
            change = Spent(**known)
            self._total += change
            self._by_stage[line.get("for", "")] = self._by_stage.get(line.get("for", ""), Spent()) + change

    def _write(self, stage: str, change: Spent, safe: bool) -> None:
        said: dict[str, Any] = {name: value for name, value in asdict(change).items() if value}
        append(self._path, {"for": stage, **said}, safe)


def path(store: Store, endpoint: Endpoint) -> Path:
    """Where the account of a study at an endpoint is kept."""
    return store.root / "endpoints" / "spent" / file_name(endpoint.account) / f"{file_name(endpoint.id)}.jsonl"


def spent(store: Store, endpoint: Endpoint) -> Spent:
    """What a study has spent at an endpoint so far."""
    return Account(store, endpoint).total()


def in_words(total: Spent, settings: EndpointSettings) -> str:
    """Spent and budget, as one clause."""
    text = f"{total.tokens:,} tokens"
    if settings.budget_tokens is not None:
        text += f" of {settings.budget_tokens:,} (budget_tokens)"
    if settings.usd_per_million_input is not None or settings.usd_per_million_output is not None:
        text += f", ${total.usd:.4f}"
        if settings.budget_usd is not None:
            text += f" of ${settings.budget_usd:,.2f} (budget_usd)"
    return text
