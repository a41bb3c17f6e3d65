"""Characters that a reader would not see, or that change how others are shown, written as their escapes: `\\x1b`.

Names and texts come from files and models. A terminal obeys control characters (clear the screen, change the title), a
page mirrors what follows U+202E, and neither shows that anything was there.
"""

import re

CONTROLS = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff"
"""Control characters but tab and line break, and halves of surrogate pairs, which no encoding has."""
DIRECTIONS = "\\u061c\\u200e\\u200f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069"
"""Marks that change the direction of what follows, and separators of lines and paragraphs."""
INVISIBLE = (
    "\\u00ad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u2060-\\u2065\\u206a-\\u206f\\u3164\\ufeff\\uffa0"
    "\\ufff0-\\ufffb\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff"
)
"""Characters without width or ink (Unicode's Default_Ignorable_Code_Point), joiners and variation selectors aside."""
JOINERS = "(?<![^\\x00-\\u024f])[\\u200c\\u200d\\ufe00-\\ufe0f]"
"""Joiners and variation selectors: letters of many scripts and emoji need them, Latin ones do not."""
OBEYED = re.compile(f"[{CONTROLS}{DIRECTIONS}]")
UNSEEN = re.compile(f"[{CONTROLS}{DIRECTIONS}{INVISIBLE}]|{JOINERS}")


def visible(text: str) -> str:
    """A text for a terminal or a log: characters that would be obeyed are shown as escapes, tab and line break kept."""
    return OBEYED.sub(_escape, text)


def all_visible(text: str) -> str:
    """A text for a page: also characters that nobody would see are shown as escapes."""
    return UNSEEN.sub(_escape, text)


def in_json(text: str) -> str:
    """As `visible`, for JSON: the escapes are JSON's own, so that it is read as before."""
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
