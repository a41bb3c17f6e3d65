"""Who gives feedback on drafts: a rule, a model, or people whom a benchmark or its files have.

Each makes rows with a draft's columns and `feedback`, `annotator` (a name), `source` (rule, model or human) and
`saw_gold` (whether the annotator was shown the right answer).
"""

from collections.abc import Iterator

from data.benchmark import Feedback
from data.errors import InputError
from data.kinds import unknown
from tasks.models.filling import fill
from tasks.models.sampling import GENERATED
from tasks.pipeline.declaration import Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.rows import Row, Rows
from tasks.verification.stated_verdict import MEANS, VerdictWords

NEGATIVE_EXAMPLES = "negative_examples"
"""A column with wrong answers that a task's authors show, and why they are wrong: `input`, `output`, `explanation`."""
UNSAID = Fact("unsaid", "drafts of which nothing can be said", reported=True, unless_zero=True)


@stage(facts=(UNSAID,))
def by_rule(drafts: Rows, template: str, words: VerdictWords, *, work: Work) -> Iterator[Row]:
    """Feedback from a template over a draft's columns and `verdict` ("correct" or "wrong"), `right` and `wrong` (the
    words that say so). Drafts that could not be judged are left out and counted: a rule knows no more of them.

    Raises:
        InputError: the template is wrong, or names a column that a row lacks or has no value for.
    """
    work.facts["unsaid"] = 0
    for row in drafts:
        if (verdict := row["draft_verdict"]) not in MEANS:
            work.facts["unsaid"] += 1
            continue
        told = {**row, "verdict": verdict, "right": words.right, "wrong": words.wrong}
        yield {**row, "feedback": fill(template, told), "annotator": "rule", "source": "rule", "saw_gold": True}


@stage()
def by_model(written: Rows, saw_gold: bool) -> Iterator[Row]:
    """What a model wrote of drafts (`generate`'s rows) as its feedback."""
    for row in written:
        kept = {name: value for name, value in row.items() if name not in GENERATED or name in ("sample", "finish")}
        said = {"feedback": row["response"], "annotator": row["model"], "source": "model", "saw_gold": saw_gold}
        yield {**kept, **said}


@stage(facts=(UNSAID,))
def by_benchmark(drafts: Rows, feedback: Feedback, *, work: Work) -> Iterator[Row]:
    """What the people of a benchmark say of drafts. Those of which they can say nothing are left out and counted.

    Raises:
        StageFailed: they can say nothing of any.
    """
    unsaid = ""
    work.facts["unsaid"] = 0
    for row in drafts:
        try:
            said = feedback(row["question"], row["draft"])
        except ValueError as error:
            work.facts["unsaid"] += 1
            unsaid = f"row {row['id']}: {error}"
            continue
        yield {**row, "feedback": said, "annotator": "human", "source": "human", "saw_gold": True}
    if work.facts["unsaid"] == len(drafts):
        raise StageFailed(f"{work.run_name}: the benchmark's people say nothing of any draft, {unsaid}")


def _others(node: Node) -> int:
    return max(0, int(node.inputs["drafts"].expected_rows) - int(node.inputs["human"].expected_rows))


@stage(rows=_others)
def left_to_annotator(drafts: Rows, human: Rows, *, work: Work) -> Iterator[Row]:
    """The drafts of the questions that people's feedback (`human_share`'s rows) does not stand for."""
    taken = set(human.column("in_place_of"))
    return (row for row in drafts if row["id"] not in taken)


def _one(node: Node) -> int:
    return 1


@stage(rows=_one, own_questions=True)
def negative_examples(questions: Rows, words: VerdictWords) -> Iterator[Row]:
    """The wrong answers that a task's authors show, each a draft to a question of its own, with their explanation and
    the words that say it is wrong.

    Rows have `id`, `question` (the example's input), `context` (the task's definition, where questions have one),
    `sample` (0) and the columns of feedback, and no gold answer.

    Raises:
        InputError: the questions have no such examples.
    """
    shown = _shown(questions)
    for number, (context, example) in enumerate(shown):
        yield {
            **{"id": f"{NEGATIVE_EXAMPLES}/{number:06d}", "question": example["input"], "gold": None},
            **({"context": context} if context else {}),
            **{"sample": 0, "draft": example["output"], "draft_verdict": "wrong"},
            **{"feedback": f"{example['explanation'].strip()} {words.wrong}", "annotator": NEGATIVE_EXAMPLES},
            **{"source": "human", "saw_gold": True},
        }


def _shown(questions: Rows) -> list[tuple[str, Row]]:
    """The examples of all questions, each once, with the definition of their task.

    Raises:
        InputError: there are none.
    """
    if NEGATIVE_EXAMPLES not in questions.columns:
        columns = [name for name in questions.columns if name not in ("id", "question", "gold")]
        raise InputError(unknown("column", NEGATIVE_EXAMPLES, columns))
    found: dict[tuple[str, str, str], tuple[str, Row]] = {}
    for row in questions:
        for example in row[NEGATIVE_EXAMPLES] or ():
            context = row.get("context") or ""
            found.setdefault((context, example["input"], example["output"]), (context, example))
    if not found:
        raise InputError(f"column {NEGATIVE_EXAMPLES!r} is empty in all {len(questions)} questions")
    return list(found.values())
