"""Training rows: what one arm trains on, in one artifact of its own."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.selection.selected_rows import as_taken, rows_at
from tasks.storage.rows import Rows, Streamed


def _rows(node: Node) -> int:
    """As many of each question as the choices keep of this origin."""
    choices = node.inputs["choices"]
    return choices.expected_rows * (choices.values["keep"] or {}).get(node.values["origin"], 1)


@stage(adds=("origin",), rows=_rows)
def training_rows(choices: Rows, responses: Rows, origin: str, *, work: Work | None = None) -> Rows:
    """The responses, or pairs, that `select` chose of one origin, with all their columns, in its order.

    Args:
        choices: `select`'s rows.
        responses: the origin's scored responses, or its pairs.
        origin: the name under which the choices have it.

    Adds `origin`.

    Raises:
        StageFailed: nothing was chosen of this origin.
    """
    chosen = [
        batch.column("place").filter(pa.compute.equal(batch.column("origin"), origin)).to_numpy()
        for batch in choices.batches(["origin", "place"])
    ]
    places = np.concatenate([np.empty(0, np.int64), *chosen])
    if not len(places):
        raise StageFailed(f"nothing was chosen of the origin {origin}")

    def made() -> Iterator[pa.Table]:
        for table in rows_at(responses, places, work.scratch / "chosen" if work else None):
            yield as_taken(table, origin)

    return Streamed(as_taken(responses.schema.empty_table(), origin).schema.remove_metadata(), len(places), made)
