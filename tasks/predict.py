"""Predict: what is known of an arm's training rows before any training, by every predictor in tasks/predictors."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.kinds.predictors import LACKING, Predictor, TrainingSet
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.prediction.training_set import READ, candidates, lacks, own_responses, responses, values
from tasks.reporting.formatting import ratio
from tasks.scoring import token_numbers
from tasks.selection.selected_rows import rows_at
from tasks.storage.joined_rows import JoinedRows
from tasks.storage.rows import Row, Rows, Streamed


def _rows(node: Node) -> int:
    return len(node.values["predictors"])


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """Each predictor's value."""
    return {title: ratio(value) if value is not None else "undefined" for title, value in facts["values"].items()}


@stage(rows=_rows, unit="predictors", table=step_table)
def predict(
    choices: Rows,
    verdicts: Rows,
    perplexities: Rows,
    pool: str,
    student: Model,
    predictors: Mapping[str, type[Predictor]],
    own: Rows | None = None,
    further: Rows | None = None,
    *,
    work: Work,
) -> list[Row]:
    """Every predictor's value of what `select` chose of one origin, from numbers that were kept: no forward pass.

    Args:
        choices: `select`'s rows.
        verdicts: the origin's responses with their verdicts.
        perplexities: the same rows in the same order, scored.
        pool: the name under which the choices have the origin.
        student: whose tokens the responses are made of.
        own: the student's own responses to the same questions.
        further: what it makes of some of the rows in other contexts (`read_again`).

    Gives one row a predictor: `predictor`, `value` (NaN: undefined), `rows` (responses trained on that the student
    could read) and `lacks` (why there is no value; else empty).
    """
    turned = renderer(student)
    scored = JoinedRows(verdicts, perplexities)
    wanted = [name for name in (*READ, *token_numbers.COLUMNS) if name in scored.columns]
    chosen = _chosen(choices, scored, pool, wanted, work)
    found = responses(chosen, turned, further)
    rows = TrainingSet(found, candidates(scored), own_responses(own))
    made = values(predictors, rows)
    known = {predictors[name].title: value if math.isfinite(value) else None for name, value in made.items()}
    work.facts |= {"rows": len(found), "values": known}
    return [
        {"predictor": name, "value": value, "rows": len(found), "lacks": _lacking(predictors[name], rows)}
        for name, value in made.items()
    ]


def _lacking(predictor: type[Predictor], rows: TrainingSet) -> str:
    if not rows.responses:
        return "no response kept its tokens' numbers"
    return LACKING[predictor.needs] if predictor.needs and lacks(predictor, rows) else ""


def _chosen(choices: Rows, scored: Rows, pool: str, columns: list[str], work: Work) -> list[Row]:
    """The chosen rows in their order, with these columns alone."""
    places = [
        batch.column("place").filter(pc.equal(batch.column("origin"), pool)).to_numpy()
        for batch in choices.batches(["origin", "place"])
    ]
    schema = pa.schema([scored.schema.field(name) for name in columns])
    narrow = Streamed(schema, len(scored), lambda: scored.batches(columns))
    tables = rows_at(narrow, np.concatenate([np.empty(0, np.int64), *places]), work.scratch / "chosen")
    return [row for table in tables for row in table.to_pylist()]
