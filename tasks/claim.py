"""Claims: statements with a direction, what the data say of them, and the sentence that tells it with its interval.

A claim holds when its 95 % interval lies above zero and its p-value, adjusted over the claims of its kind (Holm), is
below 5 %; it does not hold when both say the opposite; otherwise it is undecided.
"""

import math
from dataclasses import dataclass, replace

from tasks.phrasing import interval, points, times
from tasks.statistics import Estimate

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Claim:
    """A statement, what the data say of it, and the estimate whose sign decides."""

    kind: str
    text: str
    first: str
    second: str
    estimate: Estimate
    p_holm: float = math.nan
    status: str = "undecided"
    sentence: str = ""


def negative(e: Estimate) -> Estimate:
    return replace(e, value=-e.value, low=-e.high, high=-e.low)


def status_of(estimate: Estimate, p: float) -> str:
    """Whether a claim holds, does not hold or is undecided: interval and adjusted p-value must agree on a sign."""
    if estimate.above and p < SIGNIFICANCE:
        return "holds"
    if estimate.below and p < SIGNIFICANCE:
        return "does not hold"
    return "undecided"


def finding(claim: Claim, status: str, p_holm: float) -> str:
    """What was found, with its interval."""
    found = claim.estimate
    if math.isnan(found.value):
        return "Nothing to compare: there are no items that both sides answered."
    if claim.kind == "perplexity":
        ratio = f"{times(found.value)} the perplexity of {claim.first} ones"
        size = f"{claim.second} responses have {ratio} ({interval(found, times)})"
    elif claim.kind == "gain":
        size = f"{points(found.value, sign=True)} in domain against no training ({interval(found)})"
    elif claim.kind == "loss":
        size = f"{points(-found.value, sign=True)} on the other benchmarks ({interval(negative(found))})"
    else:
        where = "in domain" if claim.kind == "in_domain" else "on the other benchmarks"
        size = f"{claim.first} minus {claim.second}: {points(found.value, sign=True)} {where} ({interval(found)})"
    said = f"{size[0].upper()}{size[1:]}."
    if status == "holds":
        return said
    if status == "does not hold":
        return f"The opposite. {said}"
    if found.above or found.below:
        return f"Not certain enough among so many claims (p = {p_holm:.3f}, Holm). {said}"
    return f"No difference found. {said}"
