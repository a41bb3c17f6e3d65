r"""Choice: the final answer names one option, by its letter or by its text.

    {"gold": "B", "response": "A: 4 + 9 = 13. B: 3 * 5 = 15. … Largest is 15.\nFinal answer: B"}    correct, answer "B"

The letter is read from where the final answer stands (`tasks.answer`), as `B`, `b`, `(B)`, `B) 15`, `B.`,
`option B`, `B because …`, or before its option's text (`B dog`). A letter is never taken from inside a word, and the
word "a" is no option. Where the row has `options` (a list of texts, or texts by letter or number), the text of one
option is read as its letter, and a letter beside the text of another option is unparseable, as are two letters and a
denied one ("B is wrong"). Without `options`, letters go from A to E.

A response that marks no answer counts only when all of it is one option (its letter, its text, or both), or when its
last sentence chooses one ("So option B is correct.", "I choose B."). "B, not A" names B. Options of the same text are
told apart by their letters only; the text alone is right where the gold answer has it.
"""

import functools
import re
import string
from collections.abc import Mapping
from typing import Any

from data.row_contract import ListColumn
from tasks.answer.final_answer import NO_ANSWER, final_answer, unmarked
from tasks.kinds.verifiers import Verdict
from tasks.verifiers.exact import normal, unwrapped

COLUMN = ListColumn("options")

LETTERS = "ABCDE"
"""The options of a row that does not list its own."""

_WORD = r"(?:it(?:\s+is|'s)\s+)?(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:option|choice|letter|number|answer)?\s*#?"
_SEPARATORS = "().[]:,;=- \u2013\u2014\"'`*_"
_ASIDE = re.compile(r"\s*(?:[.,;(\n]|\s[-\u2013\u2014]\s|\b(?:because|since|as|which|so)\b)")
_BEHIND = re.compile(r"(?:\s*[(\[](?:option\s+)?|,\s+option\s+\(?)(?P<letter>[A-Z]|\d{1,2})[)\]]?[.:]?$", re.IGNORECASE)
_JOINED = re.compile(r"\b(?:or|and)\s+([^.,;]+)")
_REASON = re.compile(r"\b(?:because|since)\b")
_BOLD = re.compile(r"(?<!\w)\*\*(?=\S)|(?<=\S)\*\*(?!\w)")
_ARTICLE = re.compile(r"(?:the|an?)\s+")
_DENIED = re.compile(
    r"\b(?:not|never|cannot|wrong|incorrect|false|impossible|unlikely|worst|least\s+(?:likely|suitable|correct)"
    r"|excluded|eliminated|ruled\s+out)\b|n['\u2019]t\b"
)


def judge(response: str, row: dict[str, Any]) -> Verdict:
    """Judge by the option named. Needs `gold` in the row, and fails when that is no option's letter or text."""
    options = _options(row.get("options"))
    gold = _gold(row["gold"], options)
    answer = final_answer(response)
    bare = _bare(unmarked(response))
    if answer is None or _begins_with_first_letter(bare, options):
        chosen = _chosen(bare, options)
        if not chosen and not _is_option(bare, options):
            return Verdict("unparseable", None, NO_ANSWER)
        answer = chosen or bare
    named, why = read(_bare(answer), options)
    if not named:
        return Verdict("unparseable", None, why)
    if named == gold or (len(named) == 1 and named <= gold):
        return Verdict("correct", min(named))
    twins = {letter for letter in options if options[letter] and options[letter] == options[min(gold)]}
    if len(named) > 1 or named <= twins:
        if named == twins:
            return Verdict("correct", min(gold))
        return Verdict("unparseable", None, f"options of the same text: {', '.join(sorted(twins | named))}")
    return Verdict("wrong", min(named))


def read(text: str, options: Mapping[str, str]) -> tuple[frozenset[str], str]:
    """The option a text names (several only where they have the same text), or none and why not.

    `options` are normal texts by letter, "" where unknown.
    """
    nothing: frozenset[str] = frozenset()
    if not text:
        return nothing, "the final answer is empty"
    said = _with_text(normal(text), options)
    forms = _forms(tuple(options))
    alone = forms[0].fullmatch(text)
    if alone and said and alone["letter"].upper() in options and alone["letter"].upper() not in said:
        return nothing, f"the letter of one option and the text of another: {text[:60]}"
    if said and _may_be_article(text, said, options):
        return nothing, f"the letter A, or an article: {text[:60]}"
    if said and not (alone and alone["letter"].upper() in options):
        return said, ""
    behind = _BEHIND.search(text)
    if behind and behind["letter"].upper() in _with_text(normal(text[: behind.start()]), options):
        return frozenset({behind["letter"].upper()}), ""
    found = next((match for form in forms if (match := form.fullmatch(text))), None)
    if found is None:
        return nothing, f"no option in the final answer: {text[:60]}"
    letter = found["letter"].upper()
    if letter not in options:
        return nothing, f"{letter} is no option; there are {', '.join(options)}"
    return _checked(letter, text[found.end("letter") :], found.re is forms[-1], options)


def _checked(letter: str, rest: str, needs_text: bool, options: Mapping[str, str]) -> tuple[frozenset[str], str]:
    """The letter, unless what follows it denies it, names another option, or is not the text that it needs."""
    nothing: frozenset[str] = frozenset()
    rest = _without_denied_others(rest, letter, options)
    behind, rest = rest, rest.strip(_SEPARATORS)
    beside = _with_text(normal(rest), options)
    if not beside and (aside := _ASIDE.search(rest)):
        beside = _with_text(normal(rest[: aside.start()]), options)
    if beside and letter not in beside:
        return nothing, f"{letter} stands beside the text of {', '.join(sorted(beside))}"
    if beside and normal(rest) == options[letter]:
        return frozenset({letter}), ""
    if needs_text and not beside and rest:
        return nothing, f"no option in the final answer: {letter} {rest[:60]}"
    others = {found.upper() for found in _another(tuple(options)).findall(_REASON.split(behind)[0])} - {letter}
    if others:
        return nothing, f"several options in the final answer: {', '.join([letter, *sorted(others)])}"
    for joined in _JOINED.finditer(behind):
        if (named := _with_text(normal(joined[1]), options)) and letter not in named:
            return nothing, f"several options in the final answer: {', '.join([letter, *sorted(named)])}"
    aside = _ASIDE.search(rest)
    if _DENIED.search(rest[: aside.start()] if aside else rest):
        return nothing, f"the option is denied: {letter} {rest[:60]}"
    return frozenset({letter}), ""


@functools.lru_cache(maxsize=256)
def _forms(letters: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """How an option is named, alone first; last a letter with its text behind it, which has to be checked."""
    either = rf"(?P<letter>{_any(letters, also_others=True)})"
    upper = rf"(?P<letter>{_any(letters, also_others=False)})"
    return (
        re.compile(rf"{_WORD}[(\[{{]*{either}[)\]}}]*[.:;!]*[)]?", re.IGNORECASE),
        re.compile(rf"{_WORD}(?:[(\[](?=\w+[)\]]))?{either}[)\]].*", re.IGNORECASE | re.DOTALL),
        re.compile(rf"(?i:{_WORD}){upper}(?:[.:,;]|\s+[-\u2013\u2014=])\s.*", re.DOTALL),
        re.compile(rf"(?i:(?:the\s+)?(?:option|choice|letter|number)\s+#?){either}\b.*", re.DOTALL | re.IGNORECASE),
        re.compile(rf"{upper}(?:[.:](?=[^\W\d]{{2}})|\s*[^\w\s.,;:!?()\[\]/&+|~\-\u2192\"'$\\]+\Z).*", re.DOTALL),
        re.compile(rf"{upper}\s+(?:because|since|as|is|which|has)\b.*", re.DOTALL),
        re.compile(rf"(?i:{_WORD}){upper}\s+\S.*", re.DOTALL),
    )


@functools.lru_cache(maxsize=256)
def _another(letters: tuple[str, ...]) -> re.Pattern[str]:
    words = r"\b(?i:or|and|not|nor|with|plus|also|than|either|maybe|perhaps|as\s+well\s+as)\s+"
    named = rf"(?:{words}|[,;|/&+\u2192]\s*|[)\]]\s*(?=[(\[]))(?i:option\s+|choice\s+)?"
    return re.compile(rf"{named}[(\[]?({_any(letters, also_others=False)})(?!\w)")


def _without_denied_others(text: str, letter: str, options: Mapping[str, str]) -> str:
    """The words behind a letter without those that say of another one that it is not the answer."""
    return _denied_option(tuple(options)).sub(
        lambda found: found[0] if (found["not"] or found["wrong"]).upper() == letter else " ", text
    )


@functools.lru_cache(maxsize=256)
def _denied_option(letters: tuple[str, ...]) -> re.Pattern[str]:
    """`, not A` and `. A is wrong`."""
    either = _any(letters, also_others=False)
    return re.compile(
        rf"[\s,(]*(?:and\s+|but\s+)?\b(?:not|rather\s+than|instead\s+of)\s+(?i:option\s+|choice\s+)?"
        rf"[(\[]?(?P<not>{either})[)\]]?(?!\w)"
        rf"|(?<=[.;\n])\s*(?i:option\s+)?[(\[]?(?P<wrong>{either})[)\]]?"
        r"\s+(?:is|was)\s+(?:wrong|incorrect|false|not)\b.*",
        re.DOTALL,
    )


def _may_be_article(text: str, said: frozenset[str], options: Mapping[str, str]) -> bool:
    """Whether the `A` before the text of another option may be the letter: `A dog`."""
    is_text = any(options[letter] == normal(text) for letter in said)
    return text.startswith("A ") and "A" in options and "A" not in said and not is_text


def _chosen(text: str, options: Mapping[str, str]) -> str:
    """The letter of a last sentence like "So option B is correct." or "I choose B.", or ""."""
    found = _choosing(tuple(options)).search(text)
    return found["one"] or found["two"] if found else ""


@functools.lru_cache(maxsize=256)
def _choosing(letters: tuple[str, ...]) -> re.Pattern[str]:
    upper = _any(letters, also_others=False)
    return re.compile(
        rf"(?:\A|[.!?\n]\s*)(?i:(?:so|thus|hence|therefore)\b,?\s*)?"
        rf"(?:(?i:(?:the\s+)?(?:option|choice|answer)\s+)?[*(\[]*(?P<one>{upper})[*)\]]*"
        r"\s+is\s+(?:therefore\s+|thus\s+)?"
        rf"(?:correct|right|the\s+(?:correct|right|best)(?:\s+(?:answer|option|choice|one))?)"
        rf"|I(?:\s+would|'d|\u2019d|\s+will)?\s+(?:choose|pick|select|go\s+with)\s+(?i:(?:option|choice|answer)\s+)?"
        rf"[*(\[]*(?P<two>{upper})[*)\]]*)[.!*]*\s*\Z"
    )


def _any(letters: tuple[str, ...], also_others: bool) -> str:
    """A pattern for one of the letters or numbers; `also_others`: or for any one letter, which is then no option."""
    longest_first = sorted(letters, key=len, reverse=True)
    return "|".join([*map(re.escape, longest_first), *(["[A-Za-z]"] if also_others else [])])


def _is_option(text: str, options: Mapping[str, str]) -> bool:
    """Whether all of a text is an option's letter, its text, or its letter with its own text behind it."""
    forms = _forms(tuple(options))
    if forms[0].fullmatch(text) or _with_text(normal(text), options):
        return True
    found = next((match for form in forms[1:] if (match := form.fullmatch(text))), None)
    if found is None or (letter := found["letter"].upper()) not in options:
        return False
    return normal(text[found.end("letter") :].strip(_SEPARATORS)) == options[letter] != ""


def _begins_with_first_letter(text: str, options: Mapping[str, str]) -> bool:
    """Whether a text of one line begins with `A:`, which is an option where A is one, and not the mark of an answer."""
    return "A" in options and bool(options["A"]) and "\n" not in text and bool(re.match(r"A[:.]\s", text))


def _with_text(text: str, options: Mapping[str, str]) -> frozenset[str]:
    """The options that have a normal text, word for word, or else but for an article in front."""
    exactly = frozenset(letter for letter, option in options.items() if option and option == text)
    bare = _ARTICLE.sub("", text, count=1)
    return exactly or frozenset(
        letter for letter, option in options.items() if option and _ARTICLE.sub("", option, count=1) == bare
    )


def _options(given: Any) -> dict[str, str]:
    """Normal texts by letter or number."""
    if given is None:
        return dict.fromkeys(LETTERS, "")
    if isinstance(given, Mapping) and set(given) == {"label", "text"}:
        given = dict(zip(given["label"], given["text"], strict=True))
    if not isinstance(given, Mapping):
        if isinstance(given, str) or not given or len(given) > len(string.ascii_uppercase):
            raise ValueError(f"options are a list of 1 to 26 texts or texts by letter, not {given!r:.200}")
        given = dict(zip(string.ascii_uppercase, given, strict=False))
    options = {str(letter).strip().upper(): str(text) for letter, text in given.items() if text is not None}
    if len(options) < sum(text is not None for text in given.values()):
        raise ValueError(f"options have letters that are the same but for case: {', '.join(map(str, given))}")
    if not options or not all(re.fullmatch(r"[A-Z]|\d{1,2}", letter) for letter in options):
        raise ValueError(f"options are texts by letter or number (A, B, … or 1, 2, …), not {given!r:.200}")
    named = [re.match(rf"\s*[(\[]?{letter}[)\].:]\s*(?=\S)", text) for letter, text in options.items()]
    if all(named):  # each text begins with its own letter: A) cat
        options = {
            letter: text[name.end() :] for (letter, text), name in zip(options.items(), named, strict=True) if name
        }
    return {letter: normal(text) for letter, text in options.items()}


def _gold(gold: str, options: Mapping[str, str]) -> frozenset[str]:
    """The letter of a gold answer; of a text that several options have, all their letters."""
    by_text = _with_text(normal(gold), options)
    bare = _bare(gold).strip("().[]: ").upper()
    by_letter = frozenset({bare} & set(options))
    if by_text and by_letter and not by_letter <= by_text:
        raise ValueError(f"the gold answer {gold!r} is the letter of one option and the text of another")
    if not by_text and not by_letter:
        raise ValueError(f"the gold answer {gold!r} is no option; there are {', '.join(options)}")
    return by_letter or by_text


def _bare(text: str) -> str:
    return _BOLD.sub("", unwrapped(text)).strip("\"'`*_ \t\n$")
