"""Contrasts: the claims a study sets out to test, each about two arms, and what the data answer.

Each is answered in the words of a claim (tasks/comparison/claim.py): it "holds", "does not hold" (is refuted), is
"not shown", "missing" or "undefined". P-values are adjusted (Holm) over all contrasts of the study, those of every
student. The two arms may differ in their origins, their methods or both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.bounds import MOST_QUESTIONS, Whole
from tasks.comparison.arms import Arms
from tasks.comparison.cell import UNTRAINED
from tasks.comparison.claim import MISSING, finding, negative, status_of
from tasks.comparison.statistics import UNDEFINED, Estimate, Term, holm

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
    better_size: Whole = Field(0, ge=0, le=MOST_QUESTIONS, description="the size of `better`; 0: the study's largest")
    than_size: Whole = Field(0, ge=0, le=MOST_QUESTIONS, description="the size of `than`; 0: the study's largest")

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_word(cls, given: Any) -> Any:
        """YAML reads the bare key `on` as true."""
        return (
            {"on" if key is True else key: value for key, value in given.items()} if isinstance(given, dict) else given
        )

    @model_validator(mode="after")
    def _of_two(self) -> Contrast:
        if self.better == self.than and self.better_size == self.than_size:
            raise ValueError(
                f"`better` and `than` are both {self.than}: allowed are two different arms, or sizes of one"
            )
        if (self.better_size or self.than_size) and self.on != "in_domain":
            raise ValueError(f"sizes are not allowed with `on: {self.on}`, which is about the largest size alone")
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


def answers(contrasts: Sequence[Contrast], groups: Sequence[Mapping[int, Arms]]) -> list[list[Answer]]:
    """Each contrast's answer for each student, in the order given; p-values are adjusted over all of them.

    Args:
        groups: for each student, its arms by size; those of the study's largest size are 0 too.
    """
    asked = [
        (contrast, sizes, _trained(contrast, *_sides(contrast, sizes))) for sizes in groups for contrast in contrasts
    ]
    estimates = [_estimate(contrast, *_sides(contrast, sizes), trained) for contrast, sizes, trained in asked]
    lacking = [_lacking(contrast, *_sides(contrast, sizes)) for contrast, sizes, _ in asked]
    adjusted = holm([math.nan if absent else e.p for e, absent in zip(estimates, lacking, strict=True)])
    found = (
        _answer(contrast, tuple(trained), estimate, p, absent)
        for (contrast, _, trained), estimate, p, absent in zip(asked, estimates, adjusted, lacking, strict=True)
    )
    return [list(islice(found, len(contrasts))) for _ in groups]


def _sides(contrast: Contrast, sizes: Mapping[int, Arms]) -> tuple[Arms, Arms]:
    """The arms of the size that each side is about."""
    return sizes[contrast.better_size], sizes[contrast.than_size]


def _lacking(contrast: Contrast, first: Arms, second: Arms) -> list[str]:
    kind = KIND[contrast.on]
    return list(dict.fromkeys([*first.lacking(kind, contrast.better), *second.lacking(kind, contrast.than)]))


def _trained(contrast: Contrast, first: Arms, second: Arms) -> list[str]:
    """Training benchmarks both sides have."""
    sides = [(a, side) for a, side in ((first, contrast.better), (second, contrast.than)) if side != UNTRAINED]
    planned = first.planned
    if contrast.on == "perplexity":
        return [t for t in planned if all(a.familiarity.has((a.student, side), t) for a, side in sides)]
    if contrast.on == "in_domain":
        return sorted(set(planned).intersection(*(a.meant_for(side) for a, side in sides)))
    return [t for t in planned if all((side, t) in a.by_name for a, side in sides)]


def _estimate(contrast: Contrast, first: Arms, second: Arms, trained: Sequence[str]) -> Estimate:
    if not trained:
        return UNDEFINED
    if contrast.on == "perplexity":
        return first.log_perplexity([contrast.than], contrast.better, trained)
    if contrast.on == "in_domain":
        arms = [(first.arm(contrast.better, on), second.arm(contrast.than, on), on) for on in trained]
        return first.pooled([Term(better, on, minus=than) for better, than, on in arms])
    if contrast.better == UNTRAINED:
        return negative(first.elsewhere([contrast.than], UNTRAINED, trained))
    return first.elsewhere([contrast.better], contrast.than, trained)


def _answer(
    contrast: Contrast, trained: tuple[str, ...], estimate: Estimate, p: float, lacking: Sequence[str]
) -> Answer:
    status = MISSING if lacking else status_of(estimate, p)
    sides = (_called(contrast.better, contrast.better_size), _called(contrast.than, contrast.than_size))
    sentence = finding(status, KIND[contrast.on], *sides, estimate, p, lacking)
    return Answer(
        *(contrast.claim, contrast.better, contrast.than, contrast.on, trained, estimate, p, status, sentence)
    )


def _called(side: str, size: int) -> str:
    if side == UNTRAINED:
        return "no training"
    return f"{side} with {size:,} questions" if size else side
