"""The verdict's first sentences: who leads, by how much, and what else must be said with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.comparison.arms import Standing
from tasks.comparison.claim import Claim, negative, status_of
from tasks.comparison.phrasing import interval, listed, percent, points

NOT_IN_DOMAIN = "no arm was evaluated on the benchmark it was trained on"
FEW = 3
"""With so many rivals each is named with its distance; of more, the runner-up and human."""


@dataclass(frozen=True)
class Headline:
    """The answer in a sentence. `leaders` has one origin when it is ahead of every other, else those tied."""

    leaders: tuple[str, ...]
    sentence: str
    details: tuple[str, ...]


def headline(student: str, measure: str, standings: Sequence[Standing], claims: Sequence[Claim]) -> Headline:
    """What the claims say, in short.

    Args:
        standings: best first, of origins alone.
        claims: all of them; the in-domain ones decide.
    """
    absent = [standing.origin for standing in standings if _lacking(standing.origin, claims)]
    standings = [standing for standing in standings if standing.origin not in absent]
    if not standings or math.isnan(standings[0].score.value):
        answer = f"arms of {listed(absent)} are missing" if absent else NOT_IN_DOMAIN
        return Headline((), f"Whose responses {student} learns best from cannot be said: {answer}.", ())
    found = _among(student, measure, standings, claims, "can be judged" if absent else "were studied")
    if not absent:
        return found
    missing = f"Not compared: {listed(absent)}, of which arms are missing."
    return replace(found, details=(missing, *found.details))


def _lacking(origin: str, claims: Sequence[Claim]) -> bool:
    """Whether the origin lacks an arm that its score in domain needs."""
    return any(claim.kind == "gain" and claim.first == origin and claim.lacking for claim in claims)


def _among(student: str, measure: str, standings: Sequence[Standing], claims: Sequence[Claim], alone: str) -> Headline:
    """The headline among origins that have all their arms."""
    best = standings[0]
    leads = {standing.origin: _lead(best.origin, standing.origin, claims) for standing in standings[1:]}
    behind = [origin for origin, lead in leads.items() if lead.status == "holds"]
    tied = [origin for origin in leads if origin not in behind]
    score = f"{percent(best.score.value)} in domain ({interval(best.score, percent)})"
    against_none = _against_none(best, measure, claims)
    if not leads:
        answer = f"Only {best.origin} responses {alone}: trained on them, {student} reaches {score}."
        return Headline((best.origin,), answer, (against_none,))
    named = [origin for origin in behind if len(leads) <= FEW or origin in (next(iter(leads)), "human")]
    above = [f"{points(leads[o].estimate.value)} above {o} ({interval(leads[o].estimate)})" for o in named]
    ahead = listed(above)
    if not tied:
        most = "" if len(named) == len(behind) else f" It is ahead of all {len(leads)} others."
        answer = f"{student} learns best from {best.origin} responses: "
        answer += f"{percent(best.score.value)} in domain, {ahead}.{most}"
        return Headline((best.origin,), answer, (against_none,))
    if len(leads) <= FEW:
        between = f"between {listed([best.origin, *tied])} responses ({'; '.join(_distance(leads[o]) for o in tied)})"
        answer = f"No single winner for {student}: no difference found in domain {between}."
        details = [f"Training on {best.origin} responses scores {ahead}."] if behind else []
    else:
        answer = f"No single winner for {student}: training on {best.origin} responses scores highest, {score}, but "
        apart = [_distance(leads[o]) for o in tied if o in (next(iter(leads)), "human")] or [_distance(leads[tied[0]])]
        answer += f"{_many(tied)} cannot be told apart from it with certainty ({'; '.join(apart)})."
        details = [f"It scores {ahead}."] if named else []
        if behind and len(named) < len(behind):
            details.append(f"It is ahead of {len(behind)} of the {len(leads)} other origins.")
    return Headline((best.origin, *tied), answer, (*details, against_none))


def _many(origins: Sequence[str]) -> str:
    return listed(origins) if len(origins) <= FEW else f"{', '.join(origins[:FEW])} and {len(origins) - FEW} more"


def _distance(lead: Claim) -> str:
    said = f"{lead.first} minus {lead.second}: {points(lead.estimate.value, sign=True)}, {interval(lead.estimate)}"
    return f"{said}, but p = {lead.p_holm:.2f} among all pairs" if lead.estimate.above else said


def _lead(best: str, other: str, claims: Sequence[Claim]) -> Claim:
    """The in-domain claim between two origins, turned so that `best` comes first."""
    for claim in claims:
        if claim.kind == "in_domain" and {claim.first, claim.second} == {best, other}:
            if claim.first == best:
                return claim
            turned = negative(claim.estimate)
            return replace(claim, first=best, second=other, estimate=turned, status=status_of(turned, claim.p_holm))
    raise KeyError(f"no claim between {best} and {other}")


def _against_none(best: Standing, measure: str, claims: Sequence[Claim]) -> str:
    gain = best.gain
    if math.isnan(gain.value):
        return "How that compares with no training is not known: the untrained model was not evaluated."
    status = next(claim.status for claim in claims if claim.kind == "gain" and claim.first == best.origin)
    verb = {"holds": "raises", "does not hold": "lowers"}.get(status, "is not shown to change")
    return (
        f"Training on {best.origin} responses {verb} in-domain {measure} against no training: "
        f"{points(gain.value, sign=True)}, {interval(gain)}."
    )
