"""Files of JSON lines that several processes add to: whole lines are read, a torn one does no harm."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

POLL = 0.005
"""Seconds between looks at a lock that another process holds."""
Line = tuple[int, dict[str, Any]]
"""Where a line starts in its file, in bytes, and what it says."""


def new_lines(path: Path, start: int) -> tuple[list[Line], int]:
    """The whole lines from byte `start`, and where the first one that is not whole begins."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            added = file.read()
    except FileNotFoundError:
        return [], 0
    lines: list[Line] = []
    offset = start
    for line in added.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            record = json.loads(line)
        except ValueError:  # its writer was killed, and the next one ended the line
            record = None
        if isinstance(record, dict):
            lines.append((offset, record))
        offset += len(line)
    return lines, offset


def append(path: Path, record: dict[str, Any], safe: bool = False) -> None:
    """Add one line, after ending one that a killed process left open.

    Args:
        safe: wait until it would outlive a power cut.
    """
    with path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        else:
            torn = False
        file.write((b"\n" if torn else b"") + json.dumps(record, ensure_ascii=False).encode() + b"\n")
        file.flush()
        if safe:
            os.fsync(file.fileno())


def line_at(path: Path, start: int) -> dict[str, Any]:
    """The line that begins at a byte."""
    with path.open("rb") as file:
        file.seek(start)
        return dict(json.loads(file.readline()))


def file_name(text: str) -> str:
    """A file name for any text; two texts never share one."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", text)[:80].strip(".") or "none"
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
