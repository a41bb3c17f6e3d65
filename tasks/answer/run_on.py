r"""Where a response runs on into another question, as a model does that was shown questions one after another.

She has 3 left. The answer is 3.

Q: Ben has 5 cups …            from here on it answers something else
"""

import re

_HEADER = re.compile(
    r"""\n[ \t>*#_]*
    (?:
      (?:next\s+|new\s+|another\s+)?
      (?:q|question|problem|passage|context|premise|hypothesis|exercise|puzzle|riddle|instruction|instructions|query
        |paragraph|article|story|prompt|input|task|user|human|sentence|example|statement|options|choices|text)
      \s*(?:\#?\d+|\([a-z\d]\))?[*_ \t]*[:\uff1a]
    | (?:question|problem|exercise|example|task|q)\s*\#?\d+\s*(?:[.)\]\u2013\u2014-]|[*_]*\n)
    | \#{1,3}\s*(?:instruction|question|problem|input|user|human|next\s+\w+)\b
    | (?:next|new|another)\s+(?:question|problem|exercise)\b
    | -{3,}\s*(?:end|new|next)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_NUMBERED = re.compile(r"(?:^|\n)[ \t>*#_]*(?:sub-?)?(?:question|problem|task|q)\s*\#?\d", re.IGNORECASE)


_BARE = re.compile(
    r"(?!\s*(?:sure|ok|okay|certainly|of\s+course|let|here|solution|yes,|well)\b)(?!.*\b(?:question|problem|answer|step)\b)"
    r"\s*\S+(?:[ \t]+\S+){0,5}\s*(?<!:)",
    re.IGNORECASE,
)
"""A short line that may be a whole answer, as a model gives it whose prompt ends in `Answer:`."""


def bare_end(text: str) -> int | None:
    """Where another question begins behind a short first line, which then is all of the answer, or None."""
    found = _HEADER.search(text, len(text) - len(text.lstrip()) + 1)
    return found.start() if found and _BARE.fullmatch(text, 0, found.start()) else None


def run_on(text: str, after: int) -> int | None:
    """Where another question begins in a text, behind place `after`; None where none does.

    A response that numbers the questions it divides its own into (`Question 1: …`) before that place does not run on.
    """
    found = _HEADER.search(text, after)
    if found is None or (_NUMBERED.search(text[:after]) and _NUMBERED.match(text, found.start())):
        return None
    return found.start()
