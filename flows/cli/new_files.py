"""Study files that a command writes, with files of rows beside them: nothing is written over, all or nothing stays."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data.errors import InputError
from flows.config.study_parts import NAME, TAKEN
from tasks.comparison.cell import UNTRAINED


@contextmanager
def all_or_none(out: Path) -> Iterator[list[Path]]:
    """Take note of new files in the list that this gives: where writing them fails, none is left.

    Args:
        out: the study file, for what is said.

    Raises:
        InputError: the disk refuses; whatever else is raised inside goes on.
    """
    written: list[Path] = []
    try:
        yield written
    except OSError as error:
        _remove(written)
        raise InputError(f"--out {out}: cannot be written: {error.strerror or error}") from None
    except BaseException:
        _remove(written)
        raise


def note_new(path: Path, written: list[Path]) -> None:
    """Note that a file is going to be written.

    Raises:
        InputError: it is there already.
    """
    check_new(path)
    written.append(path)


def check_new(path: Path) -> None:
    """Raises InputError where a file is there already."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path}: is there already, and nothing is written over; allowed: another --out, or remove it")


def check_folder(out: Path) -> None:
    """Raises InputError where there is no folder for a file."""
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")


def checked(out: Path) -> tuple[str, ...]:
    """What `plan` says of the rows of a study file.

    Raises:
        InputError: `plan` refuses the study.
    """
    from flows.config.study_file import load
    from flows.planning import preflight

    return preflight.check(load(str(out)))


def plain_name(name: str) -> str:
    """What a study or a benchmark of this name can be called."""
    found = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:60]
    return found if NAME.fullmatch(found) and found not in TAKEN else "ours"


def origin_name(text: str) -> str:
    """What an origin of this name can be called."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.-")[:60] or "human"
    return f"{name}_text" if name in (UNTRAINED, "self") else name


def _remove(written: Sequence[Path]) -> None:
    for path in written:
        path.unlink(missing_ok=True)
