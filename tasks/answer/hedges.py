"""Words and signs that make a number a bound, a guess or a denial, and no answer: "at least 18", "not 10", "18 or so"."""

import re

_BEFORE = re.compile(
    r"\b(?:not|never|neither|nor|cannot|unknown|undefined|impossible|wrong|incorrect|at least|at most|at best|at worst|up to"
    r"|(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger|better|worse|rather|other) than|no (?:more|less|fewer)"
    r"|about|approx(?:\.|imately)?|roughly|nearly|almost|circa|close to|between|either|estimated?|ranges?|exceeds?"
    r"|maybe|perhaps|possibly|probably|unless|except|excluding|instead of|guess(?:ing|ed)?|unsure)\b"
    r"|n't\b|n\u2019t\b|[<>~\u2248\u2243\u2245\u2264\u2265\u2260\u00b1]|\\(?:approx|sim|simeq|cong|le|ge|ne|pm|mp|lt|gt)(?![A-Za-z])",
    re.IGNORECASE,
)
_RIGHT_BEFORE = re.compile(r"\b(?:over|under|above|below|beyond|around|some|past|(?:may|might|could)(?: well)? (?:be|equal))\s+[-+$\u20ac\u00a3\u00a5\u20b9\s]*$", re.IGNORECASE)
_AFTER = re.compile(
    r"^\s?\+(?!\s*\d)|^\s*[<>\u2264\u2265\u00b1~]|\bor (?:so|more|less|fewer|greater|higher|lower|above|below|under|over|later|earlier)\b"
    r"|\band (?:above|below|over|under|up|more|counting)\b|\bat (?:least|most)\b|\b(?:approx(?:\.|imately)?|roughly|or thereabouts)\b"
    r"|\bgive or take\b|\bplus or minus\b|\bnot\b|n't\b|n\u2019t\b|\bcannot\b|\b(?:wrong|incorrect|impossible|false)\b|\\(?:pm|mp)(?![A-Za-z])"
    r"|-?ish\b",
    re.IGNORECASE,
)


def hedged(before: str, after: str = "") -> bool:
    """Whether what stands before a number, or right after it, makes it no answer."""
    return bool(_BEFORE.search(before) or _RIGHT_BEFORE.search(before) or _AFTER.search(after))
