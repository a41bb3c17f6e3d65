"""Contrasts: the claims a study sets out to test, each about two arms, and what the data answer.

Each is answered in the words of a claim (tasks/comparison/claim.py): it "holds", "does not hold" (is refuted), is
"not shown", "missing" or "undefined". P-values are adjusted (Holm) over all contrasts of the study, those of every
student. The two arms may differ in their origins, their methods or both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.comparison.arms import Arms
from tasks.comparison.cell import UNTRAINED
from tasks.comparison.claim import MISSING, finding, negative, status_of
from tasks.comparison.statistics import UNDEFINED, Estimate, holm

KIND = {"in_domain": "in_domain", "other": "elsewhere", "perplexity": "perplexity"}
"""The kind of claim (tasks/comparison/claim.py) that is made of each `on`."""


class Contrast(BaseModel):
    """One claim: what is better than what, and on which count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: str = Field(min_length=1, description="the claim as a sentence")
    better: str = Field(description="the arm that does better if the claim holds; `base` is no training")
    than: str = Field(description="the arm it does better than; `base` is no training")
    on: Literal["in_domain", "other", "perplexity"] = Field(
        "in_domain",
        description="in_domain: a higher score on the benchmark trained on. other: a higher score on the other "
        "benchmarks. perplexity: `better` is more familiar to the student, its perplexity lower.",
    )

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_word(cls, given: Any) -> Any:
        """YAML reads the bare key `on` as true."""
        return (
            {"on" if key is True else key: value for key, value in given.items()} if isinstance(given, dict) else given
        )

    @model_validator(mode="after")
    def _of_two(self) -> Contrast:
        if self.better == self.than:
            raise ValueError(f"`better` and `than` are both {self.than}: allowed are two different arms")
        if self.on == "perplexity" and UNTRAINED in (self.better, self.than):
            raise ValueError("`on: perplexity` compares responses, and no training has none: allowed are two arms")
        return self


@dataclass(frozen=True)
class Answer:
    """What the data say of a contrast. `estimate` is positive where the claim is right; for perplexity it is the
    logarithm of a ratio. `train_benchmarks` are those it is pooled over."""

    claim: str
    better: str
    than: str
    on: str
    train_benchmarks: tuple[str, ...]
    estimate: Estimate
    p_holm: float
    status: str
    sentence: str


def answers(contrasts: Sequence[Contrast], groups: Sequence[Arms]) -> list[list[Answer]]:
    """Each contrast's answer in each group of arms, in the order given; p-values are adjusted over all of them."""
    asked = [(contrast, arms, _trained(contrast, arms)) for arms in groups for contrast in contrasts]
    estimates = [_estimate(contrast, arms, trained) for contrast, arms, trained in asked]
    lacking = [arms.lacking(KIND[contrast.on], contrast.better, contrast.than) for contrast, arms, _ in asked]
    adjusted = holm([math.nan if absent else e.p for e, absent in zip(estimates, lacking, strict=True)])
    found = (
        _answer(contrast, tuple(trained), estimate, p, absent)
        for (contrast, _, trained), estimate, p, absent in zip(asked, estimates, adjusted, lacking, strict=True)
    )
    return [list(islice(found, len(contrasts))) for _ in groups]


def _trained(contrast: Contrast, arms: Arms) -> list[str]:
    """Training benchmarks both sides have."""
    sides = [side for side in (contrast.better, contrast.than) if side != UNTRAINED]
    if contrast.on == "perplexity":
        return [t for t in arms.planned if all(arms.familiarity.has((arms.student, side), t) for side in sides)]
    if contrast.on == "in_domain":
        return sorted(set(arms.planned).intersection(*(arms.meant_for(side) for side in sides)))
    return [t for t in arms.planned if all((side, t) in arms.by_name for side in sides)]


def _estimate(contrast: Contrast, arms: Arms, trained: Sequence[str]) -> Estimate:
    if not trained:
        return UNDEFINED
    if contrast.on == "perplexity":
        return arms.log_perplexity([contrast.than], contrast.better, trained)
    of = arms.gain if contrast.on == "in_domain" else arms.elsewhere
    if contrast.better == UNTRAINED:
        return negative(of([contrast.than], UNTRAINED, trained))
    return of([contrast.better], contrast.than, trained)


def _answer(
    contrast: Contrast, trained: tuple[str, ...], estimate: Estimate, p: float, lacking: Sequence[str]
) -> Answer:
    status = MISSING if lacking else status_of(estimate, p)
    sides = (_called(contrast.better), _called(contrast.than))
    sentence = finding(status, KIND[contrast.on], *sides, estimate, p, lacking)
    return Answer(
        *(contrast.claim, contrast.better, contrast.than, contrast.on, trained, estimate, p, status, sentence)
    )


def _called(side: str) -> str:
    return "no training" if side == UNTRAINED else side
