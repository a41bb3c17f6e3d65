"""The arms of one student and method, and the paired differences among their origins."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tasks.comparison.cell import UNTRAINED, Arm
from tasks.comparison.statistics import UNDEFINED, Estimate, Measured, Term

CONTROL = "@"
"""What parts an origin from the control it is an arm of, as in `human@same_length`."""


def is_control(origin: str) -> bool:
    """Whether an arm repeats an origin under other conditions. Such arms answer claims; they compete with no origin."""
    return CONTROL in origin


@dataclass(frozen=True)
class Standing:
    """One origin on some training benchmarks: score in domain, its change, the others' change, log-perplexity."""

    origin: str
    train_benchmarks: tuple[str, ...]
    score: Estimate
    gain: Estimate
    elsewhere: Estimate
    log_perplexity: Estimate


class Arms:
    """What was measured of one student and method.

    Args:
        sample: scores by (`Arm`, evaluation benchmark).
        familiarity: log-perplexities by ((student, origin), training benchmark).
        arms: all arms that were planned, of one student and method.
        benchmarks: all evaluation benchmarks.
        missing: what was planned and not made, with one of its seeds at least, as (`Arm`, evaluation benchmark).
            Whatever needs it is undefined, not computed on less.
    """

    def __init__(
        self,
        sample: Measured,
        familiarity: Measured,
        arms: Sequence[Arm],
        benchmarks: Sequence[str],
        missing: Collection[tuple[Arm, str]] = (),
    ) -> None:
        self.sample = sample
        self.missing = missing
        self.familiarity = familiarity
        self.student, self.method = arms[0].student, arms[0].method
        self.benchmarks = benchmarks
        self.planned = sorted({arm.train_benchmark for arm in arms})
        self.by_name = {(arm.arm, arm.train_benchmark): arm for arm in arms}
        self.base = arms[0].untrained
        meant = {origin: self.meant_for(origin) for origin in sorted({arm.arm for arm in arms})}
        self.controls = [origin for origin, trained in meant.items() if trained and is_control(origin)]
        self.origins = [origin for origin, trained in meant.items() if trained and not is_control(origin)]
        shared = set(self.planned).intersection(*(meant[origin] for origin in self.origins)) if self.origins else set()
        self.trained = sorted(shared)
        """Training benchmarks that every origin was meant to have an arm of, evaluated in domain."""

    def trained_on(self, origin: str) -> set[str]:
        """Benchmarks the origin has an arm of that was evaluated in domain."""
        return {t for t in self.planned if (origin, t) in self.by_name and self.sample.has(self.by_name[origin, t], t)}

    def meant_for(self, origin: str) -> set[str]:
        """The same with those that are missing."""
        arms = [(t, self.by_name[origin, t]) for t in self.planned if (origin, t) in self.by_name]
        return self.trained_on(origin) | {t for t, arm in arms if (arm, t) in self.missing}

    def lacking(self, kind: str, *sides: str) -> list[str]:
        """Which arms of these origins are missing that a claim of this kind needs, as "self on abacus/boxes"."""
        return [
            f"{origin} on {train}"
            for origin in sides
            for train in self.planned
            if (arm := self.by_name.get((origin, train))) is not None
            and (self._unread(arm) if kind == "perplexity" else self._unmeasured(arm, kind in ("elsewhere", "loss")))
        ]

    def _unmeasured(self, arm: Arm, elsewhere: bool) -> bool:
        """Whether a score of the arm, or of the untrained model beside it, is missing."""
        where = [on for on in self.benchmarks if (on != arm.train_benchmark) == elsewhere]
        return any((one, on) in self.missing for on in where for one in (arm, self.base))

    def _unread(self, arm: Arm) -> bool:
        """Whether the responses the arm was to train on are missing."""
        known = self.familiarity.has((arm.student, arm.arm), arm.train_benchmark)
        return not known and all((arm, on) in self.missing for on in self.benchmarks)

    def standing(self, origin: str, trained: Sequence[str]) -> Standing:
        """Where the origin stands, pooled over those of the training benchmarks it has."""
        arms = [(self.by_name[origin, on], on) for on in trained if (origin, on) in self.by_name]
        return Standing(
            origin,
            tuple(trained),
            self.pooled([Term(arm, on) for arm, on in arms]),
            self.pooled([Term(arm, on, minus=self.base) for arm, on in arms]),
            self.elsewhere([origin], trained=trained),
            self.log_perplexity([origin], trained=trained),
        )

    def untrained(self) -> Estimate:
        """The student with no training, on the training benchmarks."""
        return self.pooled([Term(self.base, on) for on in self.trained])

    def pooled(self, terms: list[Term], sample: Measured | None = None) -> Estimate:
        """The plain mean of the terms: every training benchmark weighs the same. Undefined where one is missing."""
        if any((arm, term.on) in self.missing for term in terms for arm in (term.plus, term.minus)):
            return UNDEFINED
        return (sample or self.sample).estimate([replace(t, weight=t.weight / len(terms)) for t in terms])

    def gain(self, origins: Sequence[str], minus: str = UNTRAINED, trained: Sequence[str] = ()) -> Estimate:
        """In-domain score of arms trained on `origins` less that of arms trained on `minus` (or of no training)."""
        return self.pooled(
            [
                Term(self.by_name[origin, on], on, minus=self.base if minus == UNTRAINED else self.by_name[minus, on])
                for on in trained or self.trained
                for origin in origins
            ]
        )

    def elsewhere(self, origins: Sequence[str], minus: str = UNTRAINED, trained: Sequence[str] = ()) -> Estimate:
        """The same difference on the benchmarks an arm was not trained on, where both sides were evaluated."""
        terms: list[Term] = []
        for origin in origins:
            for train in trained or self.trained:
                plus = self.by_name.get((origin, train))
                less = self.base if minus == UNTRAINED else self.by_name.get((minus, train))
                if plus is not None and less is not None:
                    terms += [Term(plus, on, minus=less) for on in self.others(train, plus, less)]
        return self.pooled(terms)

    def others(self, train: str, *arms: Arm) -> list[str]:
        """Benchmarks other than `train` on which all of these arms were evaluated, or were to be."""
        return [
            on
            for on in self.benchmarks
            if on != train and all(self.sample.has(arm, on) or (arm, on) in self.missing for arm in arms)
        ]

    def evaluated_elsewhere(self) -> bool:
        """Whether any arm was meant to be evaluated on a benchmark it was not trained on."""
        return any(on != train for train in self.planned for on in self.benchmarks)

    def log_perplexity(self, origins: Sequence[str], minus: str | None = None, trained: Sequence[str] = ()) -> Estimate:
        """Mean log-perplexity of the origins' responses, or its difference on the questions both answered."""
        wanted = [*origins, *([minus] if minus else [])]
        if any(self._unread(arm) for (o, on), arm in self.by_name.items() if o in wanted and on in (trained or [on])):
            return UNDEFINED
        shared = [
            on for on in trained or self.planned if all(self.familiarity.has((self.student, o), on) for o in wanted)
        ]
        less = (self.student, minus) if minus else None
        terms = [Term((self.student, origin), on, minus=less) for on in shared for origin in origins]
        return self.pooled(terms, self.familiarity)


def by_score(standing: Standing) -> tuple[float, str]:
    """Order of standings: highest score first, undefined last."""
    value = standing.score.value
    return (math.inf if math.isnan(value) else -value, standing.origin)
