"""What a run may have left behind: processes, slots, places in a queue, temporary folders."""

import os
from pathlib import Path

from tasks.resources import slots
from tests.waiting import until


def running(folder: Path) -> list[tuple[int, str]]:
    """Processes whose environment names this folder, with their command lines."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            variables = (process / "environ").read_bytes()
            zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, IndexError):
            continue
        if str(folder).encode() in variables and not zombie:
            found.append((int(process.name), command))
    return found


def left_in_slots(folder: Path) -> list[str]:
    """Slots that a living process has, numbers of the living who wait, and temporary folders in use."""
    places = [*(folder / "slots").rglob("*.lock"), *(folder / "slots").glob("*/waiting/*")]
    return [str(place) for place in places if (mine := slots.locked(place)) is None or os.close(mine)]


def nothing_is_left(folder: Path) -> None:
    until(lambda: not running(folder) and not left_in_slots(folder), "something was left behind", pause=0.2)
