r"""Whether two equations or inequalities say the same: `y=2x+1` and `2x-y+1=0`, `x<1` and `-x>-1`."""

from typing import Any

import sympy

from tasks.answer import symbolic
from tasks.answer.errors import Unreadable
from tasks.answer.expression import expression
from tasks.answer.formulas import text_of
from tasks.answer.matching import unsure_if
from tasks.answer.structure import Relation

TURNED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}
"""The sign that stands between two sides that change places."""


def same_equations(gold: Relation, answer: Relation) -> bool:
    """Whether two equations of two sides each are multiples of each other.

    Raises:
        Unreadable: they are none, but may have the same solutions.
    """
    one, two = _difference(gold), _difference(answer)
    if symbolic.constant_ratio(one, two) is not None:
        return True
    return unsure_if(not _has_other_factors(one, two), "an equation that may have the same solutions")


def same_inequalities(gold: Relation, answer: Relation) -> bool:
    """Whether two inequalities of two sides each are multiples of each other, with the sign turned where it must be.

    Raises:
        Unreadable: they are none, and not both linear.
    """
    one, two = _difference(gold), _difference(answer)
    ratio = symbolic.constant_ratio(one, two)
    if ratio is None or not ratio.is_extended_real:
        linear = all(value.is_polynomial() and sympy.total_degree(value) == 1 for value in (one, two))
        return unsure_if(not linear, "inequalities that are not compared")
    return gold.signs[0] == (answer.signs[0] if ratio.is_positive else TURNED[answer.signs[0]])


def _difference(node: Relation) -> Any:
    left, right = (expression(text_of(side)) for side in node.sides)
    if isinstance(left, sympy.MatrixBase) or isinstance(right, sympy.MatrixBase):
        raise Unreadable("a relation of matrices")
    return left - right


def _has_other_factors(one: Any, two: Any) -> bool:
    """Whether two polynomials over the rationals have other factors, and so other zeros."""
    symbols = one.free_symbols | two.free_symbols
    if not symbols or not all(value.is_polynomial(*symbols) for value in (one, two)):
        return False
    factors = [{factor for factor, _ in sympy.factor_list(value.expand())[1]} for value in (one, two)]
    return factors[0] != {factor if factor in factors[0] else -factor for factor in factors[1]}
