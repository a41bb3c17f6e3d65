r"""Math: the final answer is the same mathematical value as the gold answer.

    {"gold": "\\frac{1}{2}", "response": "… = 3/6, so the probability is $\\boxed{0.5}$."}    correct, answer "0.5"

The answer is read from where the final answer stands (`tasks.answer`): the last box, with the boxes that only "and" and
commas join to it. It is parted into lists, pairs, sets, intervals, relations and formulas (`tasks.answer.structure`),
which are compared part by part (`tasks.answer.compare`), numbers as fractions and formulas by exact algebra:

- Equality is proved, never found by floats (`tasks.answer.symbolic`). A decimal is a value, not an approximation:
  0.333333 is not 1/3, and `1.5e-05`, `1.5\times 10^{-5}` and `0.000015` are one number. Symbols stand for real numbers.
- A percent sign is a unit: 72% is 72, never 0.72. A unit that one side lacks is no difference, two known units are
  (`tasks.answer.quantity`). `1\frac{1}{2}` is 3/2.
- A numeral with a base equals only the same digits in the same base (`1010_2` is neither 1010 nor 10).
- Bare lists and sets are unordered, and a repeated solution counts once; pairs and intervals are ordered, and brackets
  tell intervals apart. `1<x<2` is `(1,2)`. Values with different names (`x=3, y=5`) are a pair in this order.
- After an `=` only what follows the last one counts, unless the gold answer is an equation too.
- Unparseable: no mark and no box, an empty answer, prose, bounds and guesses (`about 5`), what can be read in two ways
  (`1/2x`), another form that may mean the same (`6:4` for `3:2`), one of several gold answers, what is not shown
  either way, and what is too large or takes too long; never correct, and never an error for a response's sake.

A gold answer is a formula, a word, a text with one box (or joined ones), or ends in `#### ` and a formula.
What the MATH benchmark's own rule accepts (`is_equiv`, math_equivalence.py, which compares strings), less its units of
any kind, is accepted here. The time limit is an alarm, so what sympy must decide needs the main thread of a process.
"""

import functools
import itertools
import re
from typing import Any, Literal

from tasks.answer import compare, final_answer, plain_number
from tasks.answer.boxes import boxes, joined_boxes, last_box
from tasks.answer.errors import Unreadable
from tasks.answer.hedges import hedged_anywhere
from tasks.answer.latex import normal, unwrapped
from tasks.answer.quantity import Quantity, equal, quantity
from tasks.answer.symbolic import time_limit
from tasks.kinds.verifiers import Verdict

PARALLEL: Literal["processes", "threads"] = "processes"
"""Rows are judged in parallel in processes: the work is sympy's, and its alarms need a main thread."""

LONGEST = 600
"""Characters an answer may have in normal LaTeX."""

LONGEST_TEXT = 3000
"""Characters an answer may have as it is written."""

GOLD_WORDS = 4
"""Words that a gold answer with digits in it may have outside of formulas."""

_SEGMENT = re.compile(r"(?<!\\)\$\$?(.+?)(?<!\\)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_TAIL = re.compile(r"\s*([A-Za-z]+(?: [A-Za-z]+)?)[\s.*]*")
_BETWEEN = re.compile(r"[\s,;]*(?:\b(?:and|or)\b)?[\s,;]*")
_STATED = re.compile(r"(.*[A-Za-z]{2}.*)(?<![\\A-Za-z])(?:is|are|equals|be)(?![A-Za-z])[\s:]*(.*)", re.DOTALL)
_UNIT = re.compile(r"(?<=[\w)}])\\text\{[^{}]*\}(?=$|[,;)\]\\])")
_CONCLUDED = re.compile(r"\d[\s.,;]+(?:so|thus|hence|therefore|wait|but|which)\b", re.IGNORECASE)
_WORD = re.compile(
    r"(?<![\\A-Za-z])(?:[A-Za-z]{4,}|so|the|we|get|for|is|are|of|to|if|by|at|it|as|per|via|but|now)(?![A-Za-z])"
)
_FUNCTION = re.compile(
    r"(?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|log|ln|exp|lim|det|gcd|lcm|sqrt|pi|max|min|[bpv]?matrix|cases|array|aligned"
)
_OTHER_READING = re.compile(r",|\d\.\d{8}|\.\d{10}")
"""A comma that may part a list, or a decimal that may be a rounded value."""

_LAST_SIGNS = {"!": 1, "k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}
_OPTION = re.compile(r"(?:\\text\{)?\(?([A-Z])\)?\}?")
_WORDS = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]+)*")
_ROUNDED = re.compile(r"([^.]*[\\/^][^.]*)\\approx ?-?\d*\.\d+")
_REASON = re.compile(r",?\s+(?:because|since)\b")
_NOTHING = frozenset(("dne", "does not exist", "undefined", "none", "no solution", "no solutions", "no real solutions"))
"""Words that may say the same."""

_NUMERAL = re.compile(
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|half|twenty|hundred|thousand"
)
_NOT_READ = re.compile(r"\\frac\{(?:d|\\partial)\}\{(?:d|\\partial ?)[a-z]\}|\\frac\{\\text\{")
_WITHIN = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LABEL = re.compile(r"\(?(?:\\text\{\s*\(?[^{}\d\\]+\)?\s*\}|[A-Za-z][a-z]{3,}(?: [a-z]+)*|\([A-Z]\))\)?")


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by the value of the final answer. Needs `gold` in the row, and fails when that cannot be read."""
    gold = read_gold(row["gold"])
    answer = final_answer.find(response)
    if answer is None:
        return Verdict("unparseable", None, final_answer.NO_ANSWER)
    try:
        text = ", ".join(formula(box) for box in answer.boxes) or formula(answer.text)
        if not text:
            return Verdict("unparseable", None, "the final answer is empty")
        if same(gold, text):
            return Verdict("correct", _shown(text))
        if answer.inside and same(gold, formula(answer.inside)):
            raise Unreadable("more than what stands in the box")
        if _is_all(gold, _boxed(response)):
            raise Unreadable("several boxes with words between them")
    except Unreadable as why:
        return Verdict("unparseable", None, str(why))
    return Verdict("wrong", _shown(text))


@functools.lru_cache(maxsize=65536)
def read_gold(text: str) -> str:
    """The normal LaTeX of a gold answer.

    Raises:
        ValueError: it is empty, or it is not certain what of the text is the answer; says what is allowed.
    """
    boxed, marks = dict.fromkeys(_boxed(text)), text.count("####")
    text = text.rpartition("####")[2].strip()
    try:
        if marks > 1:
            raise Unreadable("several marks ####")
        if len(boxed) > 1 and set(joined_boxes(text)) != set(boxed):
            raise Unreadable(f"{len(boxed)} boxes")
        gold = ", ".join(formula(box) for box in boxed) if boxed else _gold_formula(text)
        quantity(gold)
    except Unreadable as why:
        allowed = "a formula, a word, or a text with one box"
        raise ValueError(f"the gold answer {text[:80]!r} cannot be read: {why}; allowed: {allowed}") from why
    if not gold:
        raise ValueError("the gold answer is empty")
    return gold


def _gold_formula(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise Unreadable(f"more than {LONGEST_TEXT} characters")
    outside = re.sub(r"\\text\s*\{[^{}]*\}|\\[A-Za-z]+", " ", _SEGMENT.sub(" ", text))
    words = [word for word in re.findall(r"[A-Za-z]{2,}", outside) if not _FUNCTION.fullmatch(word)]
    if len(words) > GOLD_WORDS and re.search(r"\d|\$", text):
        raise Unreadable("a sentence with numbers in it")
    if (found := _STATED.fullmatch(text)) and re.search(r"[\d$\\]", found[2]):
        raise Unreadable("a sentence, not its answer alone")
    return formula(text)


def formula(text: str) -> str:
    """The normal LaTeX of the one formula in a text: all of it, or what stands between dollar signs in a sentence.

    Raises:
        Unreadable: there are several formulas, with more than commas, "and" or "or" between them, or the words around
            it make it a bound, a guess or a denial.
    """
    if len(text) > LONGEST_TEXT:
        raise Unreadable(f"an answer of more than {LONGEST_TEXT} characters")
    text = " ".join(text.split())
    is_word = _WORDS.fullmatch(unwrapped(text)) and not text.startswith(("not ", "never "))
    if not is_word and hedged_anywhere(_without_explanation(text)):
        raise Unreadable(f"a bound, a guess or a denial: {text[:60]}")
    if (first := _SEGMENT.search(text)) and (reason := _REASON.search(text, first.end())):
        text = text[: reason.start()] if text.count("$", 0, reason.start()) % 2 == 0 else text
    found = list(_SEGMENT.finditer(text))
    if not found or found[0].span() == (0, len(text)):
        return _stated(text)
    tail = text[found[-1].end() :]
    between = [text[one.end() : two.start()] for one, two in itertools.pairwise(found)]
    outside = "".join([text[: found[0].start()], *between, tail])
    if any(char.isdigit() or char in "\\$=" for char in outside):
        return _stated(text)
    if not all(_BETWEEN.fullmatch(part) for part in between):
        if _STATED.fullmatch(text):
            return _stated(text)
        raise Unreadable(f"several formulas in the final answer: {text[:60]}")
    unit = f"\\text{{ {named[1]}}}" if (named := _TAIL.fullmatch(tail)) else ""
    parts = [one[1] or one[2] or one[3] for one in found]
    joints = [" \\lor " if "or" in part else ", " for part in between]
    return normal("".join(itertools.chain.from_iterable(zip(parts, [*joints, unit], strict=True))))


def _without_explanation(text: str) -> str:
    """The first sentence of a text, without what is set off from it."""
    return re.split(r"[.!?;](?=\s|$)|,?\s+(?:because|since)\b|\s\((?=[A-Za-z])|,\s+not\b", text)[0]


def _stated(text: str) -> str:
    """What a sentence says something to be (`the largest $n$ is 34`), or the text where it is no such sentence."""
    if (found := _STATED.fullmatch(text)) and re.search(r"[\d$\\]", found[2]):
        if _CONCLUDED.search(found[1]):
            raise Unreadable(f"several numbers in the final answer: {text[:60]}")
        if not _WORD.search(unwrapped(normal(found[2]))):
            return normal(found[2])
    return normal(text)


def same(gold: str, answer: str) -> bool:
    """Whether two normal formulas have the same value.

    Raises:
        Unreadable: it is not certain.
    """
    if gold == answer:
        return True
    if (exact := _ROUNDED.fullmatch(answer)) and "\\approx" not in gold + exact[1]:
        return same(gold, exact[1].strip())  # 1/3\approx 0.33 says 1/3
    if len(answer) > LONGEST:
        raise Unreadable(f"an answer of more than {LONGEST} characters")
    if _LABEL.fullmatch(gold):
        return _letters(gold) == _letters(answer) or _same_words(gold, answer) or _is_another_word(gold, answer)
    if _letters(gold) == _letters(answer):
        return True
    if (wanted := _OPTION.fullmatch(gold)) and (named := _OPTION.fullmatch(answer)):
        return wanted[1] == named[1]
    if "\\text" in gold + answer and _WORDS.fullmatch(unwrapped(gold)) and _same_words(gold, answer):
        return True
    expected = quantity(gold)
    given = quantity(answer)
    if given is None and expected is not None:
        given = _in_prose(answer)
    if expected is not None and given is not None:
        alike = equal(expected, given)
        if alike or not _OTHER_READING.search(gold + answer):
            return alike
    if expected is not None and _may_mean(answer, expected):
        raise Unreadable(f"can be read in two ways: {answer[:60]}")
    if strange := _words(answer) - _words(gold):
        raise Unreadable(f"words in a formula: {' '.join(sorted(strange))[:60]}")
    if not _NOT_READ.search(gold) and (strange_sign := _NOT_READ.search(answer)):
        raise Unreadable(f"can't read {strange_sign[0][:60]}")
    with time_limit(answer):
        alike = compare.same_texts(gold, answer)
        joined = _WITHIN.sub("", answer)
        if not alike and joined != answer and compare.same_texts(gold, joined):
            raise Unreadable(f"can be read in two ways: {answer[:60]}")
        return alike


def _may_mean(answer: str, gold: Quantity) -> bool:
    """Whether an answer is the gold number if its last sign is no factorial (`42!`) or factor (`3k`)."""
    found = quantity(answer[:-1].strip()) if answer[-1] in _LAST_SIGNS else None
    return found is not None and found.value * _LAST_SIGNS[answer[-1]] == gold.value


def _boxed(text: str) -> list[str]:
    """What stands in each box, in order; of boxes within each other the innermost one."""
    return [inside if (inner := last_box(inside)) is None else inner for _, _, inside in boxes(text)]


def _is_all(gold: str, boxed: list[str]) -> bool:
    """Whether several boxes together are the gold answer."""
    try:
        return len(boxed) > 1 and same(gold, ", ".join(dict.fromkeys(formula(box) for box in boxed)))
    except Unreadable:
        return False


def _letters(text: str) -> str:
    r"""The text without `\text{…}` and spaces, but for spaces between digits: `5\text{ m}` as `5m`."""
    return re.sub(r"(?<![\d,]) +| +(?!\d)", "", unwrapped(text))


def _is_another_word(gold: str, answer: str) -> bool:
    """False; what may be another word for the gold one is not decided."""
    wanted, said = (unwrapped(text).strip().casefold() for text in (gold, answer))
    if (wanted in _NOTHING and (said in _NOTHING or said == "\\emptyset")) or (
        _NUMERAL.fullmatch(wanted) and quantity(answer)
    ):
        raise Unreadable(f"may be another word for the answer: {answer[:60]}")
    return False


def _same_words(gold: str, answer: str) -> bool:
    expected, given = (" ".join(re.findall(r"\w+", unwrapped(text).casefold())) for text in (gold, answer))
    if expected != given and re.search(rf"(?<!\w){re.escape(expected)}(?!\w)", given):
        raise Unreadable(f"more words than the answer: {answer[:60]}")
    return expected == given


def _in_prose(answer: str) -> Quantity | None:
    """The number of a sentence ("12 apples (see step 3)"), by the rules of the number verifier."""
    answer = unwrapped(answer)
    words = re.findall(r"[A-Za-z]+", answer)
    computed = "*+" if sum(len(word) > 3 for word in words) < 2 else ""
    if not any(len(word) > 2 for word in words) or any(char in f"\\^_{{}}|<>{computed}" for char in answer):
        return None
    if any((len(word) == 1 and word not in "aAI") or _FUNCTION.fullmatch(word) for word in words):
        return None
    return quantity(plain_number.read(answer))


def _words(text: str) -> set[str]:
    """Words that are no unit and no function."""
    return {word for word in _WORD.findall(unwrapped(_UNIT.sub("", text))) if not _FUNCTION.fullmatch(word)}


def _shown(text: str) -> str:
    """An answer as it is shown: a number in its normal form, a formula as it was read."""
    try:
        found = quantity(text) or _in_prose(text)
    except Unreadable:
        found = None
    if found:
        return plain_number.decimal(found.value)
    return re.sub(r", | ?\\lor ?", ",", text)
