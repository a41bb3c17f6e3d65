"""Jobs for a fork server that need no model."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from tasks.resources.errors import StageFailed

SERVER = 0


def preload() -> None:
    global SERVER
    SERVER = os.getpid()


def run(job: Mapping[str, Any], progress: Callable[[int, int], None], log: Callable[[str], None]) -> dict[str, Any]:
    """What `job["do"]` says."""
    progress(1, 2)
    log(f"does {job['do']}")
    match job["do"]:
        case "fail":
            raise StageFailed("no rows")
        case "bug":
            raise ValueError("a bug")
        case "sleep":
            time.sleep(600)
    return {"pid": os.getpid(), "server": SERVER, "device": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
