r"""One way of writing the numbers of a text: digits, signs, spaces, fractions, powers of ten and currencies.

`\$1 080.5` as `1080.5`   `2½` as `5/2`   `3\times 10^4` as `3e4`
"""

import re
import unicodedata

from tasks.answer.errors import Unreadable
from tasks.answer.latex import normal, unwrapped
from tasks.answer.quantity import LONGEST

_DASHES = dict.fromkeys(map(ord, "\u2212\u2012\u2013\u2014\ufe63\uff0d"), "-")
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ")
_WIDE = {
    **{ord(wide): narrow for wide, narrow in zip("\uff0c\uff0e\uff05\uff04\uff0f\uff1d\uff1a", ",.%$/=:", strict=True)},
    **{ord("\u2044"): "/", ord("\u00d7"): "*", ord("\u00f7"): "/"},
}
_VULGAR = re.compile("(\\d?)\\s*([\u00bc-\u00be\u2150-\u215e])")
_TEX = (
    (
        re.compile(r"(\d?)\\frac\{(-?[\d.,]+)\}\{([\d.,]+)\}"),
        lambda found: f"{found[1]}{' ' * bool(found[1])}{found[2]}/{found[3]}",
    ),
    (re.compile(r"\\lor(?![A-Za-z])"), lambda found: " or "),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), lambda found: " * "),
    (re.compile(r"\^\\circ"), lambda found: " "),
    (re.compile(r"\\([$%])"), lambda found: found[1]),
)
_CURRENCY = re.compile(r"(?<![\d.])(-?)\s?[$\u20ac\u00a3\u00a5\u20b9]\s?|[$\u20ac\u00a3\u00a5\u20b9]")
_SPACED = re.compile(r"(?<![\d.,/])(\d{1,3}(?: \d{3})+)(?![\d/])")
_MIXED = re.compile(r"(?<![\d.,/])(\d+) (\d+)/(\d+)(?![\d/.,]\d)")
_POWER = re.compile(r"(?<=\d)\s*[*x]\s*10\s?\^\s?(?:\{\s*([-+]?\d{1,9})\s*\}|([-+]?\d{1,9}))(?![\d^])")
_SUPERSCRIPT = re.compile("(?<=\\d)\\s*[*x]\\s*10([\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)")
_RAISED = str.maketrans("\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "-0123456789")
_POWER_OF_UNIT = re.compile(
    r"(?<=\d)(\s?(?:[mcdk]?m|in|ft|yd|mi|units?|inches|feet|yards|miles|(?:centi|milli|kilo)?met(?:er|re)s?))\.?"
    r"\s?\^\s?(?:\{[23]\}|[23])(?!\d)"
)
_APOSTROPHE = re.compile(r"(?<=\d)['\u2019](?=\d{3}(?!\d))")


def one_notation(text: str) -> str:
    """The text with one way of writing digits, signs, spaces, fractions and currencies."""
    if "\\" in text or "{" in text:
        text = normal(text)
        for pattern, plain in _TEX:
            text = pattern.sub(plain, text)
        text = unwrapped(text)
    if not text.isascii():
        text = _VULGAR.sub(_fraction, text).translate(_DASHES).translate(_SPACES).translate(_WIDE)
        text = _SUPERSCRIPT.sub(lambda found: f"*10^{found[1].translate(_RAISED)}", text)
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    text = _CURRENCY.sub(lambda found: found[1] or " ", text)
    if "10" in text:
        text = _POWER.sub(lambda found: f"e{found[1] or found[2]}", text)
    if "^" in text:
        text = _POWER_OF_UNIT.sub(r"\1", text)
    text = _APOSTROPHE.sub("", text)
    text = _MIXED.sub(_improper, text)
    return _SPACED.sub(lambda found: found[0].replace(" ", ""), text).strip()


def _fraction(found: re.Match[str]) -> str:
    """3\u00bd as 3 1/2."""
    upper, _, lower = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    return f"{found[1]}{' ' * bool(found[1])}{upper}/{lower}"


def _improper(found: re.Match[str]) -> str:
    """2 1/2 as 5/2."""
    if sum(map(len, found.groups())) > LONGEST:
        return found[0]
    whole, upper, lower = (int(part) for part in found.groups())
    if upper >= lower:
        raise Unreadable(f"can be read in two ways: {found[0][:60]}")
    return f"{whole * lower + upper}/{lower}"
