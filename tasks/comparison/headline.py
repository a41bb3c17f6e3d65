"""The verdict's first sentences: who leads, by how much, and what else must be said with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.comparison.arms import Standing
from tasks.comparison.claim import HOLDS, REFUTED, Claim, negative, status_of
from tasks.comparison.phrasing import interval, listed, percent, points
from tasks.comparison.wording import Wording

NOT_IN_DOMAIN = "no arm was evaluated on the benchmark it was trained on"
NONE_RIGHT = "no arm answers any question right in domain"
FEW = 3
"""With so many rivals each is named with its distance; of more, the runner-up and human."""


@dataclass(frozen=True)
class Headline:
    """The answer in a sentence. `leaders` has one arm when it is ahead of every other, else those tied."""

    leaders: tuple[str, ...]
    sentence: str
    details: tuple[str, ...]


def headline(
    student: str, measure: str, standings: Sequence[Standing], claims: Sequence[Claim], wording: Wording
) -> Headline:
    """What the claims say, in short.

    Args:
        standings: best first, of competing arms alone.
        claims: all of them; the in-domain ones decide.
    """
    absent = [standing.arm for standing in standings if _lacking(standing.arm, claims)]
    standings = [standing for standing in standings if standing.arm not in absent]
    known = standings and not math.isnan(standings[0].score.value)
    if not known or standings[0].score.value == 0:
        answer = NONE_RIGHT if known else wording.incomplete(absent) if absent else NOT_IN_DOMAIN
        asked = f"Which arm is best for {student}" if wording.by_name else f"Whose responses {student} learns best from"
        return Headline((), f"{asked} cannot be said: {answer}.", ())
    found = _Words(student, measure, wording).among(standings, claims, bool(absent))
    if not absent:
        return found
    missing = f"Not compared: {listed(absent)}, of which {'adapters' if wording.by_name else 'arms'} are missing."
    return replace(found, details=(missing, *found.details))


def _lacking(arm: str, claims: Sequence[Claim]) -> bool:
    """Whether something is missing that the arm's score in domain needs."""
    return any(claim.kind == "gain" and claim.first == arm and claim.lacking for claim in claims)


@dataclass(frozen=True)
class _Words:
    """The headline's sentences about one student."""

    student: str
    measure: str
    wording: Wording

    def among(self, standings: Sequence[Standing], claims: Sequence[Claim], some_missing: bool) -> Headline:
        """The headline among arms that lack nothing, best first."""
        best = standings[0]
        leads = {standing.arm: _lead(best.arm, standing.arm, claims) for standing in standings[1:]}
        behind = [arm for arm, lead in leads.items() if lead.status == HOLDS]
        tied = [arm for arm in leads if arm not in behind]
        against_none = (self._against_none(best, claims), *self._elsewhere(best, tied, claims))
        if not leads:
            return Headline((best.arm,), self._only(best, some_missing), against_none)
        named = [arm for arm in behind if len(leads) <= FEW or arm in (next(iter(leads)), "human")]
        above = [f"{points(leads[arm].estimate.value)} above {arm} ({interval(leads[arm].estimate)})" for arm in named]
        ahead = listed(above)
        if not tied:
            most = "" if len(named) == len(behind) else f" It is ahead of all {len(leads)} others."
            answer = f"{self._wins(best, claims)}: {percent(best.score.value)} in domain, {ahead}.{most}"
            return Headline((best.arm,), answer, against_none)
        if len(leads) <= FEW:
            between = self.wording.together([best.arm, *tied])
            apart = "; ".join(_distance(leads[arm]) for arm in tied)
            answer = f"No single winner for {self.student}: no difference found in domain between {between} ({apart})."
            details = [f"{self.wording.training(best.arm)} scores {ahead}."] if behind else []
        else:
            answer = self._one_of_many(best, leads, tied)
            details = [f"It scores {ahead}."] if named else []
            if behind and len(named) < len(behind):
                details.append(f"It is ahead of {len(behind)} of the {len(leads)} other {self.wording.kind}s.")
        return Headline((best.arm, *tied), answer, (*details, *against_none))

    def _wins(self, best: Standing, claims: Sequence[Claim]) -> str:
        gained = any(claim.kind == "gain" and claim.status == HOLDS for claim in claims)
        if not gained and not math.isnan(best.gain.value):
            ahead = f"arm {best.arm} is" if self.wording.by_name else f"{best.arm} responses are"
            return f"No training is shown to help {self.student}; {ahead} ahead of the others"
        if self.wording.by_name:
            return f"Arm {best.arm} is best for {self.student}"
        return f"{self.student} learns best from {best.arm} responses"

    def _only(self, best: Standing, some_missing: bool) -> str:
        score = _in_domain(best)
        if self.wording.by_name:
            alone = "can be judged" if some_missing else "was studied"
            return f"Only arm {best.arm} {alone}: with it, {self.student} reaches {score}."
        alone = "can be judged" if some_missing else "were studied"
        return f"Only {best.arm} responses {alone}: trained on them, {self.student} reaches {score}."

    def _one_of_many(self, best: Standing, leads: Mapping[str, Claim], tied: Sequence[str]) -> str:
        training = self.wording.training(best.arm)
        apart = [_distance(leads[arm]) for arm in tied if arm in (next(iter(leads)), "human")]
        return (
            f"No single winner for {self.student}: {training[0].lower()}{training[1:]} scores highest, "
            f"{_in_domain(best)}, but {_many(tied)} cannot be told apart from it with certainty "
            f"({'; '.join(apart or [_distance(leads[tied[0]])])})."
        )

    def _against_none(self, best: Standing, claims: Sequence[Claim]) -> str:
        gain = best.gain
        if math.isnan(gain.value):
            return "How that compares with no training is not known: the untrained model was not evaluated."
        status = next(claim.status for claim in claims if claim.kind == "gain" and claim.first == best.arm)
        verb = {HOLDS: "raises", REFUTED: "lowers"}.get(status, "is not shown to change")
        return (
            f"{self.wording.training(best.arm)} {verb} in-domain {self.measure} against no training: "
            f"{points(gain.value, sign=True)}, {interval(gain)}."
        )

    def _elsewhere(self, best: Standing, tied: Sequence[str], claims: Sequence[Claim]) -> list[str]:
        """What the best one costs on the other benchmarks, and which of those tied with it costs another amount."""
        if math.isnan(best.elsewhere.value):
            return []
        status = next((claim.status for claim in claims if claim.kind == "loss" and claim.first == best.arm), None)
        verb = {HOLDS: "costs", REFUTED: "raises"}.get(status or "", "is not shown to cost")
        change = f"{points(best.elsewhere.value, sign=True)}, {interval(best.elsewhere)}"
        said = [f"It {verb} {self.measure} on the other benchmarks: {change}."]
        for arm in tied[:FEW]:
            apart = _claim_between(best.arm, arm, claims, "elsewhere")
            if apart is not None and apart.status in (HOLDS, REFUTED):
                more, by = ("more", apart.estimate) if apart.status == HOLDS else ("less", negative(apart.estimate))
                said.append(f"There it leaves {points(by.value)} {more} than {arm} does ({interval(by)}).")
        return said


def _in_domain(standing: Standing) -> str:
    return f"{percent(standing.score.value)} in domain ({interval(standing.score, percent)})"


def _many(arms: Sequence[str]) -> str:
    return listed(arms) if len(arms) <= FEW else f"{', '.join(arms[:FEW])} and {len(arms) - FEW} more"


def _distance(lead: Claim) -> str:
    said = f"{lead.first} minus {lead.second}: {points(lead.estimate.value, sign=True)}, {interval(lead.estimate)}"
    return f"{said}, but p = {lead.p_holm:.2f} among all pairs" if lead.estimate.above else said


def _lead(best: str, other: str, claims: Sequence[Claim]) -> Claim:
    """The in-domain claim between two arms, turned so that `best` comes first."""
    found = _claim_between(best, other, claims, "in_domain")
    if found is None:
        raise KeyError(f"no claim between {best} and {other}")
    return found


def _claim_between(best: str, other: str, claims: Sequence[Claim], kind: str) -> Claim | None:
    """The claim of a kind between two arms, turned so that `best` comes first; None where there is none."""
    for claim in claims:
        if claim.kind == kind and {claim.first, claim.second} == {best, other}:
            if claim.first == best:
                return claim
            turned = negative(claim.estimate)
            return replace(claim, first=best, second=other, estimate=turned, status=status_of(turned, claim.p_holm))
    return None
