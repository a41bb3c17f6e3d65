r"""Whether a relation says the same as another, or as a value or set: `x=5` and `5`, `1<x<2` and `(1,2)`."""

import re

from tasks.answer.equations import TURNED, same_equations, same_inequalities
from tasks.answer.errors import Unreadable
from tasks.answer.matching import Same, attempt, decided, in_order, unsure_if
from tasks.answer.sets import equal_sets, variable
from tasks.answer.structure import Bracketed, Formula, Listing, Node, Numeral, Ratio, Relation


def same_relations(gold: Node, answer: Node, same: Same) -> bool:
    """Whether both say the same, where at least one is a relation.

    Raises:
        Unreadable: it is not certain.
    """
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        if set(gold.signs) == set(answer.signs) == {"="}:
            return _same_equalities(gold, answer, same)
        return _same_ranges(gold, answer, same)
    relation, other = (gold, answer) if isinstance(gold, Relation) else (answer, gold)
    assert isinstance(relation, Relation)
    if set(relation.signs) != {"="}:
        if isinstance(other, Formula | Ratio | Numeral):
            return False
        if isinstance(other, Listing):
            return unsure_if(other.join == "," or equal_sets(relation, other), "ranges beside a range")
        return equal_sets(gold, answer)
    value = relation.sides[-1]
    if relation is answer:
        solved = relation.name or relation.texts[-1] != "0" or not re.search("[A-Za-z]", relation.texts[-2])
        return same(gold, value) if solved else unsure_if(same(gold, value), "an equation, not its solution")
    if relation.name:
        return same(value, answer)
    return unsure_if(attempt(same, value, answer) is not False, "the right side of an equation")


def _same_equalities(gold: Relation, answer: Relation, same: Same) -> bool:
    values = gold.sides[-1], answer.sides[-1]
    if gold.name and answer.name:
        alike = attempt(same, *values)
        if gold.name == answer.name:
            return decided(alike)
        if not all(len(name) == 1 for name in (gold.name, answer.name)):
            return unsure_if(alike is not False, "another name")
        if not any(re.search("[A-Za-z]", node.texts[-1]) for node in (gold, answer)):
            return False
    if any(isinstance(value, Bracketed | Listing) for value in values) or len(gold.sides) > 2 or len(answer.sides) > 2:
        return same(*values)
    return same_equations(gold, answer)


def _same_ranges(gold: Relation, answer: Relation, same: Same) -> bool:
    if "=" in gold.signs or "=" in answer.signs:
        raise Unreadable("an equation beside an inequality")
    names = variable(gold), variable(answer)
    if all(names):
        alike = equal_sets(gold, answer)
        return alike if names[0] == names[1] else unsure_if(alike, "another variable")
    if len(gold.signs) == len(answer.signs) == 1:
        return same_inequalities(gold, answer)
    return _same_chains(gold, answer, same)


def _same_chains(gold: Relation, answer: Relation, same: Same) -> bool:
    """`f(2)<f(1)<f(4)`: side by side, or from the other end."""
    if gold.signs == answer.signs and attempt(_all_sides(same), gold, answer) is True:
        return True
    signs = tuple(TURNED[sign] for sign in answer.signs[::-1])
    turned = Relation(answer.sides[::-1], signs, answer.texts[::-1])
    if gold.signs == signs and attempt(_all_sides(same), gold, turned) is True:
        return True
    raise Unreadable("inequalities that are not compared")


def _all_sides(same: Same) -> Same:
    def sides(gold: Node, answer: Node) -> bool:
        assert isinstance(gold, Relation)
        assert isinstance(answer, Relation)
        return in_order(same, gold.sides, answer.sides)

    return sides
