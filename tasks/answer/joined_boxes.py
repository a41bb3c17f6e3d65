r"""Several boxes that are one answer: `\boxed{(2,2)} and \boxed{(6,2)}`.

Boxes are joined where nothing but "and", "or", commas, spaces and signs of formulas stands between them. Other words
between two boxes, as in `\boxed{18}, no: \boxed{20}`, make the last one a correction.
"""

import re

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_JOINT = re.compile(
    r"(?:[\s,;$&.]|\\[()\[\],;:! ]|\\q?quad(?![A-Za-z])|\\text\s*\{\s*,?\s*(?:and|or)?\s*\}|\b(?:and|or)\b)*",
    re.IGNORECASE,
)


def joined_boxes(response: str, last: str) -> list[str]:
    """What stands in the boxes that are joined to the last one, this included, in order; none where there is only one.

    Args:
        last: the final answer as it was extracted; none are joined where it is not the last box.
    """
    if response.count("boxed") + response.count("\\fbox") < 2:
        return []
    boxes = [(found.start(), *_closed(response, found.end())) for found in _BOX.finditer(response)]
    if not boxes or boxes[-1][2].strip() != last:
        return []
    joined = [boxes[-1][2].strip()]
    for (_, end, text), (start, _, _) in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        if end > start or not _JOINT.fullmatch(response, end, start):
            break
        joined.append(text.strip())
    return joined[::-1] if len(joined) > 1 else []


def all_boxes(text: str) -> list[str]:
    """What stands in each box, in order; of boxes within each other the inner ones."""
    if "boxed" not in text and "\\fbox" not in text:
        return []
    found = [_closed(text, box.end())[1].strip() for box in _BOX.finditer(text)]
    return [inner for inner in found if not _BOX.search(inner)]


def _closed(text: str, start: int) -> tuple[int, str]:
    """Where a group that is open at `start` ends, and what stands in it."""
    depth = 1
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at + 1, text[start:at]
    return len(text), text[start:]
