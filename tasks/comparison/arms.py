"""The arms of one student and size, and the paired differences among them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tasks.comparison.cell import UNTRAINED, Arm
from tasks.comparison.phrasing import listed
from tasks.comparison.statistics import UNDEFINED, Estimate, Measured, Term
from tasks.comparison.wording import wording_of

CONTROL = "@"
"""What parts an arm from the control it belongs to, as in `human@same_length`."""


def is_control(arm: str) -> bool:
    """Whether an arm repeats another under other conditions. Such arms answer claims; they compete with none."""
    return CONTROL in arm


@dataclass(frozen=True)
class Standing:
    """One arm on some training benchmarks: score in domain, its change, the others' change, log-perplexity."""

    arm: str
    origin: str
    method: str
    train_benchmarks: tuple[str, ...]
    score: Estimate
    gain: Estimate
    elsewhere: Estimate
    log_perplexity: Estimate


class Arms:
    """What was measured of one student's arms of one size, whatever their methods.

    Args:
        sample: scores by (`Arm`, evaluation benchmark).
        familiarity: log-perplexities by ((student, arm), training benchmark).
        arms: all arms that were planned, of one student and size.
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
        self.student, self.size = arms[0].student, arms[0].size
        self.method = listed(sorted({arm.method for arm in arms}))
        self.wording = wording_of(arms)
        self.benchmarks = benchmarks
        self.planned = sorted({arm.train_benchmark for arm in arms})
        self.by_name = {(arm.arm, arm.train_benchmark): arm for arm in arms}
        self.base = arms[0].untrained
        meant = {name: self.meant_for(name) for name in sorted({arm.arm for arm in arms})}
        self.controls = [name for name, trained in meant.items() if trained and is_control(name)]
        self.names = [name for name, trained in meant.items() if trained and not is_control(name)]
        """Arms that compete with each other."""
        shared = set(self.planned).intersection(*(meant[name] for name in self.names)) if self.names else set()
        self.trained = sorted(shared)
        """Training benchmarks that every arm was meant to be trained on, evaluated in domain."""
        self._first = {arm.arm: arm for arm in reversed(arms)}

    def arm(self, name: str, on: str) -> Arm:
        """An arm trained on a benchmark; by the name of no training, the student as it is."""
        return self.base if name == UNTRAINED else self.by_name[name, on]

    def origin(self, name: str) -> str:
        """Whose responses, or pairs, an arm trains on."""
        return self._first[name].origin

    def method_of(self, name: str) -> str:
        """How an arm learns."""
        return self._first[name].method

    def trained_on(self, name: str) -> set[str]:
        """Benchmarks that the arm was trained on and evaluated in domain."""
        return {t for t in self.planned if (name, t) in self.by_name and self.sample.has(self.by_name[name, t], t)}

    def meant_for(self, name: str) -> set[str]:
        """The same with those that are missing."""
        arms = [(t, self.by_name[name, t]) for t in self.planned if (name, t) in self.by_name]
        return self.trained_on(name) | {t for t, arm in arms if (arm, t) in self.missing}

    def lacking(self, kind: str, *sides: str) -> list[str]:
        """Which of these arms are missing that a claim of this kind needs, as "self on abacus/boxes"."""
        return [
            f"{name} on {train}"
            for name in sides
            for train in self.planned
            if (arm := self.by_name.get((name, train))) is not None
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

    def standing(self, name: str, trained: Sequence[str]) -> Standing:
        """Where the arm stands, pooled over those of the training benchmarks it has."""
        arms = [(self.by_name[name, on], on) for on in trained if (name, on) in self.by_name]
        return Standing(
            name,
            self.origin(name),
            self.method_of(name),
            tuple(trained),
            self.pooled([Term(arm, on) for arm, on in arms]),
            self.pooled([Term(arm, on, minus=self.base) for arm, on in arms]),
            self.elsewhere([name], trained=trained),
            self.log_perplexity([name], trained=trained),
        )

    def untrained(self) -> Estimate:
        """The student with no training, on the training benchmarks."""
        return self.pooled([Term(self.base, on) for on in self.trained])

    def pooled(self, terms: list[Term], sample: Measured | None = None) -> Estimate:
        """The plain mean of the terms: every training benchmark weighs the same. Undefined where one is missing."""
        if any((arm, term.on) in self.missing for term in terms for arm in (term.plus, term.minus)):
            return UNDEFINED
        return (sample or self.sample).estimate([replace(t, weight=t.weight / len(terms)) for t in terms])

    def gain(self, names: Sequence[str], minus: str = UNTRAINED, trained: Sequence[str] = ()) -> Estimate:
        """In-domain score of the arms `names` less that of the arm `minus` (or of no training)."""
        return self.pooled(
            [
                Term(self.by_name[name, on], on, minus=self.base if minus == UNTRAINED else self.by_name[minus, on])
                for on in trained or self.trained
                for name in names
            ]
        )

    def elsewhere(self, names: Sequence[str], minus: str = UNTRAINED, trained: Sequence[str] = ()) -> Estimate:
        """The same difference on the benchmarks an arm was not trained on, where both sides were evaluated."""
        terms: list[Term] = []
        for name in names:
            for train in trained or self.trained:
                plus = self.by_name.get((name, train))
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

    def log_perplexity(self, names: Sequence[str], minus: str | None = None, trained: Sequence[str] = ()) -> Estimate:
        """Mean log-perplexity of the arms' responses, or its difference on the questions both have responses to."""
        wanted = [*names, *([minus] if minus else [])]
        if any(self._unread(arm) for (a, on), arm in self.by_name.items() if a in wanted and on in (trained or [on])):
            return UNDEFINED
        shared = [
            on for on in trained or self.planned if all(self.familiarity.has((self.student, a), on) for a in wanted)
        ]
        less = (self.student, minus) if minus else None
        terms = [Term((self.student, name), on, minus=less) for on in shared for name in names]
        return self.pooled(terms, self.familiarity)


def by_score(standing: Standing) -> tuple[float, str]:
    """Order of standings: highest score first, undefined last."""
    value = standing.score.value
    return (math.inf if math.isnan(value) else -value, standing.arm)
