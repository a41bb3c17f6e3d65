"""Mix the responses of several origins, by share of the questions."""

import random
from collections import Counter
from collections.abc import Mapping

from tasks.no_response import is_missing
from tasks.rows import Row, Rows
from tasks.stage import Work, stage


@stage()
def mix(sources: dict[str, Rows], shares: Mapping[str, float], seed: int, *, work: Work) -> list[Row]:
    """Each question's responses, all of one origin drawn by share.

    A question that the origin drawn has no response to is left out, so that a mixture is never filled up with whoever
    answers most.

    Args:
        sources: responses by origin; `shares` has a number above 0 for each.

    Facts: `questions` by origin.
    """
    names = sorted(sources)
    weights = [shares[name] for name in names]
    drawn: dict[str, str] = {}
    taken: Counter[str] = Counter()
    rows: list[Row] = []
    for name in names:
        answered = set()
        for row in sources[name]:
            # Drawn by the id alone: the same whichever origins have a response to it.
            if row["id"] not in drawn:
                drawn[row["id"]] = random.Random(f"mixture {seed} {row['id']}").choices(names, weights)[0]
            if drawn[row["id"]] == name:
                rows.append(row)
                if not is_missing(row):
                    answered.add(row["id"])
        taken[name] = len(answered)
    work.facts["questions"] = dict(taken)
    return sorted(rows, key=lambda row: (str(row["id"]), row["sample"]))
