"""What an endpoint has cost a study, and may cost it, in a file beside the artifacts that outlives every crash.

The most that a request can cost is reserved before it is sent, and corrected when the server's own count is known. So
the sum of the lines is never less than what was spent, whatever was killed in between, and a budget that the sum stays
within is not exceeded. Several processes may use one file: it is read and written under a lock.
"""

import threading
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.storage.append_only_file import POLL, append, file_name, new_lines
from tasks.storage.artifacts import Store

DECIDES_NO_RESULT = True


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


class Budget:
    """What one study has spent at one endpoint, within the limits of its settings. Use it from any thread."""

    def __init__(self, store: Store, endpoint: Endpoint) -> None:
        self.settings: EndpointSettings = endpoint.settings
        self._path = _path(store, endpoint)
        self._lock = threading.Lock()
        self._read_to = 0
        self._total = Spent()
        self._by_stage: dict[str, Spent] = {}

    def cost(self, input_tokens: int, output_tokens: int) -> Spent:
        """What tokens cost at the study's prices."""
        return Spent(input_tokens, output_tokens, self.settings.usd(input_tokens, output_tokens))

    def reserve(self, stage: str, most: Spent) -> bool:
        """Reserve the most that a request can cost; False, and nothing is reserved, where that exceeds the budget.

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
        """Replace what was reserved for a request by what it cost."""
        cost = Spent(actual.input, actual.output, actual.usd)
        with self._lock, FileLock(f"{self._path}.lock").acquire(poll_interval=POLL):
            self._catch_up()
            self._write(stage, cost + -Spent(most.input, most.output, most.usd), safe=False)

    def total(self) -> Spent:
        """What the study has spent here; requests under way count as the most they can cost."""
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
            change = Spent(**{each.name: line.get(each.name, 0) for each in fields(Spent)})
            self._total += change
            self._by_stage[line.get("for", "")] = self._by_stage.get(line.get("for", ""), Spent()) + change

    def _write(self, stage: str, change: Spent, safe: bool) -> None:
        changed: dict[str, Any] = {name: value for name, value in asdict(change).items() if value}
        append(self._path, {"for": stage, **changed}, safe)


def _path(store: Store, endpoint: Endpoint) -> Path:
    return store.root / "endpoints" / "spent" / file_name(endpoint.study) / f"{file_name(endpoint.id)}.jsonl"


def spent(store: Store, endpoint: Endpoint) -> Spent:
    """What the endpoint's study has spent there so far."""
    return Budget(store, endpoint).total()


def described(total: Spent, settings: EndpointSettings) -> str:
    """What was spent, and of what budget, as one clause."""
    text = f"{total.tokens:,} tokens"
    if settings.budget_tokens is not None:
        text += f" of {settings.budget_tokens:,} (budget_tokens)"
    if settings.usd_per_million_input is not None or settings.usd_per_million_output is not None:
        text += f", ${total.usd:.4f}"
        if settings.budget_usd is not None:
            text += f" of ${settings.budget_usd:,.2f} (budget_usd)"
    return text
