"""Bring the mean lengths of several origins' responses together by leaving questions out."""

from collections.abc import Mapping, Sequence


def within_tolerance(tokens: Mapping[str, Sequence[int]], tolerance: float, size: int) -> tuple[list[int], float]:
    """Choose questions over which the origins' mean tokens differ by at most `tolerance`.

    Greedy: starts from the first `size` questions; as long as the longest mean is more than `1 + tolerance` times the
    shortest, the question that sets the two furthest apart is left out, for good, and the unused question that brings
    them closest together takes its place, where one helps. Order decides ties, so shuffle the questions by seed first.

    Args:
        tokens: response tokens by origin, one number a question, in the same order.
        tolerance: largest share by which the longest mean may pass the shortest.
        size: how many questions are wanted.

    Returns:
        Places of the chosen questions, rising (none where no choice will do), and the share by which their longest
        mean passes the shortest.
    """
    import numpy as np

    counts = np.asarray(list(tokens.values()), dtype=np.int64)
    chosen = np.zeros(counts.shape[1], dtype=bool)
    chosen[:size] = True
    spare = ~chosen
    totals = counts[:, chosen].sum(axis=1)
    while chosen.any():
        longest, shortest = int(totals.argmax()), int(totals.argmin())
        apart = float(totals[longest] / totals[shortest] - 1) if totals[shortest] else float("inf")
        if apart <= tolerance:
            return [int(place) for place in np.flatnonzero(chosen)], apart
        difference = counts[longest] - counts[shortest]
        worst = int(np.where(chosen, difference, np.iinfo(np.int64).min).argmax())
        chosen[worst] = False
        totals = totals - counts[:, worst]
        if not spare.any():
            continue
        gap = np.abs(totals[longest] - totals[shortest] + difference)
        best = int(np.where(spare, gap, np.iinfo(np.int64).max).argmin())
        if difference[best] < difference[worst]:
            chosen[best], spare[best] = True, False
            totals = totals + counts[:, best]
    return [], float("inf")
