"""Debian's Chromium without a screen: pictures of pages and the text that a person reads on them."""

import os
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path

import pytest

WAIT_MS = 25_000
"""Virtual time a page gets to load and draw."""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-dark-mode"),
)


def chromium() -> str:
    """The program; the test is skipped where it is missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium to look at pages with; on Debian: apt-get install chromium")
    return found


def picture(url: str, file: Path, size: tuple[int, int] = (1500, 1000)) -> None:
    """Photograph a page."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _run(url, f"--window-size={size[0]},{size[1]}", f"--screenshot={file}")
    assert file.stat().st_size > 10_000, f"{url} is blank"


def text(url: str, size: tuple[int, int] = (1500, 1000)) -> str:
    """What stands on a page, scripts and styles left out, on one line."""
    page = _run(url, f"--window-size={size[0]},{size[1]}", "--dump-dom")
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def _run(url: str, *options: str) -> str:
    with tempfile.TemporaryDirectory() as profile:
        ended = subprocess.run(
            [chromium(), *FLAGS, f"--user-data-dir={profile}", f"--virtual-time-budget={WAIT_MS}", *options, url],
            env={**os.environ, "HOME": profile},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout
