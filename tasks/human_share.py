"""Have people give the feedback on the drafts of some questions, in place of another annotator."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter

from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows


def _rows(node: Node) -> int:
    return round(float(node.values["share"]) * node.inputs["drafts"].expected_rows)


@stage(
    facts=(Fact("questions", "questions with feedback of people", reported=True), Fact("of", "of questions")),
    rows=_rows,
)
def human_share(
    drafts: Rows, human: Rows, share: float, own_questions: bool, seed: int, *, work: Work
) -> Iterator[Row]:
    """People's feedback for a share of the questions, with `in_place_of`: the question whose drafts it stands for.

    Each question gets as many rows as it has drafts, so that the number of rows is the same whatever the share. Which
    questions come first is drawn by `seed`: those of a share are among those of each larger one.

    Args:
        drafts: `judged_drafts`' rows.
        human: rows of feedback that people gave.
        share: of the questions with drafts, 0 to 1; their number is rounded.
        own_questions: whether people's feedback is on questions of its own, any of which can stand for any question.

    Facts: `questions` (how many are people's), `of` (how many there are).

    Raises:
        StageFailed: people gave less feedback than is needed, says how much there is; or the share is of too few
            questions for one of the two.
    """
    wanted = Counter(drafts.column("id"))
    needed = round(share * len(wanted))
    if not needed or (share < 1 and needed == len(wanted)):
        raise StageFailed(
            f"{work.run_name}: human_share {share:g} of {len(wanted):,} questions is {needed:,}; allowed are 0, 1 and "
            "shares that leave a question to people and one to the other annotator"
        )
    order = sorted(wanted, key=lambda id: random.Random(f"human share {seed} {id}").random())
    if own_questions:
        given, chosen = _in_order(human, seed), order[:needed]
        rows = sum(wanted[id] for id in chosen)
        if rows > len(given):
            raise StageFailed(
                f"{work.run_name}: human_share {share:g} needs {rows:,} rows of people's feedback (for {needed:,} of "
                f"{len(wanted):,} questions), there are {len(given):,}"
            )
        feedback = iter(given)
        found = {id: list(itertools.islice(feedback, wanted[id])) for id in chosen}
    else:
        found = {id: list(rows)[: wanted[id]] for id, rows in itertools.groupby(human, itemgetter("id"))}
        enough = [id for id in order if len(found.get(id, [])) == wanted[id]]
        chosen = enough[:needed]
        if len(chosen) < needed:
            raise StageFailed(
                f"{work.run_name}: human_share {share:g} needs people's feedback for {needed:,} of {len(wanted):,} "
                f"questions, there is enough for {len(enough):,} (as many rows as a question has drafts)"
            )
    work.facts.update(questions=needed, of=len(wanted))
    return ({**row, "in_place_of": id} for id in chosen for row in found[id])


def _in_order(human: Rows, seed: int) -> list[Row]:
    """People's rows in an order drawn by `seed`."""
    return sorted(human, key=lambda row: random.Random(f"human row {seed} {row['id']}").random())
