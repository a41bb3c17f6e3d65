r"""Whether a list without brackets has the same items as another, or as a pair or set: `x=3,x=5` and `3\lor 5`."""

from typing import TypeGuard

from tasks.answer.errors import Unreadable
from tasks.answer.matching import Same, attempt, distinct, in_any_order, in_order, unsure_if
from tasks.answer.sets import equal_sets
from tasks.answer.structure import Braces, Bracketed, Formula, Listing, NamedSet, Node, Operation, Relation


def same_listings(gold: Node, answer: Node, same: Same) -> bool:
    """Whether both have the same items, where at least one is a bare list.

    Bare lists are unordered, and an answer may repeat a value; values with different names, and a list beside a tuple,
    are in order.

    Raises:
        Unreadable: it is not certain.
    """
    if isinstance(gold, Operation | NamedSet) or isinstance(answer, Operation | NamedSet):
        if any(isinstance(node, Listing) and node.join == "," for node in (gold, answer)):
            raise Unreadable("a list beside a set")
        return equal_sets(gold, answer)
    expected, given = _items(gold, answer), _items(answer, gold)
    if len(given) > len(expected) and len(distinct(same, expected)) == len(expected):
        given = distinct(same, given)
    names, other_names = ([_name(item) for item in items] for items in (expected, given))
    if _are_names(names) and _are_names(other_names):
        named = dict(zip(other_names, given, strict=True))
        return set(names) == set(other_names) and in_order(same, expected, [named[name] for name in names])
    tuples = [isinstance(node, Bracketed) and items != [node] for node, items in ((gold, expected), (answer, given))]
    unordered_gold = isinstance(gold, Listing) and not any(names)
    alternatives = any(isinstance(node, Listing) and node.join == "or" for node in (gold, answer))
    if _are_names(names) or (any(tuples) and (alternatives or not unordered_gold or _has_square_bracket(gold, answer))):
        certain = not alternatives and not isinstance(answer, Braces) and _in_order_of_names(names, other_names)
        return _same_tuples(gold, answer, list(map(_value, expected)), list(map(_value, given)), certain, same)
    if len(set(names)) == 1:
        expected = list(map(_value, expected))
    if len(set(other_names)) == 1 or not any(names):
        given = list(map(_value, given))
    if in_any_order(same, expected, given):
        return True
    if len(expected) != len(given) and in_any_order(same, distinct(same, expected), distinct(same, given)):
        raise Unreadable("a repeated value")
    conditions = [item for item in given if isinstance(item, Relation) and not item.name]
    if conditions and any(attempt(same, gold, item) is True for item in given if item not in conditions):
        raise Unreadable("an answer with conditions")
    one_of = isinstance(gold, Listing) and gold.join == "or" and len(given) == 1
    return unsure_if(
        one_of and any(attempt(same, want, given[0]) is not False for want in expected), "one of several gold answers"
    )


def _same_tuples(gold: Node, answer: Node, expected: list[Node], given: list[Node], certain: bool, same: Same) -> bool:
    """Whether two tuples are the same; what is not written as one is not decided where its order is not certain."""
    if _has_square_bracket(gold, answer):
        return unsure_if(in_order(same, expected, given), "a list beside an interval")
    if not certain:
        return unsure_if(in_any_order(same, expected, given), "an order that is not said")
    return in_order(same, expected, given)


def _in_order_of_names(*names: list[str]) -> bool:
    """Whether values with names stand as a tuple would have them: by their names, where each has its own."""
    return all(found == sorted(found) for found in names if _are_names(found))


def _has_square_bracket(gold: Node, answer: Node) -> bool:
    brackets = [node.opening + node.closing for node in (gold, answer) if isinstance(node, Bracketed)]
    return any(pair != "()" for pair in brackets)


def _items(node: Node, other: Node) -> list[Node]:
    """The items of a list, tuple or set, or what stands alone; a list of two signs within it as its items.

    A tuple stands alone beside a list of tuples.
    """
    of_tuples = isinstance(other, Listing) and any(isinstance(item, Bracketed) for item in other.items)
    alone = of_tuples and isinstance(node, Bracketed) and not any(isinstance(item, Bracketed) for item in node.items)
    items = node.items if isinstance(node, Listing | Bracketed | Braces) and not alone else (node,)
    return [inner for item in items for inner in (item.items if _is_two_signs(item) else (item,))]


def _is_two_signs(item: Node) -> TypeGuard[Listing]:
    return isinstance(item, Listing) and len(item.items) == 2 and all(isinstance(one, Formula) for one in item.items)


def _are_names(names: list[str]) -> bool:
    """Whether each item has a name of its own."""
    return len(names) > 1 and all(names) and len(set(names)) == len(names)


def _name(node: Node) -> str:
    return node.name if isinstance(node, Relation) else ""


def _value(node: Node) -> Node:
    return node.sides[-1] if isinstance(node, Relation) and node.name else node
