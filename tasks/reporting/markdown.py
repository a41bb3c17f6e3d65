"""Names and texts inside Markdown, which must not become links, pictures, HTML or structure of it."""

import re

from data.visible import all_visible

STRUCTURE = re.compile(
    r"[\\`*\[\]<>#|~&@]|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.|^[-+=]|^\d{1,9}[.)](?=\s|$)", re.IGNORECASE
)
"""What Markdown, with GitHub's tables and links of bare addresses, gives a meaning to, also at a line's start."""
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "//": "\\/\\/"}


def escaped(text: object) -> str:
    """A text as Markdown that shows it, on one line."""
    return STRUCTURE.sub(_escape, " ".join(all_visible(str(text)).split()))


def _escape(found: re.Match[str]) -> str:
    return ENTITIES.get(found[0]) or f"{found[0][:-1]}\\{found[0][-1]}"
