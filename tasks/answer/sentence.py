"""The parts of a sentence that an answer stands in: clauses in front of it, and what is computed behind it.

`Since each page has 20 stickers, she has 11 * 20 = 220 stickers`     20 is no answer; what is computed is
"""

import re

_CONNECTIVE = r"(?:(?:so|thus|then|therefore|hence|and|but|finally|now|next)\b,?\s+)*"
_LEADING = re.compile(
    rf"\W*{_CONNECTIVE}(?:since|if|after|before|when|whenever|because|in|for|at(?!\s+(?:least|most|best|worst)\b)|to|from"
    r"|with|without|given|while|although|though|of|on|per|during|\w+ing|out\s+of|once|by|as)\b[^=.;:]*?,\s+(?=[\w$])",
    re.IGNORECASE,
)
_REASON = re.compile(r"\W*(?:since|because)\b", re.IGNORECASE)
_ASIDE = re.compile(r"\W*(?:since|because|as|where|given|that)\b|[(\[;.]", re.IGNORECASE)
"""What explains an answer that begins with its number; a sentence may also say more behind its first number."""

_RESULT = re.compile(r"=\s*[^=\d]{0,3}([-+]?[\d.,/]*\d)[^=]*\Z")
_WORD = re.compile(r"[^\W\d_]{2,}")


def main_clause(text: str) -> str:
    """A sentence without the clauses and details in front of it: `In 5 years, if all goes well, Ann will be 18`."""
    while found := _LEADING.match(text):
        text = text[found.end() :]
    return text


def computed_behind(before: str, explanation: str) -> str:
    """The number that is computed last behind a sentence's first statement, where it may be what is said, or "".

    Args:
        before: the words before the first number.
        explanation: what follows its statement.
    """
    found = _RESULT.search(explanation)
    explains = (_REASON if _WORD.search(before) else _ASIDE).match(explanation)
    return found[1] if found and not explains else ""
