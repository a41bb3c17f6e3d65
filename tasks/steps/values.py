"""What steps are worth, worked out of rollouts: the chance to be right from a prefix, and what each step adds to it.

Setlur et al. 2024 (arXiv 2406.14532), equation 3: the value of a prefix is taken of the best of K = 5 completions of
the student, and a step's advantage is the value after it less the value before it.
"""

import itertools
from collections.abc import Sequence

from tasks.comparison.pass_at_k import pass_at_k

BEST_OF = 5
"""K of the paper."""


def advantages(made: Sequence[int], correct: Sequence[int], right: bool, best_of: int = BEST_OF) -> list[float]:
    """The advantage of each step of a complete response: they sum to its result (1 or 0) less the question's value.

    Args:
        made: rollouts from each prefix, the empty one first and the whole response left out: one number a step.
        correct: correct ones among them.
        right: whether the response is correct, which is the value of the whole of it.
        best_of: of how many completions the best counts; fewer rollouts than that have no unbiased estimate.

    Raises:
        ValueError: a prefix has fewer rollouts than `best_of`.
    """
    values = [*(pass_at_k(n, c, best_of) for n, c in zip(made, correct, strict=True)), float(right)]
    return [after - before for before, after in itertools.pairwise(values)]
