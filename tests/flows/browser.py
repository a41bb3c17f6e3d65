"""Debian's Chromium without a screen, driven over its debugging socket: what a person reads and sees on a page."""

import base64
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0"),
)
PATIENCE = 90.0
"""Seconds a page gets to show what is expected of it, on a busy machine."""


PLACE = """wanted => {
    const all = [...document.querySelectorAll("button, a, li, [role=tab], [role=option], label, td, h1, h2, p, span")];
    const called = e => e.getAttribute("aria-label") === wanted || e.innerText?.trim() === wanted;
    const one = all.filter(called).at(-1);
    if (!one) return null;
    one.scrollIntoView({block: "center"});
    const box = one.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
}"""
"""Where the middle of the last element with a text or label is in the window."""


FIELD = """wanted => {
    const called = e => e.innerText?.trim() === wanted && e.children.length < 3;
    const label = [...document.querySelectorAll("label, span, div, p")].find(called);
    const after = e => label.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING;
    const field = label && [...document.querySelectorAll("input, textarea")].find(after);
    if (!field) return null;
    field.scrollIntoView({block: "center"});
    field.focus();
    field.select();
    return field.value;
}"""
"""What stands in the first field after the first label of that text, which then has the focus."""


class Page:
    """One open page."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def open(self, url: str, *expected: str, size: tuple[int, int] = (1500, 1000)) -> str:
        """Go to an address and wait for these texts; returns all that can be read there.

        Raises:
            AssertionError: they did not come.
        """
        width, height = size
        self._do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._do("Page.navigate", url=url)
        return self.read(*expected)

    def read(self, *expected: str) -> str:
        """All that can be read on the page, on one line, once it has these texts."""
        until = time.monotonic() + PATIENCE
        while True:
            text = " ".join(str(self.run("document.body ? document.body.innerText : ''")).split())
            missing = [each for each in expected if each not in text]
            if not missing:
                return text
            assert time.monotonic() < until, f"{missing} not on the page, which says: {text[:3000]}"
            time.sleep(0.3)

    def click(self, text: str) -> None:
        """Click the last thing that bears this text or label."""
        place, before = None, "not looked yet"
        while place != before:  # what is scrolled to is drawn only then, and moves the rest
            before, place = place, self.run(f"({PLACE})({json.dumps(text)})")
            assert place is not None, f"nothing to click is called {text!r}"
            time.sleep(0.1)
        for kind in ("mousePressed", "mouseReleased"):
            self._do("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def fill(self, label: str, text: str) -> str:
        """Write into the first field of that label; returns what stood there."""
        before = self.run(f"({FIELD})({json.dumps(label)})")
        assert before is not None, f"no field is called {label!r}"
        self._do("Input.insertText", text=text)
        return str(before)

    def wheel(self, x: int, y: int, by: int) -> None:
        """Turn the wheel over a point."""
        self._do("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=by)

    def picture(self, file: Path, wait: float = 2.0) -> None:
        """Photograph what is in the window, after things that move have come to rest."""
        time.sleep(wait)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self._do("Page.captureScreenshot", format="png")["data"]))

    def run(self, script: str) -> Any:
        """The value of a script's last expression."""
        return self._do("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def _do(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                assert "result" in answer, answer
                return dict(answer["result"])


@contextmanager
def browser() -> Iterator[Page]:
    """An open page of a browser that ends with the block; the test is skipped where there is no Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium to look at pages with; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            listening = (re.search(r"ws://(\S+?)/", line) for line in process.stderr)
            address = next((found[1] for found in listening if found), None)
            assert address is not None, "Chromium did not start"
            page = next(each for each in httpx.get(f"http://{address}/json").json() if each["type"] == "page")
            with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
                yield Page(socket)
        finally:
            process.kill()
            process.wait()
