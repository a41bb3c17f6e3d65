r"""Whether an answer is the same mathematical object as the gold answer: part by part, each by its exact value.

`same` gives True or False only where that is certain, and raises `Unreadable` where it is not: the answer has another
form that may mean the same (`[1,2]` beside `1,2`), a part is not decided, or one of several gold answers is given.
"""

import re
from typing import Any, TypeGuard

import sympy

from tasks.answer import symbolic
from tasks.answer.errors import Unreadable
from tasks.answer.expression import expression
from tasks.answer.quantity import UNIT_NAMES, Quantity, quantity
from tasks.answer.quantity import equal as equal_quantities
from tasks.answer.rounding import is_rounded
from tasks.answer.sets import equal_sets, variable
from tasks.answer.structure import (
    SETS,
    Braces,
    Bracketed,
    Formula,
    Listing,
    NamedSet,
    Node,
    Numeral,
    Operation,
    Ratio,
    Relation,
    readings,
)


_DECIMAL_COMMA = re.compile(r"([-+]?\d+),(\d+[^\d,]*)")
_UNIT_OR_FACTOR = re.compile(rf"(.*\d)\s?(?:{'|'.join(UNIT_NAMES)})(?:\^\{{[23]\}})?")


def same_texts(gold: str, answer: str) -> bool:
    """Whether two normal texts (`tasks.answer.latex`) are the same object in their likelier readings.

    Raises:
        Unreadable: it is not certain.
    """
    golds, answers = readings(gold), readings(answer)
    verdicts = [_try(golds[0], one) for one in answers]
    if True in verdicts:
        return True
    if any(_try(other, one) is True for other in golds[1:] for one in answers):
        raise Unreadable(f"can be read in two ways: {answer[:60]}")
    for verdict in verdicts:
        if isinstance(verdict, Unreadable):
            raise verdict
    commas = [_DECIMAL_COMMA.fullmatch(text) for text in (gold, answer)]
    if any(commas) and not all(commas):
        points = [readings(found.expand(r"\1.\2") if found else text) for found, text in zip(commas, (gold, answer), strict=True)]
        if _try(points[0][0], points[1][0]) is not False:
            raise Unreadable(f"a decimal comma, or two numbers: {answer[:60]}")
    return False


def _try(gold: Node, answer: Node) -> "bool | Unreadable":
    try:
        return same(gold, answer)
    except Unreadable as why:
        return why


def same(gold: Node, answer: Node) -> bool:
    """Whether two nodes are the same object.

    Raises:
        Unreadable: it is not certain.
    """
    if gold == answer:
        return True
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return _same_relations(gold, answer)
    if isinstance(gold, Listing) or isinstance(answer, Listing):
        return _same_listings(gold, answer)
    if isinstance(gold, Numeral) or isinstance(answer, Numeral):
        return _same_numerals(gold, answer)
    if isinstance(gold, Ratio) or isinstance(answer, Ratio):
        return _same_ratios(gold, answer)
    if isinstance(gold, SETS) or isinstance(answer, SETS):
        return _same_sets(gold, answer)
    assert isinstance(gold, Formula) and isinstance(answer, Formula)
    return _same_formulas(gold, answer)


def _same_formulas(gold: Formula, answer: Formula) -> bool:
    one, two = (quantity(node.text) for node in (gold, answer))
    if one is not None and two is not None:
        sides = (
            Quantity(one.value, gold.unit if gold.unit.dimension else one.unit),
            Quantity(two.value, answer.unit if answer.unit.dimension else two.unit),
        )
        if equal_quantities(*sides):
            return True
        if "." not in gold.text + answer.text:
            return False
    expected, given = expression(gold.text), expression(answer.text)
    dimensions = [node.unit.dimension for node in (gold, answer)]
    if all(dimensions):
        if dimensions[0] != dimensions[1]:
            return False
        return symbolic.equal(expected * _scale(gold), given * _scale(answer))
    if symbolic.equal(expected, given):
        return True
    _raise_if_rounded(gold, answer, expected, given)
    if "angle" in dimensions:
        radians = [
            value * sympy.pi / 180 if dimension == "angle" else value
            for value, dimension in zip((expected, given), dimensions, strict=True)
        ]
        if symbolic.equal(*radians):
            raise Unreadable("degrees beside a number that may be radians")
    return False


def _raise_if_rounded(gold: Formula, answer: Formula, expected: Any, given: Any) -> None:
    """Raises Unreadable where the sides differ only as a float of a computer or a letter that may be a unit would."""
    for one, two, exact in ((gold, answer, given), (answer, gold, expected)):
        if (found := _UNIT_OR_FACTOR.fullmatch(one.text)) and symbolic.equal(expression(found[1]), expression(two.text)):
            raise Unreadable("a letter that may be a unit")
        if is_rounded(one.text, exact):
            raise Unreadable("a rounded value")


def _scale(node: Formula) -> Any:
    return sympy.Rational(node.unit.scale.numerator, node.unit.scale.denominator)


def _same_numerals(gold: Node, answer: Node) -> bool:
    """Numerals have the same digits in the same base; one in base ten is a number."""
    sides = []
    for node in (gold, answer):
        if isinstance(node, Numeral):
            sides.append((node.digits, node.base))
        elif isinstance(node, Formula) and (found := quantity(node.text)) and found.value.denominator == 1:
            sides.append((str(found.value), 10))
        else:
            raise Unreadable("a base in a formula, or none")
    return sides[0] == sides[1]


def _same_ratios(gold: Node, answer: Node) -> bool:
    """Ratios and times have the same parts; one that is only proportional, or the quotient, is not decided."""
    if not isinstance(gold, Ratio) or not isinstance(answer, Ratio):
        ratio, other = (gold, answer) if isinstance(gold, Ratio) else (answer, gold)
        assert isinstance(ratio, Ratio)
        if isinstance(other, Formula) and len(ratio.parts) == 2:
            quotient = Formula(f"\\frac{{{_text(ratio.parts[0])}}}{{{_text(ratio.parts[1])}}}")
            if _same_formulas(quotient, Formula(other.text)):
                raise Unreadable("a quotient beside a ratio")
            return False
        raise Unreadable("a ratio beside what is none")
    if gold.unit.dimension and answer.unit.dimension and gold.unit != answer.unit:
        return False
    if len(gold.parts) != len(answer.parts):
        return False
    if _same_in_order(gold.parts, answer.parts):
        return True
    expected, given = ([expression(_text(part)) for part in node.parts] for node in (gold, answer))
    if all(symbolic.equal(expected[0] * b, given[0] * a) for a, b in zip(expected[1:], given[1:], strict=True)):
        raise Unreadable("a ratio with other numbers")
    return False


def _text(node: Node) -> str:
    if not isinstance(node, Formula):
        raise Unreadable("a ratio of what are no numbers")
    return node.text


def _same_sets(gold: Node, answer: Node) -> bool:
    """Tuples, intervals and sets; brackets tell intervals apart, and a set is no pair."""
    if isinstance(gold, Bracketed) and isinstance(answer, Bracketed):
        return _same_brackets(gold, answer)
    if isinstance(gold, Braces) and isinstance(answer, Braces):
        return _same_unordered(_distinct(gold.items), _distinct(answer.items))
    for one, two in ((gold, answer), (answer, gold)):
        if isinstance(one, Braces) and isinstance(two, Formula):
            return len(_distinct(one.items)) == 1 and same(one.items[0], two)
        if isinstance(one, Braces) and isinstance(two, Bracketed):
            return _unsure_if(len(one.items) > 2 and _same_unordered(one.items, two.items), "a tuple beside a set")
        if isinstance(one, NamedSet) and isinstance(two, Formula | Braces):
            return False
        if isinstance(one, Bracketed) and isinstance(two, Formula):
            return _unsure_if(_is_vector(one, two), "a tuple beside a matrix")
        if isinstance(one, SETS) and isinstance(two, Formula):
            return _unsure_if("\\" in two.text.replace("\\frac", ""), "a set beside a formula")
    try:
        return equal_sets(gold, answer)
    except Unreadable:
        if isinstance(gold, Operation) and isinstance(answer, Operation) and gold.sign == answer.sign != "setminus":
            if _same_unordered(gold.sets, answer.sets):
                return True
        raise


def _same_brackets(gold: Bracketed, answer: Bracketed) -> bool:
    alike = (gold.opening, gold.closing) == (answer.opening, answer.closing)
    if alike or len(gold.items) == 2:
        return alike and _same_in_order(gold.items, answer.items)
    return _unsure_if(_same_in_order(gold.items, answer.items), "other brackets")


def _is_vector(one: Bracketed, two: Formula) -> bool:
    if "\\begin" not in two.text:
        return False
    matrix = expression(two.text)
    if not isinstance(matrix, sympy.MatrixBase) or 1 not in matrix.shape or len(matrix) != len(one.items):
        return False
    return all(symbolic.equal(expression(_text(item)), cell) for item, cell in zip(one.items, matrix, strict=True))


def _unsure_if(alike: bool, why: str) -> bool:
    """False; what is alike in another form is not decided."""
    if alike:
        raise Unreadable(why)
    return False


def _same_listings(gold: Node, answer: Node) -> bool:
    """Bare lists are unordered; one with brackets on the other side goes by these."""
    expected, given = _flat(gold, answer), _flat(answer, gold)
    if not isinstance(gold, Bracketed) and not _repeats(expected):
        given = _distinct(given)
    if isinstance(gold, Operation | NamedSet) or isinstance(answer, Operation | NamedSet):
        join = gold.join if isinstance(gold, Listing) else answer.join if isinstance(answer, Listing) else ","
        return equal_sets(gold, answer) if join == "or" else _unsure()
    names, other_names = ([_name(item) for item in items] for items in (expected, given))
    if len(set(names)) == len(set(other_names)) == len(names) and all(names) and len(names) > 1:
        if set(names) != set(other_names):
            return False
        named = {_name(item): item for item in given}
        return _same_in_order([_value(item) for item in expected], [_value(named[name]) for name in names])
    tuples = [isinstance(node, Bracketed) and items != [node] for node, items in ((gold, expected), (answer, given))]
    ordered = any(tuples) or isinstance(answer, Bracketed) or (all(names) and len(set(names)) > 1)
    ordered = ordered and not (isinstance(gold, Listing) and not any(names))
    if len(set(names)) == 1 or ordered:
        expected = [_value(item) for item in expected]
    if len(set(other_names)) == 1 or ordered or not any(names):
        given = [_value(item) for item in given]
    if ordered:
        square = next(node for node in (gold, answer, Bracketed("(", ")", ())) if isinstance(node, Bracketed))
        if (square.opening, square.closing) != ("(", ")"):
            return _unsure_if(_same_in_order(expected, given), "a list beside an interval")
        return _same_in_order(expected, given) or _unsure_if(
            len(set(other_names)) > 1 and _same_unordered(expected, given), "an order that is not said"
        )
    if _same_unordered(expected, given):
        return True
    if len(expected) != len(given) and _same_unordered(_distinct(expected), _distinct(given)):
        raise Unreadable("a repeated value")
    if isinstance(gold, Listing) and gold.join == "or" and len(given) == 1:
        return _unsure_if(any(_try(want, given[0]) is not False for want in expected), "one of several gold answers")
    return False


def _unsure() -> bool:
    raise Unreadable("a list beside a set")


def _flat(node: Node, other: Node) -> list[Node]:
    """The items of a list, tuple or set, or what stands alone; a list of two signs within it as its items.

    A tuple stands alone beside a list of tuples.
    """
    of_tuples = isinstance(other, Listing) and any(isinstance(item, Bracketed) for item in other.items)
    alone = of_tuples and isinstance(node, Bracketed) and not any(isinstance(item, Bracketed) for item in node.items)
    items = node.items if isinstance(node, Listing | Bracketed | Braces) and not alone else (node,)
    return [inner for item in items for inner in (item.items if _is_two_signs(item) else (item,))]


def _is_two_signs(item: Node) -> TypeGuard[Listing]:
    return isinstance(item, Listing) and all(isinstance(inner, Formula) for inner in item.items) and len(item.items) == 2


def _distinct(items: "list[Node] | tuple[Node, ...]") -> list[Node]:
    kept: list[Node] = []
    for item in items:
        if not any(_try(one, item) is True for one in kept):
            kept.append(item)
    return kept


def _repeats(items: list[Node]) -> bool:
    return len(_distinct(items)) < len(items)


def _name(node: Node) -> str:
    return node.name if isinstance(node, Relation) else ""


def _value(node: Node) -> Node:
    return node.sides[-1] if isinstance(node, Relation) and node.name else node


def _same_in_order(gold: "list[Node] | tuple[Node, ...]", answer: "list[Node] | tuple[Node, ...]") -> bool:
    if len(gold) != len(answer):
        return False
    verdicts = [_try(want, have) for want, have in zip(gold, answer, strict=True)]
    if False in verdicts:
        return False
    return _all_or_raise(verdicts)


def _all_or_raise(verdicts: "list[bool | Unreadable]") -> bool:
    for verdict in verdicts:
        if isinstance(verdict, Unreadable):
            raise verdict
    return all(verdicts)


def _same_unordered(gold: "list[Node] | tuple[Node, ...]", answer: "list[Node] | tuple[Node, ...]") -> bool:
    """Whether each gold item has its own in the answer, and none is left."""
    if len(gold) != len(answer):
        return False
    left, undecided = list(answer), None
    for want in gold:
        verdicts = [_try(want, have) for have in left]
        if True in verdicts:
            del left[verdicts.index(True)]
            continue
        undecided = next((verdict for verdict in verdicts if isinstance(verdict, Unreadable)), undecided)
        if undecided is None or all(verdict is False for verdict in verdicts):
            return False
    if undecided:
        raise undecided
    return True


def _same_relations(gold: Node, answer: Node) -> bool:
    """Equations and inequalities, and what they say of a name beside its value alone."""
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        return _same_statements(gold, answer)
    if isinstance(answer, Relation):
        if isinstance(gold, Listing) and len(gold.items) > 1 and variable(answer):
            return _same_ranges(gold, answer)
        if set(answer.signs) == {"="}:
            return same(gold, answer.sides[-1])
        return _same_ranges(gold, answer)
    assert isinstance(gold, Relation)
    if set(gold.signs) != {"="}:
        return _same_ranges(gold, answer)
    if gold.name:
        return same(gold.sides[-1], answer)
    return _unsure_if(_try(gold.sides[-1], answer) is not False, "the right side of an equation")


def _same_ranges(gold: Node, answer: Node) -> bool:
    """An inequality beside a set."""
    if isinstance(gold, Formula | Ratio | Numeral) or isinstance(answer, Formula | Ratio | Numeral):
        return False
    if isinstance(gold, Listing) or isinstance(answer, Listing):
        return _same_listings(gold, answer)
    return equal_sets(gold, answer)


def _same_statements(gold: Relation, answer: Relation) -> bool:
    if set(gold.signs) == set(answer.signs) == {"="}:
        return _same_equations(gold, answer)
    if "=" in gold.signs or "=" in answer.signs:
        raise Unreadable("an equation beside an inequality")
    if gold.signs == answer.signs and len(gold.sides) == len(answer.sides) and gold.texts == answer.texts:
        return True
    names = variable(gold), variable(answer)
    if all(names):
        if names[0] != names[1]:
            return _unsure_if(equal_sets(gold, answer), "another variable")
        return equal_sets(gold, answer)
    if len(gold.signs) == len(answer.signs) == 1:
        return _same_inequalities(gold, answer)
    return _same_chains(gold, answer)


def _same_chains(gold: Relation, answer: Relation) -> bool:
    """`f(2)<f(1)<f(4)`: side by side, or from the other end."""
    turned = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
    if len(gold.sides) == len(answer.sides):
        if gold.signs == answer.signs and _same_in_order(gold.sides, answer.sides):
            return True
        reverse = tuple(turned.get(sign, sign) for sign in answer.signs[::-1])
        if gold.signs == reverse and _same_in_order(gold.sides, answer.sides[::-1]):
            return True
    raise Unreadable("inequalities that are not compared")


def _same_equations(gold: Relation, answer: Relation) -> bool:
    if gold.name and answer.name:
        alike = _try(gold.sides[-1], answer.sides[-1])
        if gold.name == answer.name:
            return _all_or_raise([alike])
        if not all(len(name) == 1 for name in (gold.name, answer.name)):
            return _unsure_if(alike is not False, "another name")
        if not any(re.search("[A-Za-z]", node.texts[-1]) for node in (gold, answer)):
            return False
    if len(gold.sides) > 2 or len(answer.sides) > 2:
        return same(gold.sides[-1], answer.sides[-1])
    one, two = (_difference(node) for node in (gold, answer))
    if symbolic.constant_ratio(one, two) is not None:
        return True
    return _unsure_if(not _other_solutions(one, two), "an equation that may have the same solutions")


def _difference(node: Relation) -> Any:
    left, right = (expression(_text(side)) for side in node.sides[:2])
    if isinstance(left, sympy.MatrixBase) or isinstance(right, sympy.MatrixBase):
        raise Unreadable("an equation of matrices")
    return left - right


def _other_solutions(one: Any, two: Any) -> bool:
    """Whether two equations, both polynomials over the rationals, have other factors."""
    symbols = one.free_symbols | two.free_symbols
    if not symbols or not all(value.is_polynomial(*symbols) for value in (one, two)):
        return False
    factors = []
    for value in (one, two):
        _, found = sympy.factor_list(value.expand())
        factors.append({factor for factor, _ in found})
    return factors[0] != {factor if factor in factors[0] else -factor for factor in factors[1]}


def _same_inequalities(gold: Relation, answer: Relation) -> bool:
    turned = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}
    ratio = symbolic.constant_ratio(_difference(gold), _difference(answer))
    if ratio is None or not ratio.is_extended_real:
        difference = _difference(gold), _difference(answer)
        linear = all(sympy.total_degree(value) == 1 for value in difference if value.is_polynomial())
        return _unsure_if(not (linear and all(value.is_polynomial() for value in difference)), "inequalities")
    sign = answer.signs[0] if ratio.is_positive else turned[answer.signs[0]]
    return gold.signs[0] == sign
