"""The event loop that all requests to endpoints run on, in a thread of its own, started when first needed."""

import asyncio
import threading

DECIDES_NO_RESULT = True

_lock = threading.Lock()
_running: asyncio.AbstractEventLoop | None = None
"""One a process: it holds nothing of a study, whose clients and limits are their own."""


def loop() -> asyncio.AbstractEventLoop:
    """The running loop; hand it work with `asyncio.run_coroutine_threadsafe`. It ends with the process."""
    global _running
    with _lock:
        if _running is None:
            _running = asyncio.new_event_loop()
            threading.Thread(target=_running.run_forever, name="endpoints", daemon=True).start()
        return _running
