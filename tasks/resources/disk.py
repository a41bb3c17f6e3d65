"""A full or failing disk is no bug: one line says which, and what to do."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tasks.resources.errors import StageFailed

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""What a full or failing disk says."""


@contextlib.contextmanager
def room(where: Path) -> Iterator[None]:
    """Make a full or failing disk a plain failure.

    Args:
        where: what is written to, in case the error does not say.

    Raises:
        StageFailed: what the disk says, and what to do.
    """
    try:
        yield
    except Exception as error:
        full = said(error)
        if full is None:
            raise
        # Of a copy that failed, the second name is the one that was written.
        place = getattr(error, "filename2", None) or getattr(error, "filename", None) or where
        raise StageFailed(f"{full} ({place}): make room and run again; what is finished is kept") from error


def check(folder: Path) -> None:
    """See that there is room for a small file.

    Raises:
        StageFailed: there is not.
    """
    with room(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))


def said(error: Exception) -> str | None:
    """What a disk has said, also where a library passes it on in words of its own; None where it was no disk."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in DISK else None
    if type(error).__name__ == "SafetensorError":
        return next((os.strerror(code) for code in DISK if f"(os error {code})" in str(error)), None)
    return None
