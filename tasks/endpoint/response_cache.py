"""Responses of endpoints, kept as they came, so that no question is asked and paid for twice.

The key is the request's whole body: model, prompt, sampling values and seed. A stage killed at any moment, one whose
code or other questions have changed, and another study in the same store all find them again.
"""

import hashlib
import json
import threading
from dataclasses import asdict
from typing import Any

from filelock import FileLock

from tasks.endpoint.reply import Answer
from tasks.models.endpoint import Endpoint
from tasks.storage.append_only_file import POLL, append, file_name, line_at, new_lines
from tasks.storage.artifacts import Store

DECIDES_NO_RESULT = True


class ResponseCache:
    """The responses of one model in a store. Use it from any thread."""

    def __init__(self, store: Store, endpoint: Endpoint) -> None:
        self._path = store.root / "endpoints" / "answers" / f"{file_name(endpoint.id)}.jsonl"
        self._lock = threading.Lock()
        self._read_to = 0
        self._offsets: dict[str, int] = {}
        """Where each request's line starts in the file, in bytes, by the request's digest."""
        self._counted = [0, 0, 0]
        """Responses with token counts, and the sums of their prompt and response tokens."""

    def refresh(self) -> None:
        """Read responses that other processes have added."""
        with self._lock:
            self._catch_up()

    def get(self, request: str) -> Answer | None:
        """The response to a request (its `digest`), if there was one."""
        with self._lock:
            if (offset := self._offsets.get(request)) is None:
                return None
            line = line_at(self._path, offset)
        return Answer(line["text"], line["finish"], line["input"], line["output"])

    def put(self, request: str, answer: Answer) -> None:
        """Keep the response to a request (its `digest`)."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock").acquire(poll_interval=POLL):
                append(self._path, {"request": request, **asdict(answer)})
            self._catch_up()

    def mean_tokens(self) -> tuple[float, float] | None:
        """Mean prompt and response tokens of a response, for estimates; None where there is none."""
        self.refresh()
        count, prompt_tokens, response_tokens = self._counted
        return (prompt_tokens / count, response_tokens / count) if count else None

    def _catch_up(self) -> None:
        lines, self._read_to = new_lines(self._path, self._read_to)
        for offset, line in lines:
            if line.get("request") in self._offsets or "text" not in line:
                continue
            self._offsets[line["request"]] = offset
            if line["input"] is not None and line["output"] is not None:
                self._counted = [a + b for a, b in zip(self._counted, (1, line["input"], line["output"]), strict=True)]


def digest(body: dict[str, Any]) -> str:
    """The key of a request's response."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
