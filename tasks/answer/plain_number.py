r"""The one number of a final answer that is a number or a sentence about one, by its exact value.

    `18 dollars in 2 days`   18        `30 + 12 = 42 apples and pears`   42        `at least 18`   none: a bound

An explanation after the number is left out; what follows the last `=` counts where something is computed before it.
`strictly` reads gold answers: a number, with a currency or a short unit, and nothing else.
"""

import itertools
import re
from fractions import Fraction

from data.calculator_marks import without_calculator_marks
from tasks.answer.errors import Unreadable
from tasks.answer.hedges import hedged
from tasks.answer.latex import normal
from tasks.answer.number_notation import one_notation
from tasks.answer.quantity import LARGEST_EXPONENT, LONGEST, quantity
from tasks.answer.sentence import computed_behind, main_clause

ALLOWED_GOLDS = "one number (18, -1,080.5, 3/4, 2 1/2, 1.5e-05, \\frac{3}{4}) with no more than a currency or unit"
LONGEST_TEXT = 3000
"""Characters that an answer may have."""

LONGEST_GOLD_UNIT = 3
"""Words after the number of a gold answer."""

_PLAIN = re.compile(r"\$?(-?[0-9]{1,15})\.?")
_GROUPED = re.compile(r"\$?(-?[1-9][0-9]{0,2}(?:,[0-9]{3})+)\.?")
_NUMBER = re.compile(r"(?<![^\W_])(?<!\d[.,/])([-+]?)(\.?\d[\d.,/]*(?:[eE][-+]?\d+(?![\w.]))?)")
_ONE = re.compile(r"((?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE]([-+]?\d+))?")
_EXPLAINED = re.compile(
    r"[\[;\u3002]|[.!?](?=\s|$)|,\s+(?=[^\W\d])|\s(?=\()|(?<=[A-Za-z%])(?=\()"
    r"|\b(?:because|since|as|which|that|given|where|whereas|while)\b",
    re.IGNORECASE,
)
_DETAIL = re.compile(r"\b(?:after|in|per|for|from|than|when|if|on|at|by|every|each|with|of)\b", re.IGNORECASE)
_CONCLUDED = re.compile(
    r"\b(?:so|thus|hence|therefore|giving|making|meaning|leaving|bringing|rounds? (?:up|down)"
    r"|totall?ing|for a total|in total|altogether|wait|actually|correction"
    r"|sorry|oops|rather|instead|recheck(?:ing)?|double-?check(?:ing)?)\b",
    re.IGNORECASE,
)
_CONTINUED = re.compile(
    r"[,;(\[\s]*(?:(?:or|and|to|maybe|perhaps|possibly|alternatively|otherwise|else|remainder|through)\b|[A-Za-z]\s*=|[-+]?[\d.,/]+[^=\d]*$"
    r"|;[^\d=]*[\d.,/]+[^=\d]*$)",
    re.IGNORECASE,
)
_RATIO = re.compile(
    r"\s*(?:out of|of|in|to|per|over|for every|(?:[^\W\d]+\s+)?(?:multiplied\s+)?by)\s+\d", re.IGNORECASE
)
_COPULA = re.compile(r"\b(?:is|are|equals|be)\b", re.IGNORECASE)
_ALTERNATIVES = re.compile(r"\b(?:or|and(?!\s+(?:an?\s+)?(?:half|third|quarter|fifth)\b))\b", re.IGNORECASE)
_COMPUTED = re.compile(
    r"[-+*/^()!\u221a]|\\[A-Za-z]+|\d\s*x\s*\d|\b(?i:plus|minus|times|divided|of|twice|thrice|double|triple|half)\b"
)
_SAID_AGAIN = re.compile(r"[\s,;]*|.*\b(?:is|are|was|were|equals|be|has|have|so|thus|namely)\b.*", re.IGNORECASE)
"""What may stand between a number and the same number, where nothing is computed with the two."""

_GOES_ON = re.compile(
    r"\.{2}|\s?\u2026|[\u0304\u0305]|\s?[hHrR]\s?\d|\s*[\^\u00b2\u00b3\u00b9\u2070-\u2079_]|(?![mgshlCF]\b)[A-Za-z]\b|\s[kKMBijnpqrtuvwxyz]\b(?!['\u2019])"
    r"|\s*(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore|bn|mn|(?:third|fourth|fifth|sixth|eighth|tenth|hundredth|thousandth)(?=s))s?\b|\s*(?:squared|cubed|factorial)\b"
    r"|\s+and\s+(?:an?\s+)?(?:half|third|quarter|fifth)\b"
)
_EXPRESSION = re.compile(
    r"\\[a-zA-Z]+|[\u221a-\u221c\u03c0]|\d\s?(?:pi|sqrt)\b|\b(?:log|ln|sqrt|cbrt|sin|cos|tan|exp)\b|\broot of\s+\d"
)
_STATED_LATER = re.compile(
    r"(?:(?!\b(?:because|since|as|which|that|given|where|whereas|while|when|if|each|it|this|they)\b)[^.;(\[=])*?"
    r"\b(?:is|are|was|were|has|have|gives?|makes?|equals|totals|leaves?|yields?|gets?|needs?|total\s+of)\s+(?:[^\W\d]+\s+){0,3}(?=[-+.\d])",
    re.IGNORECASE,
)
"""A number that a sentence comes to behind its first one: "3 boxes of 6 gives 18"."""

_NAMED = r"[^\W\d]+(?:\s*:|\s+has|\s+gets)?\s+[-+]?[\d.,]*\d"
_EACH_NAMED = re.compile(rf"\W*{_NAMED}(?:\s+[^\W\d]+)?[,;]\s+(?:and\s+)?{_NAMED}|.*\ba\)\s*\d.*\bb\)\s*\d")
_OF_TWO = re.compile(
    r"\b(?:sum|product|difference|quotient|ratio)\s+(?:of|between)\s+[-+.\d][^=]*\b(?:and|to)\b[^=]*\Z"
)
"""A number for each of several names: "Ann 18, Ben 19"."""


def read(text: str) -> str:
    r"""The one number in a text, in normal form: "1,080.50" gives "1080.5", "6/4" gives "1.5", "1/3" stays "1/3".

    Two texts have the same normal form exactly when their numbers are equal.

    Raises:
        Unreadable: there is none, more than one, or one that is a bound, a guess or a denial.
    """
    if plain := _PLAIN.fullmatch(text) or _GROUPED.fullmatch(text):
        return str(int(plain[1].replace(",", "")))
    if len(text) > LONGEST_TEXT:
        raise Unreadable(f"an answer of more than {LONGEST_TEXT} characters")
    text = one_notation(" ".join(text.split()))
    if not text:
        raise Unreadable("the final answer is empty")
    clause = main_clause(text)
    if clause != text and _NUMBER.search(text.removesuffix(clause)):
        if "=" in clause:
            text = clause
        elif _NUMBER.search(clause):
            raise Unreadable(f"several numbers in the final answer: {text[:60]}")
    if _EACH_NAMED.match(text) or _OF_TWO.search(text):
        raise Unreadable(f"several numbers in the final answer: {text[:60]}")
    statement, explanation = _parted(text)
    values = set()
    for part in _ALTERNATIVES.split(statement):
        if _NUMBER.search(part):
            values.add(_of_statement(part))
    if not values:
        raise Unreadable("no number in the final answer")
    if hedged("", statement[max(map(_end, _NUMBER.finditer(statement))) :]):
        raise Unreadable(f"a bound, a guess or a denial: {text[:60]}")
    if len(values) > 1:
        raise Unreadable(f"several numbers in the final answer: {text[:60]}")
    first = _NUMBER.search(text)
    if first and (result := computed_behind(text[: first.start()], explanation)) and result not in values:
        raise Unreadable(f"several numbers in the final answer: {text[:60]}")
    behind = text[_end(first) :] if first and "=" not in text else ""
    if found := _STATED_LATER.match(behind):
        later = {number[2].rstrip(".,/") for number in _NUMBER.finditer(behind, found.end())}
        if later - values:
            raise Unreadable(f"several numbers in the final answer: {text[:60]}")
    if found := _CONTINUED.match(explanation) or _CONCLUDED.search(explanation):
        later = {number[2].rstrip(".,/") for number in _NUMBER.finditer(explanation, found.start())}
        if later - values:
            raise Unreadable(f"several numbers in the final answer: {text[:60]}")
    return values.pop()


def strictly(text: str) -> str:
    """The number that all of a gold answer is, in normal form; of a solution that ends in the mark
    `####`, what stands after it.

    Raises:
        Unreadable: it is anything else.
    """
    last = text.rpartition("####")[2].strip()
    if text.count("####") > 1:
        raise Unreadable("several marks ####")
    if plain := _PLAIN.fullmatch(last) or _GROUPED.fullmatch(last):
        return str(int(plain[1].replace(",", "")))
    if "\n" in last or len(last) > LONGEST_TEXT:
        raise Unreadable("several lines")
    formula = normal(without_calculator_marks(last))
    found = quantity(formula)
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", "", formula))
    if found is None or len(words) > LONGEST_GOLD_UNIT or hedged(last[:2], " ".join(words)):
        raise Unreadable("it is not a number alone")
    return decimal(found.value)


def decimal(number: Fraction) -> str:
    """A whole number or finite decimal in digits, any other as a fraction in lowest terms."""
    rest, twos, fives = number.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return str(number)
    places = max(twos, fives)
    if not places:
        return str(number.numerator)
    digits = str(abs(number.numerator) * 10**places // number.denominator).rjust(places + 1, "0")
    return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _parted(text: str) -> tuple[str, str]:
    """What is said, and how it is explained after it."""
    first = _NUMBER.search(text)
    at = _end(first) if first else 0
    while found := _EXPLAINED.search(text, at):
        rest = text[found.start() :].lstrip()
        if rest.startswith("("):
            after = rest.partition(")")[2]
            if re.match(r"\s*[-+*/^=]", after) or re.search(r"[-+*/^=(]\s*$", text[: found.start()]):
                at = found.end() + 1  # 2 (3) = 6 is computed with
                continue
        return text[: found.start()].strip(), rest
    return text, ""


def _of_statement(text: str) -> str:
    """The number of a text that is no list, with nothing to explain it."""
    if "=" in text:
        *computed, text = text.split("=")
        left = _COPULA.split(computed[-1])[-1]
        number = _NUMBER.search(left)
        computed_left = number is None or _COMPUTED.search(left.replace(number[0], "", 1))
        if not computed_left and _of_statement(left) != _of_statement(text):
            raise Unreadable(f"several numbers in the final answer: {left.strip()[:30]} = {text.strip()[:30]}")
    if _EXPRESSION.search(text):
        raise Unreadable(f"an expression, not a number: {text[:60]}")
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        raise Unreadable("no number in the final answer")
    if _RATIO.match(text, _end(numbers[0])):
        raise Unreadable(f"two numbers: {text[:60]}")
    detail = _DETAIL.search(text, _end(numbers[0]))
    end = detail.start() if detail else len(text)
    if hedged(text[: numbers[0].start()], text[_end(numbers[0]) : end]):
        raise Unreadable(f"a bound, a guess or a denial: {text[:60]}")
    said = [number for number in numbers if number.start() < end]
    if not all(_SAID_AGAIN.fullmatch(text, _end(one), two.start(2)) for one, two in itertools.pairwise(said)):
        raise Unreadable(f"several numbers in the final answer: {text.strip()[:60]}")
    values = {_value(text, number) for number in said}
    if len(values) > 1:
        raise Unreadable(f"several numbers in the final answer: {text.strip()[:60]}")
    return values.pop()


def _end(found: re.Match[str]) -> int:
    """Where a number ends, without the full stop or comma after it."""
    return found.start(2) + len(found[2].rstrip(".,/"))


def _value(text: str, found: re.Match[str]) -> str:
    sign, digits = found[1], found[2].rstrip(".,/")
    if not sign and re.search(r"-[\s(]+$", text[: found.start()]):
        raise Unreadable(f"is the sign of {digits[:60]} a minus?")
    if _GOES_ON.match(text, _end(found)):
        raise Unreadable(f"the number goes on after {digits[:60]}")
    if len(digits) > LONGEST:
        raise Unreadable(f"a number of more than {LONGEST} digits")
    parts = [_ONE.fullmatch(part) for part in digits.split("/")]
    if len(parts) > 2 or None in parts:
        raise Unreadable(f"not one number: {digits[:60]}")
    number, *divisor = (_exact(part) for part in parts if part)
    if divisor:
        if divisor[0] == 0:
            raise Unreadable(f"divided by zero: {digits}")
        number /= divisor[0]
    return decimal(-number if sign == "-" else number)


def _exact(found: re.Match[str]) -> Fraction:
    number = Fraction(found[1].replace(",", ""))
    exponent = int(found[2] or 0)
    if abs(exponent) > LARGEST_EXPONENT:
        raise Unreadable(f"an exponent of more than {LARGEST_EXPONENT}")
    return number * Fraction(10) ** exponent
