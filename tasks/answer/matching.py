"""Whether the items of two lists are the same, in order or in any, where some of them may not be decided."""

from collections.abc import Callable, Sequence

from tasks.answer.errors import Unreadable
from tasks.answer.structure import Node

Same = Callable[[Node, Node], bool]
"""Whether two nodes are the same; raises Unreadable where that is not certain."""


def attempt(same: Same, gold: Node, answer: Node) -> bool | Unreadable:
    """What `same` gives, or what it raises."""
    try:
        return same(gold, answer)
    except Unreadable as why:
        return why


def in_order(same: Same, gold: Sequence[Node], answer: Sequence[Node]) -> bool:
    """Whether both have the same items in the same order.

    Raises:
        Unreadable: none differs, but one is not decided.
    """
    if len(gold) != len(answer):
        return False
    verdicts = [attempt(same, want, have) for want, have in zip(gold, answer, strict=True)]
    return False not in verdicts and all(map(decided, verdicts))


def in_any_order(same: Same, gold: Sequence[Node], answer: Sequence[Node]) -> bool:
    """Whether each gold item has its own in the answer, and none is left.

    Raises:
        Unreadable: that depends on items that are not decided.
    """
    if len(gold) != len(answer):
        return False
    left, undecided = list(answer), None
    for want in gold:
        verdicts = [attempt(same, want, have) for have in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif reasons := [verdict for verdict in verdicts if isinstance(verdict, Unreadable)]:
            undecided = reasons[0]
        else:
            return False
    return undecided is None or decided(undecided)


def distinct(same: Same, items: Sequence[Node]) -> list[Node]:
    """The items without those that are the same as an earlier one."""
    kept: list[Node] = []
    for item in items:
        if not any(attempt(same, one, item) is True for one in kept):
            kept.append(item)
    return kept


def decided(verdict: bool | Unreadable) -> bool:
    """The verdict; raises it where it is none."""
    if isinstance(verdict, Unreadable):
        raise verdict
    return verdict


def unsure_if(alike: bool, why: str) -> bool:
    """False; what is alike in another form is not decided."""
    if alike:
        raise Unreadable(why)
    return False
