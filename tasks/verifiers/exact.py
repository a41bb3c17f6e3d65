r"""Exact: the final answer is the gold text, but for case, white space, quotes and a full stop at its end.

    {"gold": "17 29 43", "response": "First is 17. Then 29. Last is 43. Final answer: 17 29 43"}    correct

The text is read from where the final answer stands (`tasks.answer`). A response that marks no answer counts only
when it is nothing but the gold text (a bare label); otherwise nobody can say which of its words are the answer, and it
is unparseable. So is an answer that has the gold text among more words ("Paris, the capital").
"""

import re
import unicodedata
from typing import Any

from tasks.answer.final_answer import NO_ANSWER, find, unmarked
from tasks.answer.turn import without_end
from tasks.kinds.verifiers import Verdict

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_AROUND = "\"'`*_ \t\n$"
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_DENIED = re.compile(r"\b(?:not|never|neither|nor|no|cannot)\b[^.;]*$|n't\b[^.;]*$")


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by the text of the final answer. Needs `gold` in the row, and fails when that is empty."""
    gold = normal(row["gold"])
    if not gold:
        raise ValueError("the gold answer is empty")
    answer = find(response)
    if answer is None:
        if normal(unmarked(response)) == gold:
            return Verdict("correct", gold)
        return Verdict("unparseable", None, NO_ANSWER)
    text = normal(answer.text)
    if gold in (text, normal(answer.line)):
        return Verdict("correct", gold)
    if not text:
        return Verdict("unparseable", None, "the final answer is empty")
    if text.rstrip("!?;,:.") == gold.rstrip("!?;,:.") != "":
        return Verdict("unparseable", None, f"other punctuation than the answer: {text[:60]}")
    if _has_more_words(text, gold):
        return Verdict("unparseable", None, f"more words than the answer: {text[:60]}")
    return Verdict("wrong", text)


def normal(text: str) -> str:
    """The text as it is compared: composed Unicode, one case, single spaces, nothing around it."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    text = without_end(unwrapped(text)).strip(_AROUND)
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].strip(_AROUND)
    return " ".join(text.casefold().split())


def unwrapped(text: str) -> str:
    r"""A text without `\text{…}` around its words."""
    return _TEXT.sub(r"\1", text) if "\\" in text else text


def _has_more_words(text: str, gold: str) -> bool:
    """Whether the gold text stands in a text that has other words too, and is not denied there."""
    found = re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", text)
    if found is None or _DENIED.search(text[: found.start()]):
        return False
    return any(char.isalpha() for char in text[: found.start()] + text[found.end() :])
