"""Verdict: from paired comparisons, the answer to "which training does this model learn best from?", as data."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from tasks.comparison.arms import Arms, Standing, by_score
from tasks.comparison.cell import Arm
from tasks.comparison.claim import Claim, claims, judged
from tasks.comparison.contrast import Answer, Contrast, answers
from tasks.comparison.headline import headline
from tasks.comparison.rank_correlation import Correlation, Responses, correlations
from tasks.comparison.smallest_gain import smallest_gain
from tasks.comparison.statistics import Estimate, Measured

ONE_SEED = "One seed: intervals and p-values are of the questions alone, not of the luck of training."


@dataclass(frozen=True)
class Verdict:
    """The answer for one student, among all its arms, whatever their methods.

    `method` lists their methods. `size` is the number of training questions that all of it is about: the largest, in a
    study that varies it, else 0. `by_name` says whether arms differ in more than their origin, and are called by their
    names. `leaders` has one arm when it is ahead of every other, else those tied for the lead. `train_benchmarks` are
    those every arm has, over which `standings` are pooled; `arms` are the standings on each benchmark alone. `controls`
    are the standings of control arms, which compete with none. `contrasts` answer the claims of the study file.
    `measure` is "accuracy", or "score" where an answer can be partly right. `seeds` is the least number of seeds an arm
    has.
    """

    student: str
    method: str
    size: int
    by_name: bool
    measure: str
    sentence: str
    details: tuple[str, ...]
    leaders: tuple[str, ...]
    train_benchmarks: tuple[str, ...]
    left_out: tuple[str, ...]
    seeds: int
    untrained: Estimate
    standings: tuple[Standing, ...]
    controls: tuple[Standing, ...]
    arms: tuple[Standing, ...]
    contrasts: tuple[Answer, ...]
    correlations: tuple[Correlation, ...]
    claims: tuple[Claim, ...]


def verdicts(
    sample: Measured,
    familiarity: Measured,
    planned: Iterable[Arm],
    benchmarks: Sequence[str],
    contrasts: Sequence[Contrast] = (),
    responses: Responses | None = None,
    measure: str = "accuracy",
    missing: Collection[tuple[Arm, str]] = (),
) -> list[Verdict]:
    """One verdict for each student, on its arms of the study's largest size.

    Args:
        sample: scores by (`Arm`, evaluation benchmark).
        familiarity: log-perplexities by ((student, arm), training benchmark).
        planned: all arms that were planned.
        benchmarks: all evaluation benchmarks.
        contrasts: the claims of the study file.
        responses: log-perplexity and length of what was trained on, for the rank correlations.
        measure: the word for what was measured.
        missing: (arm, evaluation benchmark) that were planned and not made for every seed; see `Arms`.
    """
    planned = list(planned)
    largest = max((arm.size for arm in planned), default=0)
    groups: dict[str, dict[int, list[Arm]]] = {}
    for arm in planned:
        groups.setdefault(arm.student, {}).setdefault(arm.size, []).append(arm)
    by_size = [
        {size: Arms(sample, familiarity, group, benchmarks, missing) for size, group in sizes.items()}
        for _, sizes in sorted(groups.items())
    ]
    compared = [sizes[largest] for sizes in by_size]
    sized = [{**sizes, 0: sizes[largest]} for sizes in by_size]
    made = [claims(arms, measure) for arms in compared]
    known = iter(judged([claim for of_group in made for claim in of_group]))
    return [
        _verdict(arms, list(islice(known, len(of_group))), answered, responses or {}, measure)
        for arms, of_group, answered in zip(compared, made, answers(contrasts, sized), strict=True)
    ]


def _verdict(
    arms: Arms, made: Sequence[Claim], answered: Sequence[Answer], responses: Responses, measure: str
) -> Verdict:
    standings = sorted((arms.standing(name, arms.trained) for name in arms.names), key=by_score)
    first = headline(arms.student, measure, standings, made, arms.wording)
    in_domain = [(arms.by_name[a, t], t) for a in arms.names for t in sorted(arms.trained_on(a))]
    whole = [one for one in in_domain if one not in arms.missing]
    seeds = min((len(arms.sample.scores[one]) for one in whole or in_domain), default=0)
    return Verdict(
        student=arms.student,
        method=arms.method,
        size=arms.size,
        by_name=arms.wording.by_name,
        measure=measure,
        sentence=first.sentence,
        details=(*first.details, *smallest_gain(arms), *_limits(arms.size, seeds)),
        leaders=first.leaders,
        train_benchmarks=tuple(arms.trained),
        left_out=tuple(sorted(set(arms.planned) - set(arms.trained))),
        seeds=seeds,
        untrained=arms.untrained(),
        standings=tuple(standings),
        controls=tuple(arms.standing(name, sorted(arms.trained_on(name))) for name in arms.controls),
        arms=tuple(arms.standing(name, [on]) for on in arms.planned for name in arms.names),
        contrasts=tuple(answered),
        correlations=tuple(correlations(arms, responses)),
        claims=tuple(made),
    )


def _limits(size: int, seeds: int) -> list[str]:
    """What the answer leaves out."""
    largest = f"All of this is about {size:,} training questions, the largest size of the study."
    return [*([largest] if size else []), *([ONE_SEED] if seeds == 1 else [])]


def plain(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON-able data, with null for what is undefined."""
    return dict(_without_nan(asdict(verdict)))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
