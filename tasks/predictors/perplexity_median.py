"""Median perplexity: the median over responses of the student's perplexity of each, exp(Σ nll / tokens).

As the mean (Ren et al. 2024, arXiv 2402.11192), without the pull of single responses that the student finds strange.
"""

import math
import statistics

from tasks.kinds.predictors import Predictor, TrainingSet


class PerplexityMedian(Predictor):
    title = "median perplexity"
    better = "lower"

    def value(self, rows: TrainingSet) -> float:
        return statistics.median(math.exp(min(700.0, each.nll.mean())) for each in rows.responses)
