"""Which arm gains most where it gains least: the choice of one setting for many tasks.

SELF-GUIDE (Zhao et al. 2024, arXiv 2407.12874) chooses its temperature and epochs so: of all settings the one whose
smallest gain over the development tasks is largest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tasks.comparison.phrasing import interval, points

if TYPE_CHECKING:
    from tasks.comparison.arms import Arms


def smallest_gain(arms: Arms) -> list[str]:
    """One sentence; none where there are fewer than two training benchmarks, or arms with a gain on each.

    The interval is that of the gain on the benchmark named; that it was the smallest of several is not in it.
    """
    if len(arms.trained) < 2 or len(arms.names) < 2:
        return []
    least = {}
    for name in arms.names:
        gains = [(arms.gain([name], trained=[on]), on) for on in arms.trained]
        if not any(math.isnan(gain.value) for gain, _ in gains):
            least[name] = min(gains, key=lambda gain: gain[0].value)
    if len(least) < 2:
        return []
    best = max(least, key=lambda name: least[name][0].value)
    gain, on = least[best]
    return [
        f"{arms.wording.training(best)} gains most where it gains least: {points(gain.value, sign=True)} on {on}, "
        f"{interval(gain)}."
    ]
