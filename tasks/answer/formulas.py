r"""Whether two formulas, numerals or ratios have the same value: `0.5` and `\frac{1}{2}`, `1010_{2}` and `1010_{2}`."""

import re
from typing import Any

import sympy

from tasks.answer import symbolic
from tasks.answer.errors import Unreadable
from tasks.answer.expression import expression
from tasks.answer.matching import in_order, unsure_if
from tasks.answer.quantity import UNIT_NAMES, Quantity, equal, quantity
from tasks.answer.rounding import is_rounded
from tasks.answer.structure import Formula, Node, Numeral, Ratio

_UNIT_OR_FACTOR = re.compile(rf"(.*\d)\s?(?:{'|'.join(UNIT_NAMES)}|st|nd|rd|th)(?:\^\{{[23]\}})?")


def same_formulas(gold: Node, answer: Node) -> bool:
    """Whether two formulas have the same value; a unit that only one of them has is left out.

    Raises:
        Unreadable: it is not decided, or they differ only as degrees and radians, a rounded value, or a unit would.
    """
    assert isinstance(gold, Formula)
    assert isinstance(answer, Formula)
    one, two = (quantity(node.text) for node in (gold, answer))
    if one is not None and two is not None:
        if equal(_with_unit(one, gold), _with_unit(two, answer)):
            return True
        if "." not in gold.text + answer.text:
            return False
    expected, given = expression(gold.text), expression(answer.text)
    dimensions = [node.unit.dimension for node in (gold, answer)]
    if all(dimensions):
        return dimensions[0] == dimensions[1] and symbolic.equal(expected * _scale(gold), given * _scale(answer))
    if symbolic.equal(expected, given):
        return True
    for node, other, exact in ((gold, answer, given), (answer, gold, expected)):
        if (found := _UNIT_OR_FACTOR.fullmatch(node.text)) and symbolic.equal(*map(expression, (found[1], other.text))):
            raise Unreadable("a letter that may be a unit")
        if is_rounded(node.text, exact):
            raise Unreadable("a rounded value")
    radians = [
        value * sympy.pi / 180 if dimension == "angle" else value
        for value, dimension in zip((expected, given), dimensions, strict=True)
    ]
    return unsure_if("angle" in dimensions and symbolic.equal(*radians), "degrees beside what may be radians")


def same_numerals(gold: Node, answer: Node) -> bool:
    """Numerals have the same digits in the same base; a whole number is one in base ten."""
    sides = []
    for node in (gold, answer):
        if isinstance(node, Numeral):
            sides.append((node.digits, node.base))
        elif isinstance(node, Formula) and (found := quantity(node.text)) and found.value.denominator == 1:
            sides.append((str(found.value), 10))
        else:
            raise Unreadable("a base in a formula, or none")
    return sides[0] == sides[1]


def same_ratios(gold: Node, answer: Node) -> bool:
    """Ratios and times have the same parts; one that is only proportional, or the quotient, is not decided."""
    if not isinstance(gold, Ratio) or not isinstance(answer, Ratio):
        ratio, other = (gold, answer) if isinstance(gold, Ratio) else (answer, gold)
        assert isinstance(ratio, Ratio)
        if not isinstance(other, Formula) or len(ratio.parts) != 2:
            raise Unreadable("a ratio beside what is none")
        upper, lower = map(text_of, ratio.parts)
        quotient = Formula(f"\\frac{{{upper}}}{{{lower}}}")
        return unsure_if(same_formulas(quotient, Formula(other.text)), "a quotient beside a ratio")
    if gold.unit.dimension and answer.unit.dimension and gold.unit != answer.unit:
        return False
    if len(gold.parts) != len(answer.parts):
        return False
    expected, given = ([expression(text_of(part)) for part in node.parts] for node in (gold, answer))
    if in_order(same_formulas, gold.parts, answer.parts):
        return True
    pairs = zip(expected[1:], given[1:], strict=True)
    proportional = all(symbolic.equal(expected[0] * have, given[0] * want) for want, have in pairs)
    return unsure_if(proportional, "a ratio with other numbers")


def text_of(node: Node) -> str:
    """The LaTeX of a formula.

    Raises:
        Unreadable: the node is none.
    """
    if not isinstance(node, Formula):
        raise Unreadable("a part that is no formula")
    return node.text


def _with_unit(found: Quantity, node: Formula) -> Quantity:
    return Quantity(found.value, node.unit) if node.unit.dimension else found


def _scale(node: Formula) -> Any:
    return sympy.Rational(node.unit.scale.numerator, node.unit.scale.denominator)
