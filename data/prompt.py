"""Prompt templates: Jinja texts over a row's columns, the project's own in data/prompts or a user's."""

from collections.abc import Sequence
from pathlib import Path

from data import kinds, table_file
from data.errors import InputError, at

LARGEST = 1_000_000
"""Bytes of a template's file."""
PROMPTS = Path(__file__).parent / "prompts"


def prompt(name: str) -> str:
    """The text of a template in data/prompts.

    Raises:
        InputError: there is none of that name.
    """
    known = {file.stem: file for file in sorted(PROMPTS.glob("*.jinja"))}
    if name not in known:  # also one like ../other, which would lead out of the folder
        raise InputError(kinds.unknown("prompt", name, known))
    return known[name].read_text(encoding="utf-8-sig")


def template(given: str, roots: Sequence[Path], where: str = "") -> str:
    """A template as a study file gives it: its text (with `{{`), a `.jinja` file, or the name of one of the project's.

    Args:
        where: its place in the study file, for errors.

    Raises:
        InputError: there is no such file or name, or a study may not read it.
    """
    if "{{" in given or "{%" in given:
        return given
    if given.endswith(".jinja"):
        with at(where):
            return read(table_file.locate(given, roots, where))
    with at(where):
        return prompt(given)


def read(path: Path) -> str:
    """A template's file, without a byte-order mark.

    Raises:
        InputError: it cannot be read, is not UTF-8, or is larger than a template is.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(f"{path}: is {size:,} bytes large; allowed: a template of at most {LARGEST:,}")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start + 1})") from None
