r"""Whether two sets of real numbers are equal: unions of intervals and points, by their exact end points.

The end points of both, in order, part the line into points and open intervals; a set is which of these it has. So
`[0,2)\cup(1,3]` is `[0,3]`, and `\mathbb{R}\setminus\{0\}` is `(-\infty,0)\cup(0,\infty)`.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import sympy

from tasks.answer import symbolic
from tasks.answer.errors import Unreadable
from tasks.answer.expression import expression
from tasks.answer.structure import Braces, Bracketed, Formula, Listing, NamedSet, Node, Operation, Relation

_VARIABLE = re.compile(r"(?:[A-Za-z]|\\[a-z]{2,8})(?:_\{\w+\})?(?:\([a-z]\))?")

Cells = list[bool]
"""Which parts of the line a set has: the first open interval, the first point, the second interval, and so on."""

_OPPOSITE = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}


def equal_sets(gold: Node, answer: Node) -> bool:
    """Whether two sets have the same members.

    Raises:
        Unreadable: one of them is no set of real numbers with known end points.
    """
    points: list[Any] = []
    for node in (gold, answer):
        _collect(node, points)
    points.sort(key=functools.cmp_to_key(_order))
    return _cells(gold, points) == _cells(answer, points)


def variable(node: Node) -> str:
    """What an inequality bounds (`x` in `1<x<2`); "" where it is none that bounds a variable by numbers."""
    if not isinstance(node, Relation) or "=" in node.signs:
        return ""
    sides = list(node.sides)
    middle = sides[1] if len(sides) == 3 else next((side for side in sides if _is_name(side)), None)
    if len(sides) > 3 or middle is None or not _is_name(middle):
        return ""
    return middle.text if isinstance(middle, Formula) else ""


def _is_name(side: Node) -> bool:
    return isinstance(side, Formula) and _VARIABLE.fullmatch(side.text) is not None


def _bounds(node: Relation) -> list[tuple[str, Node]]:
    """The signs and numbers that bound the variable on its left: `1<x` as x > 1."""
    name = variable(node)
    if not name:
        raise Unreadable("no inequality that bounds one variable by numbers")
    found: list[tuple[str, Node]] = []
    for left, sign, right in zip(node.sides, node.signs, node.sides[1:], strict=False):
        if isinstance(left, Formula) and left.text == name:
            found.append((sign, right))
        else:
            found.append((_OPPOSITE[sign], left))
    return found


def _number(node: Node) -> Any:
    if not isinstance(node, Formula):
        raise Unreadable("an end point that is no number")
    value = expression(node.text)
    if isinstance(value, sympy.MatrixBase) or not value.is_extended_real or value.free_symbols:
        raise Unreadable(f"an end point that is no real number: {node.text[:60]}")
    return value


def _ends(node: Node) -> list[Any]:
    """The numbers where a set begins or ends, and its single points."""
    if isinstance(node, Operation):
        return [end for part in node.sets for end in _ends(part)]
    if isinstance(node, Braces):
        return [_number(item) for item in node.items]
    if isinstance(node, Bracketed):
        if len(node.items) != 2:
            raise Unreadable("a tuple is no set of numbers")
        return [_number(item) for item in node.items]
    if isinstance(node, NamedSet):
        return []
    if isinstance(node, Listing):
        return [end for part in node.items for end in _ends(part)]
    if isinstance(node, Relation):
        return [_number(bound) for _, bound in _bounds(node)]
    raise Unreadable("no set of numbers")


def _collect(node: Node, points: list[Any]) -> None:
    for end in _ends(node):
        if not end.is_infinite and not any(symbolic.equal(end, point) for point in points):
            points.append(end)


def _order(one: Any, two: Any) -> int:
    return -1 if bool(sympy.Lt(one, two)) else 1


def _cells(node: Node, points: list[Any]) -> Cells:
    if isinstance(node, NamedSet):
        return [node.name == "real"] * (2 * len(points) + 1)
    if isinstance(node, Braces):
        single = {_place(_number(item), points) for item in node.items}
        return [at in single for at in range(2 * len(points) + 1)]
    if isinstance(node, Bracketed):
        start, end = (_place(_number(item), points) for item in node.items)
        low = start + (node.opening == "(" or start < 0)
        high = end - (node.closing == ")" or end > 2 * len(points))
        if start > end or (start == end and low > high):
            raise Unreadable("an interval that ends before it begins")
        return [low <= at <= high for at in range(2 * len(points) + 1)]
    if isinstance(node, Relation):
        return _joined(all, [_half_line(sign, bound, points) for sign, bound in _bounds(node)])
    if isinstance(node, Listing):
        return _joined(any, [_cells(part, points) for part in node.items])
    assert isinstance(node, Operation)
    parts = [_cells(part, points) for part in node.sets]
    if node.sign == "cup":
        return _joined(any, parts)
    if node.sign == "cap":
        return _joined(all, parts)
    return [first and not any(others) for first, *others in zip(*parts, strict=True)]


def _joined(how: Callable[[tuple[bool, ...]], bool], parts: list[Cells]) -> Cells:
    return [how(cell) for cell in zip(*parts, strict=True)]


def _half_line(sign: str, bound: Node, points: list[Any]) -> Cells:
    place = _place(_number(bound), points)
    cells = range(2 * len(points) + 1)
    if sign == "\\ne":
        return [at != place for at in cells]
    below, included = sign in ("<", "\\le"), sign in ("\\le", "\\ge")
    return [(at < place if below else at > place) or (included and at == place) for at in cells]


def _place(value: Any, points: list[Any]) -> int:
    """The cell of a number: -1 below all cells, and one past the last above them, for an infinite one."""
    if value.is_infinite:
        return -1 if value == -sympy.oo else 2 * len(points) + 1
    return 2 * next(at for at, point in enumerate(points) if symbolic.equal(value, point)) + 1
