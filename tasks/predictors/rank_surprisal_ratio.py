"""Rank-surprisal ratio: the mean over responses of their mean rank, over the mean of their mean nll; ranks are cut off
at 100.

Yang et al. 2026 (arXiv 2601.14249, eq. 7 and appendix A.8; rsr_cal.py of UmeanNever/RankSurprisalRatio): a response
should be surprising, and yet of tokens that rank high. Of one response it is Σ min(rank, 100) / Σ nll. Tokens that end
the turn are left out, as there. Lower is better; the authors report a rank correlation of 0.86 with accuracy.
"""

from tasks.kinds.predictors import Predictor, Response, TrainingSet, mean

MOST_RANK = 100
LEAST_NLL = 1e-12


class RankSurprisalRatio(Predictor):
    title = "rank-surprisal ratio"
    better = "lower"

    def value(self, rows: TrainingSet) -> float:
        said = [each for each in rows.responses if each.words]
        rank = mean(float(each.rank[: each.words].clip(max=MOST_RANK).mean()) for each in said)
        nll = mean(float(each.nll[: each.words].mean()) for each in said)
        return rank / max(nll, LEAST_NLL)


def of_response(response: Response) -> float:
    """Of one response, to choose among several."""
    ranks, nll = response.rank[: response.words].clip(max=MOST_RANK), response.nll[: response.words]
    return float(ranks.sum()) / max(float(nll.sum()), LEAST_NLL)
