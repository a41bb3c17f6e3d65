"""Answers that endpoints gave, kept as they came, so that no question is asked and paid for twice.

Known by the request's whole body: model, prompt, sampling values and seed. A stage killed at any moment, one whose code
or other questions have changed, and another study in the same store all find them again.
"""

import hashlib
import json
import threading
from dataclasses import asdict
from typing import Any

from filelock import FileLock

from tasks.endpoint.append_only_file import POLL, append, file_name, line_at, new_lines
from tasks.endpoint.reply import Answer
from tasks.models.endpoint import Endpoint
from tasks.storage.artifacts import Store


class Answers:
    """The answers of one model in a store. Use it from any thread."""

    def __init__(self, store: Store, endpoint: Endpoint) -> None:
        self._path = store.root / "endpoints" / "answers" / f"{file_name(endpoint.id)}.jsonl"
        self._lock = threading.Lock()
        self._read_to = 0
        self._places: dict[str, int] = {}
        self._means = [0, 0, 0]

    def refresh(self) -> None:
        """Learn of answers that other processes got."""
        with self._lock:
            self._catch_up()

    def find(self, request: str) -> Answer | None:
        """The answer to a request (its `digest`), if there was one."""
        with self._lock:
            if (place := self._places.get(request)) is None:
                return None
            line = line_at(self._path, place)
        return Answer(line["text"], line["finish"], line["input"], line["output"])

    def add(self, request: str, answer: Answer) -> None:
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock").acquire(poll_interval=POLL):
                append(self._path, {"request": request, **asdict(answer)})
            self._catch_up()

    def mean_tokens(self) -> tuple[float, float] | None:
        """Mean prompt and response tokens of an answer, for estimates; None where there is none."""
        self.refresh()
        count, into, out = self._means
        return (into / count, out / count) if count else None

    def _catch_up(self) -> None:
        lines, self._read_to = new_lines(self._path, self._read_to)
        for place, line in lines:
            if line.get("request") in self._places or "text" not in line:
                continue
            self._places[line["request"]] = place
            if line["input"] is not None and line["output"] is not None:
                self._means = [a + b for a, b in zip(self._means, (1, line["input"], line["output"]), strict=True)]


def digest(body: dict[str, Any]) -> str:
    """What a request's answer is kept under."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
