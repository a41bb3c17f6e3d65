"""Parts of the variance of a mean over seeds × items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Component:
    """A part of a contrast's variance, and how well it is known.

    `doubt` is half the variance of the estimate: v² / f for an estimate v with f degrees of freedom.
    """

    variance: float
    doubt: float


def complete(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop seeds without any score and fill the gaps of the others with the item's mean over its other seeds.

    That leaves every item's mean over seeds as it is. Returns a mask over all seeds and the filled array.
    """
    import numpy as np

    seeds = (~np.isnan(values)).any(axis=1)
    kept = values[seeds]
    gaps = np.isnan(kept)
    return seeds, np.where(gaps, np.nanmean(kept, axis=0), kept) if gaps.any() else kept


def variance_of_sum(contributions: np.ndarray) -> float:
    """Unbiased variance of a sum of independent contributions: n/(n-1) Σ (c - mean)²."""
    count = len(contributions)
    return float(((contributions - contributions.mean()) ** 2).sum() * count / (count - 1))


def noise_of_mean(values: np.ndarray) -> float:
    """Variance that the interaction of seeds and items (single answers' noise) gives the mean of seeds × items."""
    seeds, items = values.shape
    if seeds < 2 or items < 2:
        return 0.0
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((rest**2).sum() / ((seeds - 1) * (items - 1)) / (seeds * items))
