"""The folder on this machine in which copies of a shared store's artifacts lie, and the machine's name in leases."""

import hashlib
import os
import re
import socket
import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from data.errors import InputError
from tasks.storage.atomic_write import write_atomically


def user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def folder_name(url: str) -> str:
    """A folder name that a person recognises; two URLs never share one."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", url).strip("-")[:60]
    return f"{plain}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def machine_name(root: Path) -> str:
    """A name for this machine and this cache, the same for all its processes."""
    path = root / "machine"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "machine.lock"):
        try:
            name = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            name = uuid.uuid4().hex[:12]
            write_atomically(path, name)
    host = re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname())
    return f"{host}-{name}"


def seconds(name: str, default: float) -> float:
    """A time from the environment.

    Raises:
        InputError: it is set to something that is no time.
    """
    text = os.environ.get(name)
    if not text:
        return default
    with suppress(ValueError):
        if (value := float(text)) > 0 and value < float("inf"):
            return value
    raise InputError(f"{name}={text}: allowed is a number of seconds above 0")
