r"""Boxes of LaTeX, in which solutions put their answer: `\boxed{18}`, `\fbox{18}`, `\boxed {18}`, `\boxed 7`."""

import re

# A JSON reader that is given one backslash in place of two makes \b and \f out of \boxed and \fbox.
_BOX = re.compile(r"(?:\\(?:boxed|fbox|framebox)|\x08oxed|\x0cbox)(?![A-Za-z])\s*")
_BARE = re.compile(r"[^\n$]*?(?=\s*(?:\$|\\\)|\\\]))|[-+]?\w+(?:[.,/]\w+)*")
_SIGN = re.compile(r"(?:[-\u2212]|[=$(]\s*[-\u2212]\s*)\Z")
_FACTOR = re.compile(r"\s*(?:\\pi(?![A-Za-z])|\\sqrt\s*\{[^{}]*\}|\^\s*(?!\{?\s*\\circ)(?:\{[^{}]*\}|\w))")
_JOINED = re.compile(
    r"""(?:\s|[,;&~$*]|\\[,;:!\ \[\]()]|\\\\|\\q?quad(?![A-Za-z])
    |\\(?:text|mbox|textrm|mathrm)\s*\{\s*[,;]?\s*(?:and|or|,)?\s*\}|\b(?:and|or)\b)*""",
    re.VERBOSE,
)


def boxes(text: str) -> list[tuple[int, int, str]]:
    """Each outermost box: where it starts and ends, and what stands in it, stripped; "" where it is never closed."""
    found: list[tuple[int, int, str]] = []
    at = 0
    while box := _BOX.search(text, at):
        at, inside = _inside(text, box.end())
        found.append((box.start(), at, inside.strip()))
    return found


def last_box(text: str) -> str | None:
    """What stands in the last innermost box; None without one, "" where it is never closed."""
    found = boxes(text)
    return _innermost(found[-1][2]) if found else None


def around_box(text: str) -> tuple[str, str]:
    r"""The sign before the last box and the factor or exponent behind it: `-` and `\pi` of `-\boxed{5}\pi`; or ""."""
    start, end, _ = boxes(text)[-1]
    before, behind = _SIGN.search(text, max(0, start - 20), start), _FACTOR.match(text, end)
    return "-" if before else "", behind[0].strip() if behind else ""


def joined_boxes(text: str) -> tuple[str, ...]:
    """What stands in the last box and in those before it that only commas, "and" and "or" part from it, each once."""
    found = boxes(text)
    if not found:
        return ()
    first = len(found) - 1
    while first and _JOINED.fullmatch(text, found[first - 1][1], found[first][0]):
        first -= 1
    return tuple(dict.fromkeys(_innermost(inside) for _, _, inside in found[first:]))


def _inside(text: str, start: int) -> tuple[int, str]:
    if not text.startswith("{", start):
        bare = _BARE.match(text, start)
        return (bare.end(), bare[0]) if bare else (start, "")
    depth = 0
    for at in range(start, len(text)):
        if text[at] in "{}" and not _is_escaped(text, at):
            depth += 1 if text[at] == "{" else -1
            if depth == 0:
                return at + 1, text[start + 1 : at]
    return len(text), ""


def _is_escaped(text: str, at: int) -> bool:
    r"""Whether an odd number of backslashes stands before a place: the brace of `\\}` is none of a line break."""
    return bool((at - len(text[:at].rstrip("\\"))) % 2) if text[at - 1] == "\\" else False


def _innermost(inside: str) -> str:
    nested = boxes(inside)
    return _innermost(nested[-1][2]) if nested else inside
