r"""LaTeX of an answer in one way of writing, so that the same formula is the same text.

    `\dfrac12 \, \text{ cm}`   `\frac{1}{2}\text{cm}`        `x² ≤ 3`   `x^{2}\le 3`

A comma keeps a space after it where without one it would part thousands (`1, 234` is no `1,234`); what surely parts
thousands is left out (`1{,}234`, `1,\! 234` and `1\,234` become `1234`). "or" becomes `\lor`, "and" a comma.
What changes is writing only (spacing, sizes, braces, synonyms, Unicode signs), never what is meant; the sources are
`_fix_fracs`, `_fix_sqrt` and `_strip_string` of the MATH benchmark's math_equivalence.py (Hendrycks et al. 2021), less
what loses meaning there (units, percent signs and left-hand sides stay).
"""

import re
import unicodedata
from collections.abc import Callable

_PLAIN = re.compile(r"-?[0-9]{1,15}")
_SIGNS = {
    **dict.fromkeys("\u2212\u2012\u2013\u2014\ufe63\uff0d", "-"),
    **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000\n\t\r", " "),
    **{"\u00d7": r"\times ", "\u00f7": "/", "\u2044": "/", "\u00b7": r"\cdot "},
    **{"\u03c0": r"\pi ", "\u221e": r"\infty ", "\u00b0": r"^\circ ", "\u00b1": r"\pm "},
    **{"\u2264": r"\le ", "\u2265": r"\ge ", "\u2260": r"\ne "},
    **{"\u222a": r"\cup ", "\u2229": r"\cap ", "\u2205": r"\emptyset ", "\u2208": r"\in ", "\u221a": r"\sqrt "},
    **dict.fromkeys("\u2018\u2019", "'"),
}
_CHARACTERS = str.maketrans(_SIGNS)
_RAISED = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-")
_SUNK = str.maketrans("\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089", "0123456789")
_VULGAR = re.compile(r"(\d?)([\u00bc-\u00be\u2150-\u215e])")

_ESCAPED_TWICE = re.compile(
    r"(?<!\\)\\\\(?=(?:[dtc]?frac|sqrt|left|right|leq?|geq?|neq?|lt|gt|cdot|times|pi|text|infty|c[ua]p|pm|mp|circ|theta|angle|lor"
    r"|quad|sin|cos|tan|log|ln|in|binom|overline|mathbb|mathrm|begin|end|alpha|beta|pmod|%)(?![A-Za-z]))"
)
"""A line break never stands before these without the backslash of their own."""

_GROUP = r"\s*(?:\{\s*,\s*\}|,\s*\\!|(?<!\\)\\[,;! ])\s*"
_GROUPED = re.compile(rf"(?<![\d.])\d{{1,3}}(?:{_GROUP}\d{{3}})+(?!\d)")
_WRITING: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (_ESCAPED_TWICE, r"\\"),
    (re.compile(r"\\(?:displaystyle|textstyle|limits|left|right|[bB]igg?[lr]?)(?![A-Za-z])\.?"), ""),
    (_GROUPED, lambda found: re.sub(r"[^\d]", "", found[0])),
    (re.compile(r"(?<!\\)\\!"), ""),
    (re.compile(r"(?<!\\)\\[,;: ]|~|\\q?quad"), " "),
    (re.compile(r"(?<!\\)\$|(?<!\\)\\[()\[\]]"), " "),
    (re.compile(r"\\langle(?![A-Za-z])"), "("),
    (re.compile(r"\\rangle(?![A-Za-z])"), ")"),
    (re.compile(r"\\(?:mathbf|mathit|mathsf|boldsymbol|bm|underline)(?=\s*\{)|\\color\{[a-z]+\}"), ""),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:textbf|textit|textrm|textnormal|mathrm|mbox|rm)(?=\s*\{)"), r"\\text"),
    (re.compile(r"\\(le|ge|ne)q(?:slant)?(?![A-Za-z])"), r"\\\1"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\.{3}|\\[cl]dots(?![A-Za-z])|\u2026"), r"\\dots "),
    (re.compile(r"\\text\s*\{\s*\\([$%])\s*\}"), r"\\\1"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"(?<=\s)!=(?=\s)"), r"\\ne "),
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"\\lbrace(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![A-Za-z])"), r"\\}"),
    (re.compile(r"\\varnothing(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\^\s*\{?\s*\\(?:circ|degree)(?![A-Za-z])\s*\}?|\\degree(?![A-Za-z])"), r"^\\circ "),
    (re.compile(r",?\s*\\text\s*\{\s*,?\s*or\s*\}"), r" \\lor "),
    (re.compile(r",?\s*\\text\s*\{\s*,?\s*and\s*\}"), ", "),
    (re.compile(r"(?<=[\d\w)}\]$]),?\s+or\s+(?=[-\d\w({\[$\\])"), r" \\lor "),
    (re.compile(r"(?<=[\d\w)}\]$]),?\s+and\s+(?=[-\d\w({\[$\\])"), ", "),
    (re.compile(r"(?<=[\d)}\]])or(?=[-\dA-Z({\[$\\])"), r" \\lor "),
    (re.compile(r"(?<=[\d)}\]])and(?=[-\dA-Z({\[$\\])"), ", "),
    (re.compile(r"\\frac\s*([0-9A-Za-z])\s*"), r"\\frac{\1}"),
    (re.compile(r"(\\frac\s*\{[^{}]*\})\s*([0-9A-Za-z])"), r"\1{\2}"),
    (re.compile(r"\\sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\\sqrt\s*([0-9A-Za-z])"), r"\\sqrt{\1}"),
    (re.compile(r"([\^_])\s*(-?\d+(?:\.\d+)?|[A-Za-z])"), r"\1{\2}"),
    (re.compile(r"\s*((?<!\\)[{}]|\\text\{)\s*"), r"\1"),
    (re.compile(r"\\\{\s*\\\}"), r"\\emptyset"),
)
_SPACE = re.compile(r"(?<![0-9A-Za-z,]) +|(?<=,) +(?!\d{3}(?!\d)|\d{1,3},\d{3})| +(?![0-9A-Za-z])")
_LAST_BACKSLASH = re.compile(r"(?<!\\)\\$")
_NUMBER_AS_TEXT = re.compile(r"\\text\{([^{}]*\d[^{}]*)\}$")
_AROUND = " .,;:*"


def normal(text: str) -> str:
    """The LaTeX in one way of writing, on one line; "" where nothing stands in it."""
    text = " ".join(text.split())
    if _PLAIN.fullmatch(text):
        return text
    if not text.isascii():
        text = _ascii_signs(text)
    for pattern, plain in _WRITING:
        text = pattern.sub(plain, text)
    text = _LAST_BACKSLASH.sub("", _SPACE.sub("", " ".join(text.split())))
    text = text.removesuffix("\\\\").removesuffix("\\text{.}").rstrip(_AROUND).lstrip(" ,;:*")
    return _NUMBER_AS_TEXT.sub(r"\1", text) if text.startswith("\\text") else text


def unwrapped(text: str) -> str:
    r"""A normal text without `\text{…}` around its words."""
    return re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).strip()


def split(text: str, marks: str = ",;") -> list[str]:
    """The parts of a normal text between its outermost commas and semicolons, or other marks; none in brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char in marks and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def closed(inner: str) -> bool:
    """Whether no bracket in the text closes one that was opened before it."""
    depth = 0
    for char in inner:
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _ascii_signs(text: str) -> str:
    text = _VULGAR.sub(_fraction, text).translate(_CHARACTERS)
    text = re.sub("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b]+", lambda at: f"^{{{at[0].translate(_RAISED)}}}", text)
    text = re.sub("[\u2080-\u2089]+", lambda at: f"_{{{at[0].translate(_SUNK)}}}", text)
    text = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _fraction(found: re.Match[str]) -> str:
    """1½ as a mixed number."""
    upper, _, lower = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    return f"{found[1]}\\frac{{{upper}}}{{{lower}}}"
