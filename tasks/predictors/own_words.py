"""Distance from the student's own words: of each response the least share of words to change to make one of the
student's own responses to the question of it; the mean over responses.

Words to insert, delete or replace (Levenshtein), over the words of the longer of the two: 0 for what the student says
itself, 1 for what shares no word with it. That responses near to the student's own teach more is claimed in other
words by Ren et al. 2024 (arXiv 2402.11192); this measure of the distance is ours. Lower is better.
"""

from tasks.kinds.predictors import Predictor, TrainingSet, mean


class OwnWords(Predictor):
    title = "distance from own words"
    better = "lower"
    needs = "own"

    def value(self, rows: TrainingSet) -> float:
        own = {id: [text.split() for text in texts] for id, texts in rows.own.items()}
        return mean(_nearest(each.text.split(), own[each.id]) for each in rows.responses if own.get(each.id))


def _nearest(words: list[str], others: list[list[str]]) -> float:
    from rapidfuzz.distance import Levenshtein

    return min(Levenshtein.normalized_distance(words, other) for other in others)
