"""Groups of a benchmark's questions, each to be shown to a model that is to write one more like them."""

import math
import random
from collections.abc import Iterator

from data.errors import InputError
from tasks.models.filling import fill
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.synthesis.shared_columns import shared_columns


def _count(node: Node) -> int:
    count = node.values["count"]
    assert isinstance(count, int)
    return count


@stage(rows=_count)
def examples(questions: Rows, shown: int, count: int, prompt: str, seed: int, *, work: Work) -> Iterator[Row]:
    """`count` different groups of `shown` questions, drawn by `seed`; fewer groups are the first ones of more.

    Rows have `id`, `examples` (a list of texts in random order) and those of the questions' columns, such as the labels
    that are allowed, that have the same value in all of them: what a question posed like these has too.

    Args:
        prompt: the template by which the questions posed will be answered.

    Raises:
        StageFailed: there are fewer than `count` such groups.
        InputError: the template asks for a column that a question posed will not have.
    """
    texts = questions.column("question")
    if (groups := math.comb(len(texts), shown)) < count:
        raise StageFailed(
            f"{work.run_name}: {len(texts):,} questions make {groups:,} different groups of {shown}, {count:,} are "
            "wanted. Ask for fewer questions to be posed, or show another number of examples"
        )
    shared = shared_columns(questions)
    try:
        fill(prompt, {**shared, "id": "posed", "question": texts[0]})
    except InputError as error:
        raise InputError(f"{work.run_name}: a posed question could not be asked: {error}") from error
    drawn: set[frozenset[int]] = set()
    rng = random.Random(f"examples {seed}")
    while len(drawn) < count:
        group = rng.sample(range(len(texts)), shown)
        if (members := frozenset(group)) not in drawn:
            yield {**shared, "id": f"posed/{len(drawn):06d}", "examples": [texts[at] for at in group]}
            drawn.add(members)
