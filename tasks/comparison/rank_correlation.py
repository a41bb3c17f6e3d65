"""Rank correlation over arms: does an arm do better whose training responses were more familiar, and is it length?

A point is an arm on one training benchmark; control arms are left out. Methods learn differently from the same
responses, so arms of each method are ranked among themselves, where they are enough. Spearman's coefficient is taken
of the median log-perplexity of the responses an arm trained on with its score, of their mean tokens with its score,
and of the first two with the ranks of length held fixed (partial rank correlation). Benchmarks differ in difficulty,
so each is also given with ranks taken within each training benchmark. Intervals are percentiles over resamplings
(tasks/comparison/bootstrap.py) of evaluation questions, seeds and training questions. The arms are taken as given.
Fewer than `FEWEST` arms say nothing: NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.comparison.arms import Arms
from tasks.comparison.bootstrap import Bootstrap
from tasks.comparison.statistics import CONFIDENCE, Estimate, Term

if TYPE_CHECKING:
    import numpy as np

FEWEST = 4
FEWEST_ORIGINS = 3
"""With fewer among arms that differ in more than their origin, there is no order of perplexities to speak of."""
DEFINED = 0.9
"""Share of resamplings in which a coefficient must be defined, for its interval to be."""

Responses = Mapping[tuple[str, str, str], "np.ndarray"]
"""By student, arm and training benchmark: log-perplexity and tokens of the responses, (2, questions) with NaN for
questions without one; columns are the same questions for all arms of a benchmark."""


@dataclass(frozen=True)
class Correlation:
    """Rank correlations of arms with their scores `on` "in_domain" or "elsewhere".

    `perplexity` and `length` are those of perplexity and of length with the score, `at_equal_length` that of perplexity
    with the score when ranks of length are held fixed. `explained_by_length` is the share of the variance of score
    ranks that length alone explains; `added_by_perplexity` what perplexity explains beyond it.
    """

    on: str
    method: str
    within_benchmarks: bool
    arms: int
    perplexity: Estimate
    length: Estimate
    at_equal_length: Estimate
    explained_by_length: float
    added_by_perplexity: float
    sentence: str = ""


def correlations(arms: Arms, responses: Responses) -> list[Correlation]:
    """Over all arms and, with several training benchmarks, within each; in domain and, where evaluated, elsewhere."""
    found = []
    bootstrap = Bootstrap(arms.sample)
    methods = sorted({arms.method_of(name) for name in arms.names})
    for method in methods:
        names = [name for name in arms.names if arms.method_of(name) == method]
        if arms.wording.by_name and len({arms.origin(name) for name in names}) < FEWEST_ORIGINS:
            continue
        for on in ("in_domain", *(["elsewhere"] if arms.evaluated_elsewhere() else [])):
            for within in (False, True) if len(arms.planned) > 1 else (False,):
                correlation = _correlation(arms, names, bootstrap, responses, on, within)
                called = f"{method} arms" if len(methods) > 1 else "arms"
                found.append(replace(correlation, method=method, sentence=_sentence(correlation, called)))
    return found


def _correlation(
    arms: Arms, names: Sequence[str], bootstrap: Bootstrap, responses: Responses, on: str, within: bool
) -> Correlation:
    import numpy as np

    points = [(name, train) for train in arms.planned for name in names]
    known = [point for point in points if (arms.student, *point) in responses and _terms(arms, *point, on)]
    known = [point for point in known if np.isfinite(responses[arms.student, *point]).all(axis=0).any()]
    if within:
        known = [point for point in known if sum(other[1] == point[1] for other in known) > 1]
    if len(known) < FEWEST:
        undefined = Estimate(math.nan, items=len(known))
        return Correlation(on, "", within, len(known), undefined, undefined, undefined, math.nan, math.nan)
    values = [_values(arms, bootstrap, responses, point, on) for point in known]
    groups = np.array([arms.planned.index(train) if within else 0 for _, train in known])
    ranks = [_ranks(np.column_stack(column), groups) for column in zip(*values, strict=True)]
    by_perplexity = _pearson(ranks[0], ranks[2])
    by_length = _pearson(ranks[1], ranks[2])
    together = _pearson(ranks[0], ranks[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        room = np.sqrt((1 - together**2) * (1 - by_length**2))
        # Where one rank decides another there is nothing left to vary at equal length.
        partial = np.where(room > 1e-9, np.clip((by_perplexity - by_length * together) / room, -1, 1), math.nan)
    added = float((1 - by_length[0] ** 2) * partial[0] ** 2)
    return Correlation(
        on=on,
        method="",
        within_benchmarks=within,
        arms=len(known),
        perplexity=_estimate(by_perplexity, len(known)),
        length=_estimate(by_length, len(known)),
        at_equal_length=_estimate(partial, len(known)),
        explained_by_length=float(by_length[0] ** 2),
        added_by_perplexity=added,
    )


def _terms(arms: Arms, name: str, train: str, on: str) -> list[Term]:
    """The arm's score in domain, or the mean of its scores elsewhere."""
    arm = arms.by_name.get((name, train))
    if arm is None:
        return []
    where = arms.others(train, arm) if on == "elsewhere" else [train] if arms.sample.has(arm, train) else []
    return [Term(arm, other, weight=1 / len(where)) for other in where]


def _values(
    arms: Arms, bootstrap: Bootstrap, responses: Responses, point: tuple[str, str], on: str
) -> tuple[np.ndarray, ...]:
    """An arm's median log-perplexity, mean tokens and score: as measured, and after it in each resampling."""
    import numpy as np

    terms = _terms(arms, *point, on)
    score = arms.sample.estimate(terms).value
    found = responses[arms.student, *point]
    kept = np.isfinite(found).all(axis=0)
    drawn = bootstrap.draws(("responses", point[1]), found.shape[1])[:, kept]
    weights = np.vstack([np.ones((1, drawn.shape[1]), dtype=drawn.dtype), drawn])
    with np.errstate(invalid="ignore", divide="ignore"):
        tokens = (weights @ found[1, kept]) / weights.sum(axis=1)
    scores = np.concatenate([[score], bootstrap.replicates(terms)])
    return weighted_median(found[0, kept], weights), tokens, scores


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median of `values` (n,) under each row of `weights` (rows, n); NaN for a row without any weight."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1, dtype=np.float64)
    half = reached[:, -1:] / 2
    ordered = values[order]
    last = len(values) - 1
    lower = ordered[np.minimum((reached < half).sum(axis=1), last)]
    upper = ordered[np.minimum((reached <= half).sum(axis=1), last)]
    return np.where(half[:, 0] > 0, (lower + upper) / 2, math.nan)


def _ranks(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Ranks within each group of columns, from 0 to 1 and around their mean; ties share a rank. NaN rows stay NaN."""
    import numpy as np
    from scipy.stats import rankdata

    ranks = np.zeros_like(values)
    for group in set(groups.tolist()):
        here = groups == group
        given = np.round(values[:, here], 12)
        part = rankdata(given, axis=1, nan_policy="propagate") / (int(here.sum()) + 1)
        ranks[:, here] = part - part.mean(axis=1, keepdims=True)
    return ranks


def _pearson(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of each row of two arrays whose rows have mean zero; NaN where one is constant."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
        found = np.where(size > 1e-12, (one * other).sum(axis=1) / size, math.nan)
    return np.asarray(np.clip(found, -1, 1))


def _estimate(found: np.ndarray, arms: int) -> Estimate:
    """The coefficient as measured (first) with the percentiles of the resampled ones.

    Resampling adds noise once more, which draws coefficients towards zero: the interval is the wider for it on that
    side, and always takes in the estimate.
    """
    import numpy as np

    value, replicates = float(found[0]), found[1:]
    defined = replicates[~np.isnan(replicates)]
    if math.isnan(value) or len(defined) < DEFINED * len(replicates):
        return Estimate(value, items=arms)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, min(value, float(low)), max(value, float(high)), items=arms)


def _sentence(found: Correlation, called: str) -> str:
    """What the coefficients say, and no more."""
    where = "in domain" if found.on == "in_domain" else "on the other benchmarks"
    over = f"Over {found.arms} {called}" + (
        ", ranked within each training benchmark," if found.within_benchmarks else ""
    )
    if math.isnan(found.perplexity.value):
        why = f"fewer than {FEWEST} {called}" if found.arms < FEWEST else "all arms rank the same"
        return f"Whether familiarity goes with scores {where} is undefined: {why}."
    if found.perplexity.below:
        said = f"{over} lower perplexity goes with higher scores {where}"
    elif found.perplexity.above:
        said = f"{over} lower perplexity goes with lower scores {where}"
    else:
        said = f"{over} no rank correlation of perplexity with scores {where} is found"
    said += f" ({_coefficient(found.perplexity)})"
    if math.isnan(found.at_equal_length.value):
        return f"{said}; at equal length it is undefined: ranks of length leave nothing to vary."
    held = found.at_equal_length
    apart = held.above if found.perplexity.above else held.below
    verb = "it stays" if apart and (found.perplexity.below or found.perplexity.above) else "it is"
    doubt = "" if held.above or held.below or math.isnan(held.low) else ", not told apart from none"
    return (
        f"{said}; with length held fixed {verb} {_coefficient(held)}{doubt}. Length alone explains "
        f"{100 * found.explained_by_length:.0f} % of the differences in rank, perplexity a further "
        f"{100 * found.added_by_perplexity:.0f} %."
    )


def _coefficient(found: Estimate) -> str:
    text = _signed(found.value)
    if math.isnan(found.low):
        return f"{text}, without an interval: too few resamplings define it"
    return f"{text}, 95 % interval {_signed(found.low)} to {_signed(found.high)}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}").replace("+0.00", "0.00").replace("\N{MINUS SIGN}0.00", "0.00")
