"""Verdict: from paired comparisons, the answer to "whose responses does this model learn best from?"

Every claim is a sentence with a direction (`status_of` says when it holds). Where origins can be ordered by the
student's perplexity, the claims take the direction of the familiarity hypothesis (Ren et al. 2024): what the student
finds more familiar teaches it more and makes it forget less.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from tasks.cell import UNTRAINED, Arm
from tasks.claim import Claim, finding, negative, status_of
from tasks.phrasing import interval, listed, percent, points
from tasks.statistics import Estimate, Resampled, Term, holm

FROM_FAMILIAR = ("self", "minimum_change", "rewrite", "teacher", "", "human")
"""How familiar origins of these names are expected to be to the student, most first; "" stands for any other name."""


@dataclass(frozen=True)
class Standing:
    """One origin on some training benchmarks: accuracy in domain, its change, the others' change, log-perplexity."""

    origin: str
    train_benchmarks: tuple[str, ...]
    score: Estimate
    gain: Estimate
    elsewhere: Estimate
    log_perplexity: Estimate


@dataclass(frozen=True)
class Verdict:
    """The answer for one student and method.

    `leaders` has one origin when it is ahead of every other, else those tied for the lead. `train_benchmarks` are those
    every origin has, over which `standings` are pooled; `arms` are the standings on each benchmark alone. `seeds` is
    the least number of seeds an arm has.
    """

    student: str
    method: str
    sentence: str
    details: tuple[str, ...]
    leaders: tuple[str, ...]
    train_benchmarks: tuple[str, ...]
    left_out: tuple[str, ...]
    seeds: int
    untrained: Estimate
    standings: tuple[Standing, ...]
    arms: tuple[Standing, ...]
    claims: tuple[Claim, ...]


def verdicts(
    sample: Resampled, familiarity: Resampled, arms: Iterable[Arm], benchmarks: Sequence[str]
) -> list[Verdict]:
    """One verdict for each student and method.

    Args:
        sample: scores by (`Arm`, evaluation benchmark).
        familiarity: log-perplexities by ((student, origin), training benchmark).
        arms: all arms that were planned.
        benchmarks: all evaluation benchmarks.
    """
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        groups.setdefault((arm.student, arm.method), []).append(arm)
    return [_Judge(sample, familiarity, group, benchmarks).verdict() for _, group in sorted(groups.items())]


class _Judge:
    """The contrasts of one student and method."""

    def __init__(self, sample: Resampled, familiarity: Resampled, arms: list[Arm], benchmarks: Sequence[str]) -> None:
        self.sample = sample
        self.familiarity = familiarity
        self.student, self.method = arms[0].student, arms[0].method
        self.benchmarks = benchmarks
        self.planned = sorted({arm.train_benchmark for arm in arms})
        self.arms = {(arm.origin, arm.train_benchmark): arm for arm in arms}
        self.base = arms[0].untrained
        scored = {origin: self._trained_on(origin) for origin in sorted({arm.origin for arm in arms})}
        self.origins = [origin for origin, trained in scored.items() if trained]
        common = set(self.planned).intersection(*scored.values()) if self.origins else set()
        self.trained = sorted(set(self.planned).intersection(*(scored[origin] for origin in self.origins)) or common)

    def _trained_on(self, origin: str) -> set[str]:
        return {t for t in self.planned if (origin, t) in self.arms and self.sample.has(self.arms[origin, t], t)}

    def verdict(self) -> Verdict:
        standings = sorted((self._standing(origin, self.trained) for origin in self.origins), key=_by_score)
        arms = [self._standing(origin, [on]) for on in self.planned for origin in self.origins]
        claims = self._claims()
        leaders, sentence, details = self._headline(standings, claims)
        in_domain = [self.sample.scores[self.arms[o, t], t] for o in self.origins for t in self._trained_on(o)]
        return Verdict(
            self.student,
            self.method,
            sentence,
            details,
            leaders,
            tuple(self.trained),
            tuple(sorted(set(self.planned) - set(self.trained))),
            min((len(scores) for scores in in_domain), default=0),
            self._pooled([Term(self.base, on) for on in self.trained]),
            tuple(standings),
            tuple(arms),
            tuple(claims),
        )

    def _standing(self, origin: str, trained: Sequence[str]) -> Standing:
        arms = [(self.arms[origin, on], on) for on in trained if (origin, on) in self.arms]
        return Standing(
            origin,
            tuple(trained),
            self._pooled([Term(arm, on) for arm, on in arms]),
            self._pooled([Term(arm, on, minus=self.base) for arm, on in arms]),
            self._elsewhere([origin], trained=trained),
            self._perplexity([origin], trained=trained),
        )

    def _pooled(self, terms: list[Term], sample: Resampled | None = None) -> Estimate:
        """The plain mean of the terms: every training benchmark weighs the same."""
        return (sample or self.sample).estimate([replace(t, weight=t.weight / len(terms)) for t in terms])

    def _gain(self, origins: Sequence[str], minus: str = UNTRAINED) -> Estimate:
        """In-domain accuracy of arms trained on `origins` less that of arms trained on `minus` (or of no training)."""
        return self._pooled(
            [
                Term(self.arms[origin, on], on, minus=self.base if minus == UNTRAINED else self.arms[minus, on])
                for on in self.trained
                for origin in origins
            ]
        )

    def _elsewhere(self, origins: Sequence[str], minus: str = UNTRAINED, trained: Sequence[str] = ()) -> Estimate:
        """The same difference on the benchmarks an arm was not trained on, where both sides were evaluated."""
        terms = []
        for origin in origins:
            for train in trained or self.trained:
                plus = self.arms.get((origin, train))
                less = self.base if minus == UNTRAINED else self.arms.get((minus, train))
                if plus is None or less is None:
                    continue
                terms += [
                    Term(plus, on, minus=less)
                    for on in self.benchmarks
                    if on != train and self.sample.has(plus, on) and self.sample.has(less, on)
                ]
        return self._pooled(terms)

    def _evaluated_elsewhere(self) -> bool:
        """Whether any arm was meant to be evaluated on a benchmark it was not trained on."""
        return any(on != train for train in self.planned for on in self.benchmarks)

    def _perplexity(self, origins: Sequence[str], minus: str | None = None, trained: Sequence[str] = ()) -> Estimate:
        """Mean log-perplexity of the origins' responses, or its difference on the questions both answered."""
        wanted = [*origins, *([minus] if minus else [])]
        shared = [
            on for on in trained or self.planned if all(self.familiarity.has((self.student, o), on) for o in wanted)
        ]
        less = (self.student, minus) if minus else None
        terms = [Term((self.student, origin), on, minus=less) for on in shared for origin in origins]
        return self._pooled(terms, self.familiarity)

    def _claims(self) -> list[Claim]:
        student = self.student
        expected = sorted(self.origins, key=lambda origin: (_expected(origin), self._perplexity([origin]).value))
        measured = sorted(self.origins, key=lambda o: (_or_last(self._perplexity([o]).value), _expected(o), o))
        others = [origin for origin in measured if origin != "human"]
        claims: list[Claim] = []

        def add(
            kind: str, say: Callable[[str, str], str], pairs: Iterable[tuple[str, str]], of: Callable[..., Estimate]
        ) -> None:
            if kind in ("elsewhere", "loss") and not self._evaluated_elsewhere():
                return
            made = [Claim(kind, say(f"{a} responses", f"{b} responses"), a, b, of(a, b)) for a, b in pairs]
            if kind in ("in_domain", "elsewhere") and "human" in self.origins and len(others) > 1:
                pool = self._gain if kind == "in_domain" else self._elsewhere
                together = f"{listed(others)} responses (taken together)"
                made.append(
                    Claim(kind, say(together, "human responses"), listed(others), "human", pool(others, "human"))
                )
            for claim, p in zip(made, holm([claim.estimate.p for claim in made]), strict=True):
                status = status_of(claim.estimate, p)
                claims.append(replace(claim, p_holm=p, status=status, sentence=finding(claim, status, p)))

        add(
            "perplexity",
            lambda a, b: f"{student} finds {a} more familiar (lower perplexity) than {b}.",
            combinations(expected, 2),
            lambda a, b: self._perplexity([b], a),
        )
        add(
            "in_domain",
            lambda a, b: f"Training on {a} gives higher in-domain accuracy than on {b}.",
            combinations(measured, 2),
            lambda a, b: self._gain([a], b),
        )
        add(
            "elsewhere",
            lambda a, b: f"Training on {a} keeps more accuracy on the other benchmarks than on {b}.",
            combinations(measured, 2),
            lambda a, b: self._elsewhere([a], b),
        )
        alone = [(origin, UNTRAINED) for origin in measured]
        add(
            "gain",
            lambda a, b: f"Training on {a} raises in-domain accuracy over no training.",
            alone,
            lambda a, b: self._gain([a]),
        )
        add(
            "loss",
            lambda a, b: f"Training on {a} costs accuracy on the other benchmarks.",
            alone,
            lambda a, b: negative(self._elsewhere([a])),
        )
        return claims

    def _headline(
        self, standings: list[Standing], claims: Sequence[Claim]
    ) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
        """Who leads, the answer in a sentence, and what else must be said with it. It says what the claims say."""
        if not standings or math.isnan(standings[0].score.value):
            answer = "no arm was evaluated on the benchmark it was trained on"
            return (), f"Whose responses {self.student} learns best from cannot be said: {answer}.", ()
        best = standings[0]
        leads = {standing.origin: _lead(best.origin, standing.origin, claims) for standing in standings[1:]}
        behind = [origin for origin, lead in leads.items() if lead.status == "holds"]
        tied = [origin for origin in leads if origin not in behind]
        ahead = listed([f"{points(leads[o].estimate.value)} above {o} ({interval(leads[o].estimate)})" for o in behind])
        score = f"{percent(best.score.value)} in domain ({interval(best.score, percent)})"
        details = []
        if not leads:
            answer = f"Only {best.origin} responses were studied: trained on them, {self.student} reaches {score}."
        elif not tied:
            score = f"{percent(best.score.value)} in domain"
            answer = f"{self.student} learns best from {best.origin} responses: {score}, {ahead}."
        else:
            sizes = [
                f"{best.origin} minus {o}: {points(leads[o].estimate.value, sign=True)}, {interval(leads[o].estimate)}"
                for o in tied
            ]
            between = f"between {listed([best.origin, *tied])} responses ({'; '.join(sizes)})"
            answer = f"No single winner for {self.student}: no difference found in domain {between}."
            details = [f"Training on {best.origin} responses scores {ahead}."] if behind else []
        return (best.origin, *tied), answer, (*details, _against_none(best))


def _lead(best: str, other: str, claims: Sequence[Claim]) -> Claim:
    """The in-domain claim between two origins, turned so that `best` comes first."""
    for claim in claims:
        if claim.kind == "in_domain" and {claim.first, claim.second} == {best, other}:
            if claim.first == best:
                return claim
            turned = negative(claim.estimate)
            return replace(claim, first=best, second=other, estimate=turned, status=status_of(turned, claim.p_holm))
    raise KeyError(f"no claim between {best} and {other}")


def _against_none(best: Standing) -> str:
    gain = best.gain
    if math.isnan(gain.value):
        return "How that compares with no training is not known: the untrained model was not evaluated."
    verb = "raises" if gain.above else "lowers" if gain.below else "does not measurably change"
    return (
        f"Training on {best.origin} responses {verb} in-domain accuracy against no training: "
        f"{points(gain.value, sign=True)}, {interval(gain)}."
    )


def _expected(origin: str) -> int:
    return FROM_FAMILIAR.index(origin if origin in FROM_FAMILIAR else "")


def _or_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _by_score(standing: Standing) -> tuple[float, str]:
    return (_or_last(-standing.score.value), standing.origin)


def plain(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON-able data, with null for what is undefined."""
    return dict(_without_nan(asdict(verdict)))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
