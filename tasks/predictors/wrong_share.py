"""Wrong responses: the share of those trained on whose answer is wrong, among those with a verdict.

What cannot be read with certainty is not wrong. Lower is said to be better. In a study that matches correct responses
alone it is 0 for all arms, and says nothing.
"""

from tasks.kinds.predictors import Predictor, TrainingSet, mean
from tasks.predictors.pass_rate import JUDGED


class WrongShare(Predictor):
    title = "share of wrong responses"
    better = "lower"
    needs = "verdicts"

    def value(self, rows: TrainingSet) -> float:
        return mean(float(each.verdict == "wrong") for each in rows.responses if each.verdict in JUDGED)
