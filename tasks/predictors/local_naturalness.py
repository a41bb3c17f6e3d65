"""Local naturalness: the mean token log-probability of each step given the prompt and at most the four steps before it,
averaged over steps, then over responses.

Just et al. 2025 (arXiv 2510.03988, eq. 2, k = 4): log-likelihood given the whole response prefers what is written in
one manner throughout; within a short window teachers can be told apart. Steps are sentences (tasks/steps/splitting.py);
the tokens that end the turn are of no step. Higher is better. A response of up to five steps needs no further pass.
"""

from tasks.kinds.predictors import Predictor, Response, TrainingSet, mean


class LocalNaturalness(Predictor):
    title = "local naturalness"
    better = "higher"
    needs = "local"

    def value(self, rows: TrainingSet) -> float:
        return mean(naturalness(each) for each in rows.responses if each.local_nll is not None)


def naturalness(response: Response) -> float:
    """Of one response."""
    assert response.local_nll is not None
    starts = [0, *response.steps[:-1]]
    return mean(-float(response.local_nll[start:end].mean()) for start, end in zip(starts, response.steps, strict=True))
