r"""Label: the final answer names exactly one of the row's labels.

    {"gold": "entailment", "labels": ["entailment", "neutral", "contradiction"],
     "response": "A man on a horse is outdoors.\nFinal answer: entailment"}                 correct, answer "entailment"

The label is read from where the final answer stands (`tasks.answer`): the answer is a label, or has one label in
it as whole words, in any case. Of two labels the longer one counts where the shorter is part of it (`not entailment`).
What explains a label (after a bracket, a comma, a full stop, "because") does not count against it.

Unparseable: no label, several different ones (a tie has no winner), a denied or doubted one ("it is not neutral", "it
is impossible to say yes", "maybe yes", "yes would be wrong"), no mark and more text than a label. Ren et al. count
substrings instead (`entail`, `no` in "not") and get these wrong. A label of one character, or a number, has to be all
of the answer, but for `label`, `option` or `class` before it; the label `no` has to stand alone or before a pronoun,
since "no evidence" is no answer.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any

from data.row_contract import ListColumn
from tasks.answer.final_answer import NO_ANSWER, final_answer, unmarked
from tasks.kinds.verifiers import Verdict
from tasks.verifiers.exact import normal

COLUMN = ListColumn("labels", "the answers that are allowed", has_gold=True)

_ASIDE = re.compile(r"[(\[;:,\u3002]|[.!?](?:\s|$)|\s[-\u2013\u2014]\s|\b(?:because|since|as|although|but|while)\b")
_DENIED_BEFORE = re.compile(
    r"""\b(?:not|never|neither|nor|non|cannot|hardly|unlike|than|instead\s+of|without|no\s+longer|far\s+from|anything\s+but
    |impossible|unable|hard|difficult|unclear|unsure|uncertain|undecided|unknown|maybe|perhaps|possibly|might|may|could
    |whether|if|doubt(?:s|ful)?|unlikely|either|wrong|incorrect|mistaken|fails?\s+to|den(?:y|ies)|refuse[sd]?|rules?\s+out
    |excludes?|except|opposite|contrary|insufficient|nobody|none|no(?!\s*,))\b|n['\u2019]t\b
    |\b(?:lack(?:s|ing)?(?:\s+of)?|absence\s+of|partly|partially|almost|nearly|barely)\s+(?:an?\s+|any\s+|the\s+)?\Z""",
    re.VERBOSE,
)
_DENIED_BEHIND = re.compile(
    r"""\s*(?:label\s+|option\s+|answer\s+)?
    (?:(?:is|are|was|seems|looks|would\s+be|could\s+be|might\s+be|must\s+be|can\s+be)\s+
      (?:\w+ly\s+)?(?:not|never|wrong|incorrect|impossible|unlikely|mistaken|excluded|eliminated|ruled|rejected|false)\b
    |(?:(?:does|do|did)\s+not|(?:does|did)n['\u2019]t|(?:is|are|was)\s+(?:absent|missing|lacking|unsupported|unwarranted))\b
    |[:(\u2013\u2014-]\s*(?:false|wrong|incorrect)\W*\Z
    |(?:only\s+)?(?:if|unless|provided|assuming)\b
    |(?:isn|wasn|wouldn|couldn|can)['\u2019]t\b|cannot\b|(?:would|could|might|may|should)\s+not\b)""",
    re.VERBOSE,
)
_CONCLUDED = re.compile(r"[,;.]\s*(?:and\s+)?(?:so|thus|hence|therefore)\b")
"""Where what was said before ends, and a conclusion from it begins."""

_OR = re.compile(
    r"\s*[(\[;:,.\u2013\u2014-]*\s*(?:or|maybe|perhaps|possibly|actually|no\s+wait|wait|correction|sorry|rather)\b"
)
_NEXT = re.compile(r"\A(?:[\s,;.!?:/|-]|\b(?:but|and|then|actually|really|also)\b)*")
_ENDS = re.compile(r"\s*(?:[,;.!?/|)]|if\b|\Z)")
"""Where nothing follows a second label that would make it part of an explanation ("no, no help was given")."""

_BEFORE = r"(?:the\s+)?(?:(?:correct|right|best|final)\s+)?(?:label|option|class|answer|choice)?\s*(?:is\s+)?"
_TOO_SHORT = re.compile(r".|-?[\d.]+")
_NO_BEFORE_MORE = re.compile(r"\s+(?!(?:it|they|he|she|there|this|that|these|those|we|you|i|the)\b)\w")


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by the label named. Needs `gold` and `labels` (a list) in the row; fails when gold is none of them."""
    labels = _labels(tuple(row["labels"]) if not isinstance(row["labels"], str) else row["labels"])
    gold = normal(row["gold"])
    if gold not in labels:
        raise ValueError(f"the gold answer {row['gold']!r} is none of the labels {', '.join(labels.values())}")
    answer = final_answer(response)
    if answer is None:
        text = normal(unmarked(response)).rstrip("!")
        if text not in labels:
            return Verdict("unparseable", None, NO_ANSWER)
        return Verdict("correct" if text == gold else "wrong", labels[text])
    said, why = read(normal(answer), tuple(labels))
    if said is None:
        return Verdict("unparseable", None, why)
    return Verdict("correct" if said == gold else "wrong", labels[said])


def read(text: str, labels: Sequence[str]) -> tuple[str | None, str]:
    """The one label that a text names, or None and why not. The text and the labels are normal (`exact.normal`)."""
    if not text:
        return None, "the final answer is empty"
    if text in labels:
        return text, ""
    aside = _ASIDE.search(text)
    head = text[: aside.start()] if aside else text
    for part in (head, text):
        said = _named(part, labels)
        if len(said) > 1:
            return None, f"several labels in the final answer: {text[:60]}"
        if said:
            label, (start, end) = next(iter(said.items()))
            before = _CONCLUDED.split(part[:start])[-1]
            if _DENIED_BEFORE.search(before) or _DENIED_BEHIND.match(text, end):
                return None, f"the label is denied or doubted: {text[:60]}"
            if _OR.match(text, end) and set(_named(text[end:], labels)) - {label}:
                return None, f"several labels in the final answer: {text[:60]}"
            behind = _NEXT.sub("", text[end:])
            if any(
                at == 0 and _ENDS.match(behind, stop)
                for at, stop in _named(behind, [one for one in labels if one != label]).values()
            ):
                return None, f"several labels in the final answer: {text[:60]}"
            return label, ""
    return None, f"no label in the final answer: {text[:60]}"


def _named(text: str, labels: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The labels in a text, each with where it stands last."""
    found: dict[str, tuple[int, int]] = {}
    for label in labels:
        if _TOO_SHORT.fullmatch(label) and (alone := _alone(label).fullmatch(text.strip())):
            found[label] = alone.span(1)
    for match in _pattern(tuple(labels)).finditer(text):
        label = next(label for label, pattern in _shapes(tuple(labels)) if pattern.fullmatch(match[0]))
        if label != "no" or not (_NO_BEFORE_MORE.match(text, match.end()) or _there_is(text[: match.start()])):
            found[label] = match.span()
    return found


def _there_is(before: str) -> bool:
    """Whether the words before a "no" make it part of "there is no …"."""
    return bool(re.search(r"\b(?:there|has|have|with|in|of|by|at)\s*(?:is|are|was|were)?\s*$", before))


@functools.lru_cache(maxsize=1024)
def _labels(labels: Sequence[str]) -> dict[str, str]:
    """The labels as the row spells them, by their normal form."""
    if isinstance(labels, str) or not labels:
        raise ValueError(f"labels are a list of texts, not {labels!r}")
    made = {normal(str(label)): str(label) for label in labels}
    if len(made) < len(labels) or "" in made:
        raise ValueError(f"labels are empty or the same but for case: {', '.join(map(str, labels))}")
    return made


@functools.lru_cache(maxsize=1024)
def _shapes(labels: tuple[str, ...]) -> list[tuple[str, re.Pattern[str]]]:
    """A pattern for each label that may stand in a text; a space in it may also be written `_` or `-`."""
    return [
        (label, re.compile(r"[\s_-]+".join(map(re.escape, re.split(r"[\s_-]+", label)))))
        for label in sorted(labels, key=len, reverse=True)
        if not _TOO_SHORT.fullmatch(label)
    ]


@functools.lru_cache(maxsize=1024)
def _pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    any_label = "|".join(pattern.pattern for _, pattern in _shapes(labels)) or r"(?!)"
    return re.compile(rf"(?<![\w-])(?:{any_label})(?![\w-]|['\u2019]\w)")


@functools.lru_cache(maxsize=1024)
def _alone(label: str) -> re.Pattern[str]:
    return re.compile(rf"{_BEFORE}[(\[]?({re.escape(label)})[)\]]?")
