"""Which files a study may name: those in its own folder, the current one, the project's and the store.

A study file can come from somebody else, and a deployment's parameters from whoever reaches the Prefect server, so a
path in it is no reason to read a file. Whoever runs the study opens other folders: MOTHERTONGUE_ALLOW_PATHS, the option
--allow-path, and the variables that bundled studies name (`${GSM8K}`), which nobody sets for anything else. Other
variables open nothing. Paths are judged by where they really lead: links, `..` and `~` resolved.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from data import variables
from data.errors import InputError

ALLOW = variables.ALLOW_PATHS
PROJECT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"^[A-Za-z][\w+.-]*:/")


def allow(paths: Iterable[Path]) -> None:
    """Open more folders or files to the studies that this process and those it starts read."""
    more = [str(Path(path).expanduser().absolute()) for path in paths]
    if more:
        os.environ[ALLOW] = os.pathsep.join([*filter(None, [os.environ.get(ALLOW)]), *more])


def inside(given: str, roots: Sequence[Path], where: str = "") -> list[Path]:
    """The places a study's path may mean, looked up from each of the roots: those that may be read.

    They need not exist: what lies outside is refused alike whether it is there or not.

    Raises:
        InputError: it is an address, or all of them lie outside.
    """
    said = f"{where}: {given}" if where else given
    if ADDRESS.match(given):
        raise InputError(f"{said}: an address, not a path. Allowed: files and folders of this machine")
    try:
        path = Path(variables.expanded(given, where)).expanduser()
        places = [root / path for root in roots or (Path(),)]
        found = [place for place in places if may_be_read(place, roots)]
        first = places[0].resolve()
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # a ring of links, a user without a home, a byte 0
        raise InputError(f"{said}: no path that can be followed ({error})") from None
    if not found:
        raise InputError(_refused(said, None if variables.VARIABLE.search(given) else first, roots))
    return found


def check(place: Path, roots: Sequence[Path], said: str) -> None:
    """Raises InputError where a file that was found in an allowed folder leads out of it."""
    if not may_be_read(place, roots):
        raise InputError(_refused(said, place.resolve(), roots))


def check_folder(folder: str) -> None:
    """Raises InputError where a worker may not look up a study's paths: the folder is a parameter of the run."""
    if folder and not may_be_read(Path(folder), ()):
        raise InputError(_refused(f"folder: {folder}", Path(folder).resolve(), ()))


def may_be_read(place: Path, roots: Sequence[Path]) -> bool:
    """Whether a study with these roots may read what lies there."""
    real = place.resolve()
    if any(real.is_relative_to(folder) for folder in _opened()):
        return True
    return any(real.is_relative_to(folder) and not _hidden(real, folder) for folder in _own(roots))


def _hidden(real: Path, folder: Path) -> bool:
    """Whether it lies in a folder like `.ssh`: the current folder may be somebody's home."""
    return any(part.startswith(".") for part in real.relative_to(folder).parts)


def _own(roots: Sequence[Path]) -> list[Path]:
    """Folders that are open to every study. One that is the whole disk (a service's current folder) is not."""
    store = os.environ.get("MOTHERTONGUE_STORE") or "runs/store"
    folders = [*roots, Path.cwd(), PROJECT, *([] if "://" in store else [Path(store)])]
    real = (folder.resolve() for folder in folders)
    return [folder for folder in dict.fromkeys(real) if folder != Path(folder.anchor)]


def _opened() -> list[Path]:
    """What the environment opens."""
    named = [os.environ.get(name, "") for name in variables.bundled()]
    given = [*os.environ.get(ALLOW, "").split(os.pathsep), *named]
    return [Path(text).expanduser().resolve() for text in given if text]


def _refused(said: str, real: Path | None, roots: Sequence[Path]) -> str:
    """`real` is None where it would tell the value of a variable."""
    allowed = ", ".join(map(str, dict.fromkeys([*_own(roots), *_opened()])))
    unsaid = real is None or said.endswith(str(real))
    leads = "a study may not read this" if unsaid else f"leads to {real}, which a study may not read"
    return (
        f"{said}: {leads}. Allowed: what lies in {allowed}, hidden folders aside; "
        f"open more with --allow-path, or {ALLOW} in the environment"
    )
