"""What is printed: no text of a file, a key or a model reaches the terminal as something that it obeys."""

import sys
from typing import IO, Any

from data.visible import visible


class Visible:
    """A stream that shows control characters as escapes. It is no terminal for libraries that would colour it."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        """The stream as it was, for what draws by control characters of its own."""

    def write(self, text: str) -> int:
        self.stream.write(visible(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard() -> None:
    """Have all that this process prints from now on shown so, also in encodings that lack a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, Visible):
            continue
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Visible(stream))


def drawn_on(stream: IO[str]) -> IO[str]:
    """The stream for what draws by control characters; texts in it have to be made visible first."""
    return stream.stream if isinstance(stream, Visible) else stream
