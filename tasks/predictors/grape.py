"""GRAPE: the mean over questions of the greatest length-normalised log-likelihood, −nll / tokens, of any candidate.

Zhang et al. 2025 (arXiv 2502.04194) train on this candidate of each question (here: the origin by_perplexity). As a
number of a training set it is taken over all responses that there were to choose from, to the questions trained on,
whatever their verdicts. Higher is better.
"""

from tasks.kinds.predictors import Predictor, TrainingSet, mean


class Grape(Predictor):
    title = "GRAPE"
    better = "higher"

    def value(self, rows: TrainingSet) -> float:
        best = {each.id: -float(each.nll.mean()) for each in rows.responses}
        for each in rows.candidates:
            if each.id in best and each.tokens:
                best[each.id] = max(best[each.id], -each.nll / each.tokens)  # NaN is never the greater
        return mean(best.values())
