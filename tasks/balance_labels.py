"""Take as many examples of each label as there are of the rarest."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import ratio
from tasks.storage.rows import Row, Rows
from tasks.synthesis.labels import entropy, label_set


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How many rows each label has, how many are kept of each, and how even the labels were."""
    return {
        "rows": ", ".join(f"{label}: {count:,}" for label, count in facts["labels"].items()),
        "kept of each": f"{facts['each']:,}",
        "labels that are missing": ", ".join(facts["missing"]) or "none",
        "entropy before, bits": ratio(facts["entropy"]),
    }


@stage(
    facts=(Fact("labels", reported=True), Fact("kept", reported=True), Fact("entropy", reported=True)), table=step_table
)
def balance_labels(labelled: Rows, benchmark: Rows, seed: int, *, work: Work) -> Iterator[Row]:
    """Of the rows of each label (`gold`) a random part, as many as the rarest label has; in their order.

    A label without any row is noted: it is not learnt (SELF-GUIDE's code, arXiv 2407.12874, does not see it).
    Facts: `labels` (rows of each), `missing`, `each` and `kept` (numbers), `entropy` (bits, before).

    Raises:
        InputError: the benchmark has one label alone.
    """
    wanted = label_set(benchmark, work.run_name)
    golds = labelled.column("gold")
    places: dict[str, list[int]] = defaultdict(list)
    for at, gold in enumerate(golds):
        places[gold].append(at)
    each = min(map(len, places.values()))
    rng = random.Random(f"balance {seed}")
    kept = {at for label in sorted(places) for at in rng.sample(places[label], each)}
    missing = [label for label in wanted if label not in places]
    counts = {label: len(places[label]) for label in sorted(places)}
    work.facts |= {"labels": counts, "missing": missing, "each": each, "kept": len(kept)}
    work.facts["entropy"] = entropy(golds)
    if missing:
        work.note(f"labels that no row has, which will not be learnt: {', '.join(missing)}")
    return (row for at, row in enumerate(labelled) if at in kept)
