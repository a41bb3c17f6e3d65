"""Mean perplexity: the mean over responses of the student's perplexity of each, exp(Σ nll / tokens).

Ren et al. 2024 (arXiv 2402.11192): responses of lower perplexity are more familiar, and are learnt better. Tokens that
end the turn count. The mean is driven by outliers.
"""

import math

from tasks.kinds.predictors import Predictor, TrainingSet, mean


class PerplexityMean(Predictor):
    title = "mean perplexity"
    better = "lower"

    def value(self, rows: TrainingSet) -> float:
        return mean(math.exp(min(700.0, each.nll.mean())) for each in rows.responses)
