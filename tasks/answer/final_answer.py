r"""Where in a response its final answer stands: after the last mark, or in the last box.

    `… = 18.\n#### 18\n\nLet me know if the answer is unclear.`    18

Only the turn itself counts (`tasks.answer.turn`), up to where it runs on into another question (`tasks.answer.run_on`).
The last mark decides (`tasks.answer.marks`), so that a response that corrects itself counts as corrected; one that
breaks off after a mark has no answer. What is said *about* an answer after it was given ("I hope this answer is clear",
"the answer is not 5, since …") is no other answer, unless it takes the answer back.

A mark takes the rest of its line, or the next line with text on it; boxes after the mark go before both. Boxes joined
by commas, "and" or "or" are one answer of several parts. Where an answer may be a text of several lines that has words
like "answer is" of its own, `final_passage` reads it, and only `Final answer:` is its mark.
"""

import itertools
import re
from dataclasses import dataclass

from data.calculator_marks import without_calculator_marks
from tasks.answer.boxes import around_box, boxes, joined_boxes
from tasks.answer.boxes import last_box as last_box
from tasks.answer.marks import Mark, marks
from tasks.answer.run_on import bare_end, run_on
from tasks.answer.turn import turn
from tasks.answer.turn import without_end as without_end

NO_ANSWER = "no final-answer mark and no box"
"""Why a response in which no answer is found is unparseable."""

_PASSAGE = re.compile(r"(?:^|\n)[ \t>*_#-]*final[ \t]+answer[*_ \t]*[:\uff1a][*_ \t]*", re.IGNORECASE)
_NO_TEXT = re.compile(r"[\s*_=~$\\\[\]`>-]*|```\w*|\\(?:begin|end)\{\w+\*?\}")
_ITEM = re.compile(r"\s*(?:[-*+>\u2022]|\d{1,2}[.)])[ \t]+(?=\S)")
_COURTESY = re.compile(
    r"""(?:(?<=[.!?)\]}*"'$\u3002])\s+|(?<=\S)[^\S\n]*\n\s*)
    (?:(?:i\s+(?:really\s+)?)?hope\s+(?:this|that|it|my|the|you)\b|(?:please\s+)?let\s+me\s+know\b|(?:please\s+)?feel\s+free\b
      |if\s+you\s+(?:have|need|would|want|'d)\b|(?:i'm\s+|i\s+am\s+)?happy\s+to\s+help\b|is\s+there\s+anything\b
      |do\s+you\s+(?:have|need|want)\b|would\s+you\s+like\b|you(?:'|\u2019)re\s+welcome\b|have\s+a\s+(?:nice|great|good)\b
      |thank(?:s|\s+you)\b|good\s+luck\b|please\s+note\b)
    .*""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


_ONE_TERM = re.compile(r"[\w.,]+|\\[dt]?frac(?:\{[^{}]*\}){2}|\\sqrt\{[^{}]*\}")
_DENYING = re.compile(
    r"\b(not|never|cannot|isn['\u2019]t|\w+\s+than|anything but)\s+(?:be\s+|equal\s+(?:to\s+)?)?[*_$\\(\[\s]*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FinalAnswer:
    """A response's final answer."""

    text: str
    """The answer, stripped: "" where a mark is followed by nothing, the texts of several boxes joined by "and"."""
    boxes: tuple[str, ...] = ()
    """What stands in the boxes of the final statement, in order; none where the answer is in no box."""
    line: str = ""
    """All that follows the first mark of the line, which has the words of another mark ("the answer is 42"); or ""."""
    inside: str = ""
    r"""What stands in the box, where a sign or factor beside it is part of the answer too (`-\boxed{5}`); or ""."""


def find(response: str) -> FinalAnswer | None:
    """The final answer of a response; None where it marks none."""
    text = turn(response)
    if (end := bare_end(text)) is not None:
        text = text[:end]
    found = marks(text)
    first = next((mark.text_end for mark in found if mark.gives), None)
    if (box := text.find("oxed")) >= 0 or (box := text.find("box{")) >= 0:
        first = box if first is None else min(first, box)
    if first is not None and (end := run_on(text, first)) is not None:
        text = text[:end]
        found = marks(text)
    mark = _deciding(found)
    if mark is not None and mark.enclosed is not None:
        return find(mark.enclosed) or FinalAnswer(_shown(mark.enclosed))
    joined = joined_boxes(text[mark.end :] if mark else text)
    if joined:
        if denied := _denied_box(text):
            return FinalAnswer(f"{denied} {joined[-1]}")
        before, behind = around_box(text)
        if before or behind:
            inside = joined[-1] if _ONE_TERM.fullmatch(joined[-1]) else f"({joined[-1]})"
            whole = f"{before}{inside}{behind}" if len(joined) == 1 else " and ".join(joined)
            return FinalAnswer(whole, inside=joined[-1])
        return FinalAnswer(" and ".join(joined), joined)
    return FinalAnswer(_marked(text, mark.end), (), _line(text, found, mark)) if mark else None


def final_answer(response: str) -> str | None:
    """The text in which the final answer stands, stripped; None where the response marks no answer.

    The text is empty where a mark is followed by nothing.
    """
    found = find(response)
    return None if found is None else found.text


def final_passage(response: str) -> str:
    """All that follows the last line that starts with `Final answer:`, or the whole response without one; stripped."""
    text = turn(response)
    found = list(_PASSAGE.finditer(text))
    for mark, after in itertools.pairwise(found):
        if text[mark.end() : after.start()].strip() and run_on(text[: after.start()], mark.end()) is not None:
            return text[mark.end() : run_on(text, mark.end())].strip()
    return text[found[-1].end() if found else 0 :].strip()


def unmarked(response: str) -> str:
    """All of a response that marks no answer, for where that may be the answer: the turn, up to another question."""
    text = turn(response).strip()
    line = text.find("\n")
    return without_courtesy(text[: run_on(text, line) if line >= 0 else None]).strip()


def without_courtesy(text: str) -> str:
    """A text without the sentences at its end that speak to the reader ("I hope this helps!")."""
    return _COURTESY.sub("", text).rstrip() or text


def _denied_box(text: str) -> str:
    """The words right before the last box that make what stands in it no answer, or ""."""
    found = _DENYING.search(text, 0, boxes(text)[-1][0])
    return found[1] if found else ""


def _deciding(found: list[Mark]) -> Mark | None:
    """The last mark that gives an answer, takes one back, or breaks off."""
    decided: Mark | None = None
    for mark in found:
        if decided is None or not mark.comments_on(decided):
            decided = mark
    return decided


def _marked(text: str, start: int) -> str:
    lines = text[start:].split("\n")
    at = next((at for at, line in enumerate(lines) if not _NO_TEXT.fullmatch(line)), 0)
    if at and _ITEM.match(lines[at]):  # a list, below the mark: all of it, or its one item
        items = itertools.takewhile(_ITEM.match, filter(str.strip, lines[at:]))
        return " and ".join(_shown(_ITEM.sub("", item, count=1)) for item in items)
    return _shown(lines[at])  # an answer of signs alone counts on the mark's own line


def _shown(text: str) -> str:
    shown = without_courtesy(without_end(without_calculator_marks(text)).strip()).strip("*_").strip()
    return shown[1:-1] if len(shown) > 2 and shown[0] == shown[-1] == "`" else shown


def _line(text: str, found: list[Mark], decided: Mark) -> str:
    start = text.rfind("\n", 0, decided.start) + 1
    first = next(mark for mark in found if mark.start >= start)
    return _marked(text, first.end) if first.start < decided.start and first.strong else ""
