r"""What an answer is before it is a value: a formula, a list, a pair or interval, a set, a relation, a ratio.

    `x=3\lor x=5`   a list of two relations        `(2,12)\cup(12,102)`   a union of two bracketed pairs

A comma without a space before three digits parts thousands outside brackets and parts items in them, unless a comma of
the same list has a space after it; `readings` gives the other way as well where there is one.
"""

import re
from dataclasses import dataclass
from typing import Literal

from tasks.answer.errors import Unreadable
from tasks.answer.latex import closed, split
from tasks.answer.quantity import NO_UNIT, Unit, without_unit

Join = Literal[",", "or"]


@dataclass(frozen=True)
class Formula:
    """One expression in LaTeX, and the unit written after it."""

    text: str
    unit: Unit = NO_UNIT


@dataclass(frozen=True)
class Numeral:
    """Digits in a base."""

    digits: str
    base: int


@dataclass(frozen=True)
class Ratio:
    """`3:2`, or a time of day."""

    parts: "tuple[Node, ...]"
    unit: Unit = NO_UNIT


@dataclass(frozen=True)
class Listing:
    """Items without brackets around them."""

    items: "tuple[Node, ...]"
    join: Join = ","


@dataclass(frozen=True)
class Bracketed:
    """A pair, tuple, vector or interval: which one is not written."""

    opening: str
    closing: str
    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Braces:
    """A set given by its members."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Operation:
    r"""Sets joined by `\cup`, `\cap` or `\setminus`."""

    sign: str
    sets: "tuple[Node, ...]"


@dataclass(frozen=True)
class NamedSet:
    r"""`\emptyset` or `\mathbb{R}`."""

    name: str


@dataclass(frozen=True)
class Relation:
    """Sides with signs between them: `x=5`, `1<x\\le 2`."""

    sides: "tuple[Node, ...]"
    signs: tuple[str, ...]
    texts: tuple[str, ...]
    """The sides as they are written."""

    @property
    def name(self) -> str:
        """What an equation names, "" where it names nothing: `x`, `f(x)`, `(p,q)`, `S_{1}:S_{2}`."""
        return self.texts[0] if set(self.signs) == {"="} and _NAME.fullmatch(self.texts[0]) else ""


Node = Formula | Numeral | Ratio | Listing | Bracketed | Braces | Operation | NamedSet | Relation

SETS = (Bracketed, Braces, Operation, NamedSet)

_ONE_NAME = (
    r"\|?(?:\\angle\s?)?(?:[A-Za-z]|[A-Z]{2,4}|\\[a-z]{2,8})'*(?:_\{[^{}]*\})?"
    r"(?:\((?:[a-z]|-?\d+)(?:,(?:[a-z]|-?\d+))*\))?\|?"
)
_NAME = re.compile(
    rf"{_ONE_NAME}(?::{_ONE_NAME})*|\\frac\{{{_ONE_NAME}\}}\{{{_ONE_NAME}\}}|\({_ONE_NAME}(?:,{_ONE_NAME})+\)"
)
_SIGN = re.compile(r"=|<|>|\\(?:le|ge|ne|equiv|approx|sim|in|notin)(?![A-Za-z])")
_OPERATION = re.compile(r"\\(cup|cap|setminus)(?![A-Za-z])|(?<=\})\\backslash(?![A-Za-z])")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_BASE = re.compile(r"\(?([0-9A-Z]+(?:\.[0-9A-Z]+)?)\)?_\{(\d{1,2})\}")
_SUNK = re.compile(r"[0-9)]_\{")
_NAMED_SETS = {"\\emptyset": "empty", "\\mathbb{R}": "real", "\\R": "real"}
_CONDITION = re.compile(r"([a-z])(?:\||:|\\mid)\s?((?=.*\1).*)")
_BRACKETS = (
    ("\\{", "\\}"),
    *((opening, closing) for opening in "([" for closing in ")]"),
)
LONGEST_LIST = 100
"""Items a list may have."""


def readings(text: str) -> list[Node]:
    """The ways to read a normal text, the likelier first.

    Raises:
        Unreadable: it has no structure that is known here.
    """
    first = _read(text, False)
    if not _THOUSANDS.search(text):
        return [first]
    try:
        other = _read(text, True)
    except Unreadable:
        return [first]
    return [first] if first == other else [first, other]


def _read(text: str, other: bool, bracketed: bool = False) -> Node:
    while text.startswith("{") and text.endswith("}") and closed(text[1:-1]):
        text = text[1:-1].strip()
    if not text:
        raise Unreadable("a part of the answer is empty")
    alternatives = _split_by(text, re.compile(r"\\lor(?![A-Za-z])"))[0]
    if len(alternatives) > 1:
        return _list(alternatives, "or", other)
    parts = _items(text, other, bracketed)
    if len(parts) > 1:
        return _list(parts, ",", other)
    sides, signs = _split_by(text, _SIGN)
    if signs:
        return _relation(sides, signs, other)
    sets, operations = _split_by(text, _OPERATION)
    if operations:
        if len(set(operations)) > 1:
            raise Unreadable(f"several set operations without brackets: {text[:60]}")
        return Operation(operations[0].lstrip("\\"), tuple(_read(part, other) for part in sets))
    return _one(text, other)


def _list(parts: list[str], join: Join, other: bool) -> Node:
    if len(parts) > LONGEST_LIST:
        raise Unreadable(f"a list of more than {LONGEST_LIST} items")
    items: list[Node] = []
    for part in parts:
        item = _read(part, other)
        items.extend(item.items if isinstance(item, Listing) and ";" not in part and "," not in part else [item])
    first = items[0]
    if isinstance(first, Relation) and first.name and not any(isinstance(item, Relation) for item in items[1:]):
        items[0] = first.sides[-1]  # x=1,2,3
    return Listing(tuple(items), join)


def _items(text: str, other: bool, bracketed: bool) -> list[str]:
    """The parts between outermost commas and semicolons; a comma that parts thousands is none of them."""
    parts = split(text, ";")
    if len(parts) > 1:
        return parts
    parts = split(text, ",")
    if len(parts) == 1:
        return parts
    joined = [parts[0]]
    spaced = bool(re.search(r"\d, ", text))
    as_thousands = (spaced if bracketed else True) != other
    for part in parts[1:]:
        whole = f"{joined[-1]},{part}"
        if as_thousands and _parts_thousands(text, joined[-1], part):
            joined[-1] = whole
        else:
            joined.append(part)
    return joined


def _parts_thousands(text: str, before: str, after: str) -> bool:
    """Whether the comma between two parts of a text stands without a space within a grouped number."""
    left, right = re.search(r"(?<![\d.,])\d{1,3}(?:,\d{3})*$", before), re.match(r"\d{3}(?![\d])", after)
    return bool(left and right) and f"{before},{after}" in text


def _split_by(text: str, pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """The parts of a text between a sign that stands outside of brackets, and the signs."""
    parts, signs, depth, start, at = [], [], 0, 0, 0
    while at < len(text):
        char = text[at]
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 and char in "=<>\\" and (found := pattern.match(text, at)):
            parts.append(text[start:at].strip())
            signs.append(found[0])
            start = at = found.end()
            continue
        at += 2 if char == "\\" and at + 1 < len(text) and text[at + 1] not in "{}" else 1
    return [*parts, text[start:].strip()], signs


def _relation(sides: list[str], signs: list[str], other: bool) -> Node:
    near = next((at for at, sign in enumerate(signs) if sign in ("\\approx", "\\sim")), None)
    if near is not None:  # x=1/3\approx 0.33 says 1/3
        if near == 0 or set(signs[:near]) != {"="}:
            raise Unreadable("an approximate value")
        sides, signs = sides[: near + 1], signs[:near]
    if signs == ["\\in"] and _NAME.fullmatch(sides[0]):
        return _read(sides[1], other)
    if any(sign in ("\\equiv", "\\in", "\\notin") for sign in signs):
        raise Unreadable(f"can't read {signs[0]}")
    if signs == ["="] and _NAME.fullmatch(sides[1]) and not _NAME.fullmatch(sides[0]):
        sides = sides[::-1]  # 2=x says x=2
    return Relation(tuple(_side(side, other) for side in sides), tuple(signs), tuple(sides))


def _side(text: str, other: bool) -> Node:
    """A side of a relation; what names something need not be a value."""
    return Formula(text) if _NAME.fullmatch(text) or not text else _read(text, other)


def _one(text: str, other: bool) -> Node:
    if text in _NAMED_SETS:
        return NamedSet(_NAMED_SETS[text])
    for opening, closing in _BRACKETS:
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening):
            inner = text[len(opening) : -len(closing)].strip()
            if closed(inner) and (node := _enclosed(opening, closing, inner, other)):
                return node
    if (found := _BASE.fullmatch(text)) and _is_numeral(found[1], int(found[2])):
        return Numeral(found[1].lstrip("0") or "0", int(found[2]))
    if _SUNK.search(text):
        raise Unreadable(f"a base in a formula, or none: {text[:60]}")
    rest, unit = without_unit(text)
    ratio = split(rest, ":")
    if len(ratio) > 1:
        return Ratio(tuple(_read(part, other) for part in ratio), unit)
    if re.search(r"\\[pm][pm](?![A-Za-z])", rest):
        signs = (rest.replace("\\pm", "+").replace("\\mp", "-"), rest.replace("\\pm", "-").replace("\\mp", "+"))
        return Listing(tuple(Formula(one.removeprefix("+").strip(), unit) for one in signs))
    return Formula(rest, unit)


def _is_numeral(digits: str, base: int) -> bool:
    """Whether digits have a base written below; a letter alone is a name with an index (`A_{1}`)."""
    return base >= 2 and (len(digits) > 1 or digits.isdecimal())


def _enclosed(opening: str, closing: str, inner: str, other: bool) -> Node | None:
    if opening == "\\{":
        if not inner:
            return NamedSet("empty")
        if re.search(r"(?<!\\)[|:]|\\mid(?![a-z])", inner) and _split_by(inner, _SIGN)[1]:
            if (condition := _CONDITION.fullmatch(inner)) and isinstance(node := _read(condition[2], other), Relation):
                return node
            raise Unreadable("a set given by a condition")
        found = _read(inner, other, bracketed=True)
        return Braces(found.items if isinstance(found, Listing) else (found,))
    parts = _items(inner, other, bracketed=True)
    if len(parts) == 1:
        return None
    return Bracketed(opening, closing, tuple(_read(part, other) for part in parts))
