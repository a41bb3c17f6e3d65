"""Local naturalness without first tokens: the mean over steps of the mean log-probability of all tokens but the first.

ASLEC-DROP, a variant of local naturalness (Just et al. 2025, arXiv 2510.03988): where a step begins, much is possible,
and its first token is improbable whoever writes. A step of one token is left out. Higher is better.
"""

import math

from tasks.kinds.predictors import Predictor, Response, TrainingSet, mean


class LocalNaturalnessDrop(Predictor):
    title = "local naturalness, DROP"
    better = "higher"
    needs = "local"

    def value(self, rows: TrainingSet) -> float:
        each = [without_first(response) for response in rows.responses if response.local_nll is not None]
        return mean(value for value in each if not math.isnan(value))


def without_first(response: Response) -> float:
    """Of one response; NaN where no step has two tokens."""
    assert response.local_nll is not None
    spans = zip([0, *response.steps[:-1]], response.steps, strict=True)
    return mean(-float(response.local_nll[start + 1 : end].mean()) for start, end in spans if end - start > 1)
