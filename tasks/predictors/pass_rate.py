"""Pass rate: the share correct of the responses that there were to choose from, among those with a verdict.

A writer who is right more often is commonly taken for the better teacher. Higher is said to be better.
"""

from tasks.kinds.predictors import Predictor, TrainingSet, mean

JUDGED = ("correct", "wrong", "unparseable")


class PassRate(Predictor):
    title = "pass rate"
    better = "higher"
    needs = "verdicts"

    def value(self, rows: TrainingSet) -> float:
        return mean(float(each.verdict == "correct") for each in rows.candidates if each.verdict in JUDGED)
