"""Length: the mean number of response tokens. The baseline that every other predictor must beat.

Plain response length went with accuracy at τ = 0.91 over the teachers of teacher-ranking-proxy (8 B student, agent
tasks), better than any likelihood there; longer is said to be better.
"""

from tasks.kinds.predictors import Predictor, TrainingSet, mean


class Length(Predictor):
    title = "length"
    better = "higher"

    def value(self, rows: TrainingSet) -> float:
        return mean(float(len(each.nll)) for each in rows.responses)
