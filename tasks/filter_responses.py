"""Leave out responses that hold chat or are of another length than the task's examples."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import percent
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.synthesis.demonstrations import demonstrations
from tasks.synthesis.filters import REASONS, Filters
from tasks.synthesis.left_out import left_out_in_words


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How many responses there were and are kept, and why the others were left out."""
    return {
        "responses": f"{facts['responses']:,}",
        "kept": f"{facts['kept']:,} ({percent(facts['kept'] / facts['responses'])} %)",
        "left out": left_out_in_words(facts["left_out"], REASONS),
    }


@stage(
    facts=(Fact("responses", reported=True), Fact("kept", reported=True), Fact("left_out", reported=True)),
    table=step_table,
)
def filter_responses(responses: Rows, filters: Filters, *, work: Work) -> Iterator[Row]:
    """The responses that no filter leaves out, as they are.

    Lengths are held against the outputs of the task's examples (column `demos`), where there is such a filter; whether
    two are alike is not looked at, since responses to one question are to agree. Facts: `responses`, `kept`, and
    `left_out` by reason (tasks/synthesis/filters.py).

    Raises:
        InputError: lengths are to be filtered, and the rows have no examples.
        StageFailed: every response was left out; says by which filter.
    """
    counts: Counter[str] = Counter()
    window: tuple[float, float] | None = None
    total = 0
    for row in responses:
        if filters.length is not None and window is None:
            window = filters.window([one.output for one in demonstrations(row, work.run_name)])
        total += 1
        if (reason := filters.of_text(row, window)) is not None:
            counts[reason] += 1
            continue
        yield row
    kept = total - counts.total()
    work.facts |= {"responses": total, "kept": kept, "left_out": dict(counts)}
    if not kept:
        why = left_out_in_words(counts, REASONS)
        raise StageFailed(f"{work.run_name}: none of {total:,} responses is kept: {why}")
