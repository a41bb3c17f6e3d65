r"""Several boxes that are one answer: `\boxed{(2,2)} and \boxed{(6,2)}`.

Boxes are joined where nothing but "and", "or", commas, spaces and signs of formulas stands between them. Other words
between two boxes, as in `\boxed{18}, no: \boxed{20}`, make the last one a correction.
"""

import re

_BRACES = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*)?\{|(?<!\\)\}")
_JOINT = re.compile(
    r"(?:[\s,;$&.]|\\[()\[\],;:! ]|\\q?quad(?![A-Za-z])|\\text\s*\{\s*,?\s*(?:and|or)?\s*\}|\b(?:and|or)\b)*",
    re.IGNORECASE,
)


def joined_boxes(response: str, last: str) -> list[str]:
    """What stands in the boxes that are joined to the last one, this included, in order; none where there is only one.

    Args:
        last: the final answer as it was extracted; none are joined where it is not the last box.
    """
    boxes = _boxes(response)
    if len(boxes) < 2 or boxes[-1][2] != last:
        return []
    joined = [boxes[-1][2]]
    for (_, end, text), (start, _, _) in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        if not _JOINT.fullmatch(response, end, start):
            break
        joined.append(text)
    return joined[::-1] if len(joined) > 1 else []


def all_boxes(text: str) -> list[str]:
    """What stands in each box, in order; of boxes within each other the inner ones."""
    return [inside for _, _, inside in _boxes(text)]


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """Each box without another in it: where it starts and ends, and what stands in it, stripped."""
    if "\\boxed" not in text and "\\fbox" not in text:
        return []
    found: list[tuple[int, int, str]] = []
    opened: list[tuple[re.Match[str], int]] = []
    for brace in _BRACES.finditer(text):
        if brace[0] != "}":
            opened.append((brace, len(found)))
        elif opened:
            start, before = opened.pop()
            if start["box"] and len(found) == before:
                found.append((start.start(), brace.end(), text[start.end() : brace.start()].strip()))
    return found
