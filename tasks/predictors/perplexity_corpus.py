"""Corpus perplexity: exp(Σ nll / Σ tokens) over all responses, so that each token counts the same.

The usual perplexity of a corpus; long responses count more than in the mean over responses.
"""

import math

from tasks.kinds.predictors import Predictor, TrainingSet


class PerplexityCorpus(Predictor):
    title = "corpus perplexity"
    better = "lower"

    def value(self, rows: TrainingSet) -> float:
        nats, tokens = sum(each.nll.sum() for each in rows.responses), sum(len(each.nll) for each in rows.responses)
        return math.exp(min(700.0, nats / tokens))
