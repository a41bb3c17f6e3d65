"""The one error a person can put right: something they wrote or supplied is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DECIDES_NO_RESULT = True

LONGEST_LINE = 4000
LONGEST_VALUE = 80


class InputError(ValueError):
    """A study file, data file or option is wrong.

    Raised with one line that names the place (file, key or row), the value and what is allowed. The command line
    prints that line without a traceback and exits with 2. Line breaks and other characters that do not print, which
    come from the input, stand in it as escapes.
    """

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


@contextmanager
def at(where: str, *also: str) -> Iterator[None]:
    """Let what is refused inside begin with its place, such as a key of the study file, where it does not yet.

    Args:
        where: the place; where it is empty, nothing is added.
        also: how what is refused may begin instead: a more particular place.
    """
    try:
        yield
    except InputError as error:
        said = str(error)
        begins = (f"{where}:", f"{where},", *([f"{where}."] if "." in where else []), *also)
        raise InputError(said if not where or said.startswith(begins) else f"{where}: {said}") from None


def one_line(text: str) -> str:
    """A text with line breaks and characters that do not print as escapes, cut in its middle where it is very long."""
    if len(text) > LONGEST_LINE:
        half = LONGEST_LINE // 2
        text = f"{text[:half]} … {text[-half:]}"
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in text
    )


def shown(value: Any) -> str:
    """A value as a message shows it: as Python writes it, shortened."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a whole number of about {value.bit_length() * 30103 // 100_000 + 1:,} digits"
    if isinstance(value, str | bytes):
        cut = len(value) > LONGEST_VALUE
        return f"{value[:LONGEST_VALUE]!r}{' …' if cut else ''}"
    if isinstance(value, list | tuple | dict) and (len(value) > LONGEST_VALUE or not _plain(value)):
        return f"a {type(value).__name__} of {len(value):,}"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"


def _plain(value: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> bool:
    """Whether all that a container holds is short enough to be shown as Python writes it."""
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    return all(
        (isinstance(each, int) and each.bit_length() <= 128)
        or (isinstance(each, str) and len(each) <= LONGEST_LINE)
        or each is None
        or isinstance(each, float)
        for each in inner
    )
