"""A full or failing disk is no bug: one line says which, and what to do."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tasks.resources.errors import StageFailed

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""Error numbers of a full or failing disk."""


@contextlib.contextmanager
def errors_reported(where: Path) -> Iterator[None]:
    """Turn errors of a full or failing disk into one clear line.

    Args:
        where: what is written to, in case the error does not say.

    Raises:
        StageFailed: what the disk says, and what to do.
    """
    try:
        yield
    except Exception as error:
        text = error_text(error)
        if text is None:
            raise
        # Of a copy that failed, the second name is the one that was written.
        place = getattr(error, "filename2", None) or getattr(error, "filename", None) or where
        raise StageFailed(f"{text} ({place}): make room and run again; what is finished is kept") from error


def check(folder: Path) -> None:
    """Check that a small file can be written.

    Raises:
        StageFailed: there is not.
    """
    with errors_reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))


def error_text(error: Exception) -> str | None:
    """The text of a disk's error, also if a library wraps it; None for any other error."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in DISK else None
    if type(error).__name__ == "SafetensorError":
        return next((os.strerror(code) for code in DISK if f"(os error {code})" in str(error)), None)
    return None
