"""A method's examples on their way to the trainer process: a Parquet file."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.kinds.methods import Example
from tasks.models.rendering import Rendered
from tasks.storage.rows import Rows

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "ids": pa.list_(pa.list_(pa.int64())),
        "prompt": pa.list_(pa.int64()),
        "weights": pa.list_(pa.list_(pa.float64())),
    }
)
"""Of each sequence its token ids, how many of them are the prompt, and a weight for each of the others."""


def write(examples: Sequence[Example], path: Path) -> None:
    rows = [
        {
            "id": example.id,
            "ids": [sequence.ids for sequence in example.sequences],
            "prompt": [sequence.prompt_length for sequence in example.sequences],
            "weights": example.weights,
        }
        for example in examples
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)


def read(path: Path) -> list[Example]:
    examples = []
    for row in Rows([path]):
        sequences = [Rendered(*sequence) for sequence in zip(row["ids"], row["prompt"], strict=True)]
        for sequence in sequences:
            assert 0 < sequence.prompt_length < len(sequence.ids), "a row without a prompt or without a response token"
        examples.append(Example(row["id"], sequences, row["weights"]))
    return examples
