r"""Where in a response its final answer stands: after the last mark, or in the last box.

Marks are `####` (GSM8K), `Final answer:`, `The answer is`, `Answer:`, and `A:` at the start of a line; `#### Step 2` is
a heading. The last mark decides, so that a response that corrects itself counts as corrected; one that
breaks off after a mark has no answer. A mark takes the rest of its line, or the next line with text on it; a
`\boxed{…}` after the mark goes before both.
"""

import re

from data.benchmarks.gsm8k import without_calculator_marks

_MARK = {
    "####": re.compile(
        r"(?<!#)####(?!#)(?![ \t*_]*(?:step|part|case|problem|question|solution|method|note)\b)", re.IGNORECASE
    ),
    "answer": re.compile(r"answer[*_ \t]*(?:[:\uff1a=]|is\b)[*_:\uff1a \t]*", re.IGNORECASE),
    "final answer": re.compile(r"final[ \t]+answer[*_:\uff1a \t]*(?=\n|$)", re.IGNORECASE),
    "a:": re.compile(r"a[*_ \t]*[:\uff1a]", re.IGNORECASE),
}
_LINE_START = re.compile(r"(?:^|\n)[ \t>*_#-]*\Z")


def final_answer(response: str) -> str | None:
    """The text in which the final answer stands, stripped; None where the response marks no answer.

    The text is empty where a mark is followed by nothing.
    """
    tail = _after_last_mark(response)
    boxed = last_box(response if tail is None else tail)
    if boxed is not None:
        return boxed.strip()
    if tail is None:
        return None
    line = next((line for line in tail.split("\n") if line.strip()), "")
    return without_calculator_marks(line).strip().strip("*_").strip()


def last_box(text: str) -> str | None:
    r"""What stands in the last `\boxed{…}`, braces balanced; None without one, "" where it is never closed."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for at in range(start + 6, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start + 7 : at]
    return ""


def _after_last_mark(response: str) -> str | None:
    lowered = _lower(response)
    ends = [
        end
        for word, pattern in _MARK.items()
        if word in lowered and (end := _end_of_last(response, lowered, word, pattern)) is not None
    ]
    return response[max(ends) :] if ends else None


def _end_of_last(response: str, lowered: str, word: str, pattern: re.Pattern[str]) -> int | None:
    at = len(lowered)
    while (at := lowered.rfind(word, 0, at)) >= 0:
        found = pattern.match(response, at)
        if found and (word != "a:" or _LINE_START.search(response, max(0, at - 12), at)):
            return found.end()
        at += len(word) - 1
    return None


def _lower(text: str) -> str:
    """Lower case of the same length, so that places in it are places in the text."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
