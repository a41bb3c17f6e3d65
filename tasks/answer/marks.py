r"""The marks that a final answer stands behind.

`####` (GSM8K; `#### Step 2` is a heading), `Final answer:`, `The answer is`, `Answer:`, the lines `Final answer` and
`Answer` alone, `<answer>…</answer>`, `"answer": "…"` (JSON), and `A:` or `Ans:` at the start of a line. A clause that
hopes, asks or checks ("let me know if the answer is unclear") has no mark in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

_GIVEN = r"(?:final|correct|right|best|exact|numerical|overall)"
_TO_QUESTION = r"(?:\s+(?:to|for|of|in)\s+(?:(?!answer)[\w$']+\s+){0,5}?(?:\([^()\n]{0,40}\)\s*)?)"
_SET_OFF = rf"(?:{_TO_QUESTION}|\s*\([^()\n]{{0,40}}\)|,[^,.\n]{{1,60}},)"
_IS = (
    r"(?:is\s+not\b|is\b(?!\s+(?:that|whether)\s+it\b)|equals\b|comes\s+(?:out\s+)?to\b|turns\s+out\s+to\s+be\b|becomes\b"
    r"|(?:would|should|must|will|has\s+to)\s+(?:then\s+|therefore\s+)?be\b)"
)
_DENIAL = r"(?:isn['\u2019]t|(?:cannot|can['\u2019]t|can\s+not|(?:could|should|would)(?:n['\u2019]t|\s+not))\s+be)"
_MARK = re.compile(
    rf"""
    (?:
    (?P<hashes>(?<!\#)\#\#\#\#(?!\#)(?![ \t*_]*(?:step|part|case|problem|question|solution|method|note|notes|explanation
        |verification|verify|check|checking|reasoning|analysis|calculation|calculations|conclusion|summary|proof
        |given|remark|approach|final[ \t]+answer|answer)\b))
    | <(?P<tag>(?:final[_\ ]?)?answer)>(?:(?P<inside>(?:(?!<(?:final[_\ ]?)?answer>).)*?)</(?P=tag)>)?
    | "(?:final[_\ ]?)?answer"\s*:[ \t]*(?P<json>"(?:[^"\\\n]|\\.)*"|[^\s,}}\n]+)
    | (?P<alone>(?<=\n)|\A)(?:(?!\n)[\W\d_])*?(?:(?:step|part)\s*\d+\W*)?
        (?:(?:the|my|our|and\s+the)\s+)?(?:{_GIVEN}\s+)?answer(?:(?!\n)[\W_])*(?=\n)
    | answer\s+(?P<denied>{_DENIAL})\b
    | (?P<words>\u7b54\u6848(?:\u662f|\u4e3a)?\s*[:\uff1a]\s*
        |(?<=correct\ )(?:option|choice)[*_\ \t]*(?:[:\uff1a]|{_IS})[*_:\uff1a\ \t]*
        |answer(?:\s*\([^()\n]{{0,40}}\))?(?:\s+in\s+\w+(?:\s+\w+)?)?[*_\ \t]*[:\uff1a=\u2192][*_:\uff1a\ \t]*
        |answer{_SET_OFF}?[*_\s]{{0,20}}{_IS}(?:\s+(?:as\s+follows|therefore|thus|hence|then)\b,?)?[*_:\uff1a\ \t]*
        |(?<=final\ )answer[*_\ \t]{{1,20}}(?=[-\u2013\u2014\u2192\ \t]{{0,20}}[$\\(\[]?[\d.]|\([A-Z]\)|\$))
    | (?P<a>(?:(?<=\n)|\A)[ \t>*_#-]*(?:a|ans|answ)[*_ \t]*[:\uff1a.](?<!a\.)(?<!A\.)[*_\ \t]*)
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_BEGINNING = re.compile(
    '[#<"\n\u7b54aAoOcC](?:(?<=#)(?=###)|(?<=[<"])(?=[aAfF])|(?<=[\n\u7b54])'
    "|(?<=[aA])(?i:nswer)|(?<=[tT] [oO])(?i:ption)|(?<=[tT] [cC])(?i:hoice))"
)
"""Where a mark can begin that does not begin the text: behind a line's end, or here."""
_LINE = re.compile(r"[#<\"\u7b54]|[ \t>*_#-]*[aA]|[^\n]*?[nN][sS][wW][eE][rR]")
"""How a line begins that a mark may begin with."""
_OTHER_OPTION = re.compile(r"\n[ \t>*_#-]*b[*_ \t]*[:\uff1a]", re.IGNORECASE)
_OPTION_LENGTH = 1000
"""How far behind option A the option B is looked for."""

_BOUNDARY = re.compile(r"\n|[.!?;\u3002](?:\s|$)")
_COMMENT = re.compile(
    r"""
    ^\s*(?:please\s+)?(?:let\s+me\s+know|feel\s+free|(?:i\s+(?:really\s+|do\s+)?)?hope|do(?:n['\u2019]t|\s+not)\s+hesitate|tell\s+me
        |if\s+you(?:\s+(?:have|need|think|feel|find|want|would|are)|['\u2019]d)\b(?![^,]*,\s*(?:the|so|then)))
    | \b(?:if|whether|unless|hope|hoping|suppose|assume|assuming|wonder|doubt|why|how)\s+(?:that\s+)?
        (?:(?:the|this|my|your|our|an|any)\s+)?(?:\w+\s+)?$
    | \b(?:to|let['\u2019]?s|let\s+(?:us|me)|please|we\s+can|double[- ])\s*(?:double[- ])?
        (?:check|verify|confirm|see|ensure|prove|make\s+sure|be\s+sure|explain|justify|show|understand)\s+
        (?:\w+\s+){0,2}?(?:that\s+)?(?:(?:the|this|my|your|our)\s+)?(?:\w+\s+)?$
    | \b(?:explanation|explaining|check|checking|verification|verifying|verify|proof|justification|justifying|reasoning
        |rationale|reasons?|units?|sources?)\s+
        (?:(?:of|for|behind|to|on|why|that|about|in|with)\s+)?(?:(?:the|this|my|our|your)\s+)?(?:\w+\s+)?$
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ANOTHERS = re.compile(
    r"\b(?:this|that|these|any|every|each|no|an|another|whose|which|their|his|her|its|your|one|wrong|incorrect|previous|earlier"
    r"|old|first|initial|possible|other)\s+$",
    re.IGNORECASE,
)
_JUDGED = re.compile(
    r"""\W*(?:(?:indeed|also|then|thus|really|both|very|quite|fully|now|not|likely|probably|therefore|hence|perfectly)\s+)*
    (?:clear|unclear|helpful|useful|right|correct|reasonable|valid|sensible|plausible|consistent|verified|confirmed|checked
    |satisfactory|complete|understandable|what\s+you|in\s+(?:the|a)\s+\w+\s+(?:range|form|box)|above|below|obvious|rounded|exact
    |supported|found|based\s+on|expressed|given|derived|obtained|because|since)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_NEGATED = re.compile(r"\W*(?:in|im|un|not\s+)(?=\w)", re.IGNORECASE)
_NOT = re.compile(rf"\W*(?:not|never|neither|no\s+longer|{_DENIAL})\b\W*", re.IGNORECASE)
_UNIT = re.compile(r"in\s+[^\W\d]+\W*\Z", re.IGNORECASE)
_REASON = re.compile(r"\W*(?:because|since|as|which)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Mark:
    """A mark in a text: where it starts, and where the answer behind it begins."""

    text: str
    start: int
    end: int
    strong: bool
    """Whether it can be nothing but a mark, as `####` and `Final answer:` are."""
    denies: bool = False
    """Whether it says what the answer is not."""
    enclosed: str | None = None
    """The whole answer, where the mark has an end of its own too (`</answer>`)."""

    @cached_property
    def answer(self) -> str:
        """The words behind it, as far as they tell what is said: the rest of its line, or the next line."""
        if self.enclosed is not None:
            return self.enclosed.strip()
        rest = self.text[self.end : self.end + 2000].lstrip()
        return rest.split("\n", 1)[0].strip(" *_")

    @property
    def gives(self) -> bool:
        """Whether an answer follows it."""
        return bool(self.answer) and not self.denies

    @property
    def text_end(self) -> int:
        """Where its answer's line ends."""
        at = self.end + len(self.text[self.end :]) - len(self.text[self.end :].lstrip())
        return at if self.enclosed is None else self.end

    def comments_on(self, earlier: "Mark") -> bool:
        """Whether it speaks of an earlier answer and gives no other: asks, judges or explains it, or denies another."""
        if self.denies:
            return not _repeats(earlier.answer, _NOT.sub("", self.answer, count=1))
        if self.strong or not earlier.gives:
            return False
        if self.answer.endswith("?") or _UNIT.match(self.answer) or _explains(earlier.answer, self.answer):
            return True
        return bool(_JUDGED.match(self.answer)) and not _JUDGED.match(_NEGATED.sub("", earlier.answer, count=1))


def marks(text: str) -> list[Mark]:
    """The marks of a text, in order."""
    return [mark for found in _matches(text) if (mark := _mark(text, found)) is not None]


def _matches(text: str) -> Iterator[re.Match[str]]:
    """What `_MARK.finditer` gives, tried only where a mark can begin: elsewhere it would take most of the time."""
    end = 0
    for place in chain(
        (0,), (found.end() if found[0] == "\n" else found.start() for found in _BEGINNING.finditer(text))
    ):
        if place >= end and _may_begin(text, place) and (found := _MARK.match(text, place)):
            yield found
            end = found.end()


def _may_begin(text: str, place: int) -> bool:
    """Whether a mark may begin at a place that `_BEGINNING` found: not at a line without "answer" or a label."""
    return (place > 0 and text[place - 1] != "\n") or bool(_LINE.match(text, place))


def _mark(text: str, found: re.Match[str]) -> Mark | None:
    start, end = found.span()
    if found["hashes"]:
        return Mark(text, start, end, strong=True)
    if found["tag"]:
        if found["inside"] is not None and not found["inside"].strip():
            return None  # the tags themselves are named
        return Mark(text, start, end, strong=True, enclosed=found["inside"])
    if found["json"]:
        return Mark(text, start, end, strong=True, enclosed=found["json"].strip('"'))
    if found["alone"] is not None:
        return Mark(text, start, end, strong=True)
    if found["a"]:
        return None if _OTHER_OPTION.search(text, end, end + _OPTION_LENGTH) else Mark(text, start, end, strong=False)
    before = _clause_before(text, start)
    if _COMMENT.search(before):
        return None
    is_verb = found["denied"] or not re.search(r"[:\uff1a=\u2192]", found[0])
    if is_verb and _ANOTHERS.search(before):
        return None
    if found["denied"]:
        return Mark(text, start, found.start("denied"), strong=False, denies=True)
    denied = re.search(r"is\s+not\b[*_:\uff1a \t]*\Z", found[0], re.IGNORECASE)
    if denied:
        end = start + found[0].lower().rindex("not")
    final = bool(re.search(r"(?:^|[\s>*_#])final[ \t]+\Z", text[max(0, start - 12) : start], re.IGNORECASE))
    return Mark(text, start, end, strong=final and not is_verb, denies=bool(denied) or bool(_NOT.match(text, end)))


def _clause_before(text: str, start: int) -> str:
    before = text[max(0, start - 160) : start]
    ends = [boundary.end() for boundary in _BOUNDARY.finditer(before)]
    return before[ends[-1] :] if ends else before


def _explains(earlier: str, later: str) -> bool:
    """Whether a later answer is the earlier one with a reason behind it."""
    same = earlier.casefold().rstrip(" .")
    return bool(same) and later.casefold().startswith(same) and bool(_REASON.match(later, len(same)))


def _repeats(earlier: str, denied: str) -> bool:
    """Whether the denied words begin with those of the earlier answer."""
    one, two = (re.findall(r"\w+", text.casefold()) for text in (earlier, denied))
    common = min(len(one), len(two))
    return common > 0 and one[:common] == two[:common]
