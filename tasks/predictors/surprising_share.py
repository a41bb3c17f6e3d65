"""Surprising tokens: the share of response tokens whose perplexity, exp(nll), is above 2.5 for the student.

Wu et al. 2025 (arXiv 2501.14315) leave such tokens out of the loss, and hold them to be what makes a model forget: a
lower share is better. The threshold is theirs (appier-research/robust-llm-finetunes).
"""

import math

from tasks.kinds.predictors import Predictor, TrainingSet

THRESHOLD = 2.5
"""Perplexity of one token."""


class SurprisingShare(Predictor):
    title = "share of surprising tokens"
    better = "lower"

    def value(self, rows: TrainingSet) -> float:
        above = sum(int((each.nll > math.log(THRESHOLD)).sum()) for each in rows.responses)
        return above / sum(len(each.nll) for each in rows.responses)
