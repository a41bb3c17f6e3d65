"""In-context perplexity: the student's perplexity of a response after its own response to another question, which is
given as an example of style; the mean over responses.

SPPL, self-aligned perplexity (XuanRen4470/SPPL, in_context_perplexity_calculation_length_cutoff): the student is asked
to keep to the style of the example, and the response is read 50 tokens at a time, the text before each piece being
restated in the prompt (tasks/score_in_context.py). Tokens that end the turn are left out, as there; the words of the
prompt are our own. Lower is better.
"""

import math

from tasks.kinds.predictors import Predictor, TrainingSet, mean


class InContextPerplexity(Predictor):
    title = "in-context perplexity"
    better = "lower"
    needs = "in_context"

    def value(self, rows: TrainingSet) -> float:
        read = [each.in_context for each in rows.responses if each.in_context is not None]
        return mean(math.exp(min(700.0, each.nll / each.tokens)) for each in read)
