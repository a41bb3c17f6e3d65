"""Whether a calculation in a calculator mark is true: `48/2=24` is, `48/2=23` and `48/2` are not."""

import functools

from sympy import Expr, Rational

from tasks.answer.errors import Unreadable
from tasks.answer.expression import expression
from tasks.answer.latex import normal

TOLERANCE = Rational(1, 1000)
"""Results are rounded: a smaller difference is none (Yuan et al. 2023, arXiv 2308.01825, their check_equation)."""


@functools.lru_cache(maxsize=4096)
def is_true(calculation: str) -> bool:
    """Whether all sides of an equation are one number, within TOLERANCE; what can't be read is not true."""
    try:
        sides = [expression(normal(side)) for side in calculation.split("=")]
    except Unreadable:
        return False
    if len(sides) < 2 or not all(isinstance(side, Expr) and side.is_real for side in sides):
        return False
    return all(bool(abs(sides[0] - side) < TOLERANCE) for side in sides[1:])
