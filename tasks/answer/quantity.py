r"""A plain number and its unit, read from the normal LaTeX of an answer (`tasks.answer.latex`) by exact value.

    `1\frac{1}{2}\text{hours}`   3/2, hours       `\$1,080.50`   2161/2, dollars       `72\%`   72, percent

A percent sign is a unit: 72% is 72 and never 0.72, as in the MATH benchmark's math_equivalence.py, which leaves the
sign out. A unit that only one side has is no difference (the question may name it); two known units are: 3 cm are not
3 m, but 0.03 m. A unit that is not known here is left out.
"""

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from tasks.answer.errors import Unreadable
from tasks.answer.hedges import hedged
from tasks.answer.latex import unwrapped

LONGEST = 100
"""Digits a number may have."""

LARGEST_EXPONENT = 1000
"""The largest exponent of ten."""

LONGEST_UNIT = 4
"""Words that a unit may have."""

_N = r"(?:[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:[ ]\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
_VALUE = re.compile(
    rf"""(?P<sign>[-+]?)(?P<money>\\?\$|[\u20ac\u00a3\u00a5\u20b9])?(?P<after>[-+]?)
    (?:(?P<whole>\d+)\ ?\\frac\{{(?P<up>\d+)\}}\{{(?P<down>\d+)\}}
      |(?P<whole2>\d+)\ (?P<up2>\d+)/(?P<down2>\d+)
      |\\frac\{{(?P<up3>-?{_N})\}}\{{(?P<down3>{_N})\}}
      |(?P<up4>{_N})/(?P<down4>{_N})
      |(?P<plain>{_N})(?:[eE](?P<exponent>[-+]?\d+)|(?:\\times|\\cdot|\*|\ x\ )\ ?10\^\{{(?P<power>-?\d+)\}})?)
    (?P<unit>.*)""",
    re.VERBOSE,
)
_UNIT = re.compile(
    r"(?:\s*(?:\\?%|\^\\circ\s?[CF]?|\\text\{[^{}]*\}|\ [A-Za-z][A-Za-z.]+|\\?\$|[\u20ac\u00a3\u00a5\u20b9]"
    r"|\\pmod\s?(?:\{\d+\}|\d+)))+(?:\^\{[23]\})?(?:/\\?(?:text\{[^{}]*\}|[A-Za-z]+))?"
)
_MAY_BE_EULERS = re.compile(r"\d+e-\d")
"""`3e-2` is .03, or 3e - 2 with Euler's number; `3e2` and `1.5e-02` can't be that."""

_FORMULA = re.compile(
    r"\b(?:pi|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|lim|mod|times|over|plus|minus|squared|cubed|root|factorial|choose"
    r"|to|or|and|not|hundred|thousand|million|billion|trillion|dozen|half|third|quarter|infinity|base|point)\b",
    re.IGNORECASE,
)
"""Words that make what stands before them another number."""

_UNITS = {
    "length": "mm millimeter 1/1000, cm centimeter 1/100, m meter metre 1, km kilometer kilometre 1000, "
    "in inch inche 127/5000, ft foot feet 381/1250, yd yard 1143/1250, mi mile 201168/125",
    "mass": "mg milligram 1/1000, g gram 1, kg kilogram 1000",
    "volume": "ml milliliter millilitre 1/1000, l liter litre 1",
    "time": "s sec second 1, min minute 60, h hr hour 3600, day 86400, week 604800",
    "money": "dollar $ 1, cent 1/100",
    "euro": "\u20ac euro 1",
    "pound sterling": "\u00a3 1",
    "share": "% percent pct 1",
    "angle": "^\\circ degree deg 1",
    "celsius": "^\\circC 1",
    "fahrenheit": "^\\circF 1",
    "morning": "am a.m 1",
    "evening": "pm p.m 1",
}
"""What units measure: their names, and their size in the first unit of the same kind."""

_SCALES = {
    name: (dimension, Fraction(group.split()[-1]))
    for dimension, groups in _UNITS.items()
    for group in groups.split(", ")
    for name in group.split()[:-1]
}


UNIT_NAMES = sorted((name for name in _SCALES if name.isalpha()), key=len, reverse=True)
"""Units in letters, longer ones first."""

_OF_ANGLE = re.compile(r"(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_LONG_NAMES = "|".join(name for name in UNIT_NAMES if len(name) > 1)
_UNIT_AT_END = re.compile(
    r"(?P<formula>.*?[^\\])(?P<unit>(?:\s*(?:\\?%|\^\\circ\s?[CF]?|\\text\{[^{}]*[A-Za-z]{2}[^{}]*\}"
    rf"|(?<=[\d)}}]) (?:(?:square|cubic|sq|cu)\.? )?(?:{_LONG_NAMES})s?))+(?:\^\{{[23]\}})?)"
)


class Unit(NamedTuple):
    """What a number is a number of."""

    dimension: str = ""
    """What the unit measures, with its power (`length^2`); "" where there is no unit or none that is known."""
    scale: Fraction = Fraction(1)
    """The unit in the first unit of its dimension."""


NO_UNIT = Unit()


class Quantity(NamedTuple):
    """A number with the unit it was written with."""

    value: Fraction
    unit: Unit = NO_UNIT


@functools.lru_cache(maxsize=4096)
def quantity(text: str) -> Quantity | None:
    """The quantity that all of a normal text is; None where it is anything else.

    Raises:
        Unreadable: it can be read in two ways (`3e-2`).
    """
    found = _VALUE.fullmatch(text)
    if found is None or sum(map(str.isdigit, text)) > LONGEST or (found["sign"] and found["after"]):
        return None
    unit = found["unit"]
    if unit and not _UNIT.fullmatch(unit):
        return None
    if _FORMULA.search(unit.replace("\\pmod", "")) or (unit and hedged("", unit)):
        return None
    whole = found["whole"] or found["whole2"] or "0"
    upper = found["up"] or found["up2"] or found["up3"] or found["up4"] or found["plain"]
    lower = found["down"] or found["down2"] or found["down3"] or found["down4"] or "1"
    divisor = _fraction(lower)
    if divisor == 0:
        return None
    value = _fraction(whole) + _fraction(upper) / divisor
    if whole != "0" and _fraction(upper) >= divisor:
        raise Unreadable(f"can be read in two ways: {text[:60]}")
    if exponent := found["exponent"] or found["power"]:
        if found["exponent"] and _MAY_BE_EULERS.fullmatch(f"{upper}e{exponent}"):
            raise Unreadable(f"can be read in two ways: {text[:60]}")
        if abs(int(exponent)) > LARGEST_EXPONENT:
            raise Unreadable(f"an exponent of more than {LARGEST_EXPONENT}")
        value *= Fraction(10) ** int(exponent)
    negative = "-" in (found["sign"], found["after"])
    written = unit or ("$" if found["money"] in ("$", "\\$") else found["money"] or "")
    return Quantity(-value if negative else value, _unit(written))


def equal(gold: Quantity, answer: Quantity) -> bool:
    """Whether two quantities are the same; a unit that only one of them has is left out."""
    if not gold.unit.dimension or not answer.unit.dimension:
        return gold.value == answer.value
    if gold.unit.dimension != answer.unit.dimension:
        return False
    return gold.value * gold.unit.scale == answer.value * answer.unit.scale


def without_unit(text: str) -> tuple[str, Unit]:
    r"""A formula without the unit after it (`3\sqrt{2}\text{cm}`), and the unit.

    Raises:
        Unreadable: the words after it are no unit.
    """
    found = _UNIT_AT_END.fullmatch(text)
    if found is None or (_OF_ANGLE.search(found["formula"]) and "circ" in found["unit"]):
        return text, NO_UNIT
    words = found["unit"]
    if _FORMULA.search(words) or hedged("", words) or len(re.findall("[A-Za-z]+", unwrapped(words))) > LONGEST_UNIT:
        raise Unreadable(f"words in a formula: {words.strip()[:60]}")
    return found["formula"].strip(), _unit(words)


@functools.lru_cache(maxsize=4096)
def _unit(unit: str) -> Unit:
    """The unit that a text names; one that is not known has no dimension."""
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1", unit).replace("\\%", "%").replace("\\$", "$").strip(" .")
    plain = plain.replace("\\circ ", "\\circ").replace("mph", "mile/hour")
    if len(parts := re.split(r"\s*/\s*|\s+per\s+", plain)) == 2 and all(parts):
        upper, lower = _unit(parts[0]), _unit(parts[1])
        if not upper.dimension or not lower.dimension:
            return NO_UNIT
        return Unit(f"{upper.dimension}/{lower.dimension}", upper.scale / lower.scale)
    power = 1
    if raised := re.search(r"\^\{([23])\}$", plain):
        plain, power = plain[: raised.start()].strip(), int(raised[1])
    if named := re.match(r"(square|sq\.?|cubic|cu\.?)\s*", plain, re.IGNORECASE):
        plain, power = plain[named.end() :], 2 if named[1].lower().startswith("s") else 3
    names = (plain, plain.lower(), plain.lower().removesuffix("s"))
    known = next((_SCALES[name] for name in names if name in _SCALES), None)
    if known is None:
        return NO_UNIT
    return Unit(known[0] if power == 1 else f"{known[0]}^{power}", known[1] ** power)


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").replace(" ", "").rstrip("."))
