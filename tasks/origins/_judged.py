"""What origins share that choose among judged and scored responses, a question at a time."""

import itertools
from collections.abc import Iterable, Iterator

from tasks.pipeline.stage import Node
from tasks.storage.joined_rows import JoinedRows
from tasks.storage.rows import Row, Rows


def most_of_each(node: Node) -> int:
    """Rows of a stage that makes `most` for each question."""
    return node.asked.expected_rows * int(node.values["most"])


def by_question(verdicts: Rows, perplexities: Rows) -> Iterator[list[Row]]:
    """The rows of each question, with verdict and perplexity, in the order of their samples."""
    for _, rows in itertools.groupby(JoinedRows(verdicts, perplexities), key=lambda row: row["id"]):
        yield sorted(rows, key=lambda row: row["sample"])


def usable(rows: Iterable[Row], verdict: str) -> list[Row]:
    """Those of a verdict that a student may learn from: neither empty nor cut off, and scored."""
    return [
        row
        for row in rows
        if row["verdict"] == verdict and row["response"] and row.get("finish") != "length"
        if row["nll"] is not None and row["nll"] == row["nll"]
    ]


def each_text_once(rows: Iterable[Row]) -> list[Row]:
    """The first row of each text."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row["response"], row)
    return list(found.values())
