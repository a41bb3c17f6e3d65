r"""Whether an answer is the same mathematical object as the gold answer: part by part, each by its exact value.

`same` gives True or False only where that is certain, and raises `Unreadable` where it is not: the answer has another
form that may mean the same (`[1,2]` beside `1,2`), a part is not decided, or one of several gold answers is given.
"""

import re

import sympy

from tasks.answer import symbolic
from tasks.answer.errors import Unreadable
from tasks.answer.expression import expression
from tasks.answer.formulas import same_formulas, same_numerals, same_ratios, text_of
from tasks.answer.listings import same_listings
from tasks.answer.matching import attempt, decided, distinct, in_any_order, in_order, unsure_if
from tasks.answer.quantity import quantity
from tasks.answer.relations import same_relations
from tasks.answer.sets import equal_sets
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

_DECIMAL_COMMA = re.compile(r"([-+]?(?:0|\d{4,}|\d+(?!,\d{3}\D*$)|\d{1,3}(?:\.\d{3})+)),(\d+[^\d,]*)")
_SPACED_COMMA = re.compile(r"(?<=\d), (?=\d{3}(?!\d))")


def same_texts(gold: str, answer: str) -> bool:
    """Whether two normal texts (`tasks.answer.latex`) are the same object in their likelier readings.

    Raises:
        Unreadable: it is not certain.
    """
    golds, answers = readings(gold), readings(answer)
    verdicts = [attempt(same, golds[0], one) for one in answers]
    if True in verdicts:
        return True
    if any(attempt(same, other, one) is True for other in golds[1:] for one in answers):
        raise Unreadable(f"can be read in two ways: {answer[:60]}")
    others = [_written_otherwise(text) for text in (gold, answer)]
    if any(others) and not all(others):
        one, two = (readings(other or text)[0] for other, text in zip(others, (gold, answer), strict=True))
        if attempt(same, one, two) is not False:
            raise Unreadable(f"a comma for the decimal point, or two numbers: {answer[:60]}")
    alike = any(map(decided, verdicts))
    for node in () if alike else (golds[0], answers[0]):
        _check_readable(node)
    return alike


def same(gold: Node, answer: Node) -> bool:
    """Whether two nodes are the same object.

    Raises:
        Unreadable: it is not certain.
    """
    if gold == answer:
        return True
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return same_relations(gold, answer, same)
    if isinstance(gold, Listing) or isinstance(answer, Listing):
        return same_listings(gold, answer, same)
    if isinstance(gold, Numeral) or isinstance(answer, Numeral):
        return same_numerals(gold, answer)
    if isinstance(gold, Ratio) or isinstance(answer, Ratio):
        return same_ratios(gold, answer)
    if isinstance(gold, Formula) and isinstance(answer, Formula):
        return same_formulas(gold, answer)
    return _same_sets(gold, answer)


def _same_sets(gold: Node, answer: Node) -> bool:
    """Tuples, intervals and sets; brackets tell intervals apart, and a set is no pair."""
    if isinstance(gold, Bracketed) and isinstance(answer, Bracketed):
        return _same_brackets(gold, answer)
    if isinstance(gold, Braces) and isinstance(answer, Braces):
        if any(isinstance(item, Braces) for item in gold.items) != any(
            isinstance(item, Braces) for item in answer.items
        ):
            return False
        return in_any_order(same, distinct(same, gold.items), distinct(same, answer.items))
    for one, two in ((gold, answer), (answer, gold)):
        if isinstance(one, Braces) and isinstance(two, Formula):
            return len(distinct(same, one.items)) == 1 and same(one.items[0], two)
        if isinstance(one, Braces) and isinstance(two, Bracketed):
            if isinstance(one.items[0], Bracketed) and len(distinct(same, one.items)) == 1:
                return same(one.items[0], two)
            may_be_list = len(one.items) > 2 or two.opening == "["
            return unsure_if(may_be_list and in_any_order(same, one.items, two.items), "a tuple beside a set")
        if isinstance(one, NamedSet) and isinstance(two, Formula | Braces):
            return False
        if isinstance(one, Bracketed) and isinstance(two, Formula):
            return unsure_if(_is_vector(one, two), "a tuple beside a matrix")
        if isinstance(one, SETS) and isinstance(two, Formula):
            return unsure_if("\\" in two.text.replace("\\frac", ""), "a set beside a formula")
    try:
        return equal_sets(gold, answer)
    except Unreadable:
        if not (isinstance(gold, Operation) and isinstance(answer, Operation) and _is_alike(gold, answer)):
            raise
        return True


def _is_alike(gold: Operation, answer: Operation) -> bool:
    """Whether two unions or intersections have the same parts, whatever these are."""
    return gold.sign == answer.sign != "setminus" and in_any_order(same, gold.sets, answer.sets)


def _same_brackets(gold: Bracketed, answer: Bracketed) -> bool:
    alike = (gold.opening, gold.closing) == (answer.opening, answer.closing)
    if alike or len(gold.items) == 2:
        return alike and in_order(same, gold.items, answer.items)
    return unsure_if(in_order(same, gold.items, answer.items), "other brackets")


def _is_vector(one: Bracketed, two: Formula) -> bool:
    """Whether a matrix of one row or column has the items of a tuple."""
    if "\\begin" not in two.text:
        return False
    matrix = expression(two.text)
    if not isinstance(matrix, sympy.MatrixBase) or 1 not in matrix.shape or len(matrix) != len(one.items):
        return False
    return all(symbolic.equal(expression(text_of(item)), cell) for item, cell in zip(one.items, matrix, strict=True))


def _check_readable(node: Node) -> None:
    """Raises Unreadable where a formula anywhere in a node cannot be read: what is not read is not wrong."""
    if isinstance(node, Formula) and quantity(node.text) is None:
        expression(node.text)
    parts: tuple[Node, ...] = ()
    if isinstance(node, Listing | Bracketed | Braces):
        parts = node.items
    elif isinstance(node, Operation):
        parts = node.sets
    elif isinstance(node, Ratio):
        parts = node.parts
    elif isinstance(node, Relation):
        parts = node.sides[1:] if node.name else node.sides
    for part in parts:
        _check_readable(part)


def _written_otherwise(text: str) -> str:
    """A number with a decimal comma, or a space in it, as it is written elsewhere; "" for any other text."""
    if found := _DECIMAL_COMMA.fullmatch(text):
        return f"{found[1].replace('.', '')}.{found[2]}"
    joined = _SPACED_COMMA.sub("", text)
    return joined if joined != text and joined.isdecimal() else ""
