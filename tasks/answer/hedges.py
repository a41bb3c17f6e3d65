"""Words and signs that make a number a bound, a guess or a denial: "at least 18", "not 10", "18 or so"."""

import re

_WORDS = (
    r"\b(?:not|never|neither|nor|cannot|unknown|undefined|impossible|wrong|incorrect|no (?:more|less|fewer)|up to"
    r"|at (?:least|most|best|worst)|(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger|rather|other) than"
    r"|about|(?<!\\)approx(?:\.|imately)?|roughly|nearly|almost|circa|close to|between|either|estimated?|ranges?"
    r"|exceeds?|maybe|perhaps|possibly|probably|unless|except|excluding|instead of|guess(?:ing|ed)?|unsure)\b"
    r"|n['\u2019]t\b"
)
_SIGNS = r"[<>~\u2248\u2243\u2245\u2264\u2265\u2260\u00b1]|\\(?:approx|sim|simeq|cong|le|ge|ne|pm|mp|lt|gt)(?![A-Za-z])"
_RIGHT_BEFORE = (
    r"\b(?:over|under|above|below|beyond|around|some|past|minus|negative|(?:may|might|could)(?: well)? (?:be|equal)"
    r"|(?:minimum|maximum|max|upwards|excess)(?: of)?|as (?:many|much|few|little|high|low|early|late) as"
    r"|(?:anything|all) but|(?:twice|thrice|double|triple|(?:a |one )?(?:half|third|quarter|fifth|tenth))(?: of| the)?)"
    r"\s+[-+$\u20ac\u00a3\u00a5\u20b9\s]*"
)
_OR_SO = (
    r"\b(?:or|\\lor) ?(?:so|more|less|fewer|greater|higher|lower|above|below|under|over|later|earlier|thereabouts)\b"
    r"|\band (?:above|below|over|under|up|more|counting)\b|\bgive or take\b|\bplus or minus\b"
)
_BEFORE = re.compile(rf"{_WORDS}|{_SIGNS}|{_RIGHT_BEFORE}$", re.IGNORECASE)
_AFTER = re.compile(
    rf"^\s?\+(?!\s*\d)|^\s*(?:{_SIGNS})|{_OR_SO}|\b(?:approx(?:\.|imately)?|roughly)\b"
    r"|\bat (?:(?:the |a )?(?:very )?(?:least|most|earliest|latest|minimum|maximum|best|worst))\b"
    r"|^\s*(?:max(?:imum)?|minimum)\b"
    r"|\bnot\b|n['\u2019]t\b|\bcannot\b|\b(?:wrong|incorrect|impossible|false)\b|\\(?:pm|mp)(?![A-Za-z])|-?ish\b",
    re.IGNORECASE,
)
_ANYWHERE = re.compile(
    rf"{_WORDS}|{_OR_SO}|{_RIGHT_BEFORE}(?=\d)|^\s*~|^\s*\\(?:approx|sim)(?![A-Za-z])", re.IGNORECASE
)


def hedged(before: str, after: str = "") -> bool:
    """Whether what stands before a number, or right after it, makes it no answer."""
    return bool(_BEFORE.search(before) or _AFTER.search(after))


def hedged_anywhere(text: str) -> bool:
    """Whether a text of which nothing is an explanation has words that make it no answer."""
    return _ANYWHERE.search(text) is not None
