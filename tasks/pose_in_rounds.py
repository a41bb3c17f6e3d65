"""Have a model write new inputs of a task in rounds: what is accepted is shown to it again."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data.bounds import Whole
from data.errors import InputError
from tasks.engine.interface import Request, ServedModel
from tasks.models.filling import fill
from tasks.models.model import Model
from tasks.models.rendering import Renderer, renderer
from tasks.models.sampling import Sampling, seed_of
from tasks.pipeline.declaration import Compute, Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.questions import normalised
from tasks.reporting.formatting import percent, ratio
from tasks.resources.errors import StageFailed
from tasks.storage.append_only_file import append, new_lines
from tasks.storage.rows import Row, Rows
from tasks.synthesis.demonstrations import demonstrations
from tasks.synthesis.filters import REASONS, Filters, Reason
from tasks.synthesis.labels import label_set
from tasks.synthesis.left_out import left_out_in_words
from tasks.synthesis.shared_columns import shared_columns

Task = Literal["classification", "generation"]
LOG = "inputs.jsonl"
POSING = Compute("write", "inputs", flops=2, efficiency=0.10, writes=True)


class Rounds(BaseModel):
    """How many inputs are asked for, and what each prompt shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: Whole = Field(default=20, ge=1, le=10_000)
    prompts: Whole = Field(default=10, ge=1, le=10_000)
    """In each round."""
    shown: Whole = Field(default=10, ge=0, le=1000)
    """Accepted inputs of earlier rounds in a prompt, at most."""


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """How many inputs were asked for and kept, and why the others were left out."""
    return {
        "inputs asked for": f"{facts['asked']:,}",
        "kept": f"{facts['kept']:,} ({percent(facts['kept'] / facts['asked'])} %)",
        "left out": left_out_in_words(facts["left_out"], REASONS),
        "likeness to the nearest example (0 to 1)": ratio(facts["likeness"]),
    }


def _most(node: Node) -> int:
    rounds: Rounds = node.values["rounds"]
    return rounds.rounds * rounds.prompts


@stage(
    slot="engine",
    unit="inputs",
    rows=_most,
    compute=POSING,
    facts=(
        Fact("asked", reported=True),
        Fact("kept", reported=True),
        Fact("left_out", reported=True),
        Fact("likeness", reported=True),
    ),
    table=step_table,
    own_questions=True,
)
def pose_in_rounds(
    questions: Rows,
    model: Model,
    template: str,
    prompt: str,
    task: Task,
    rounds: Rounds,
    sampling: Sampling,
    filters: Filters,
    seed: int,
    *,
    work: Work,
) -> Iterator[Row]:
    """New inputs of the task that the questions are of, in the order in which they were accepted.

    Each prompt shows the inputs of the task's examples (column `demos`) in random order and, at random, 1 to
    `rounds.shown` of the inputs accepted in earlier rounds; in classification it asks for an input of a label drawn at
    random, which steers and is not kept. A round is filtered when it is whole, in the order of its prompts. Every
    response is kept as it comes, so that a round that was cut off goes on where it was (SELF-GUIDE, Zhao et al. 2024,
    arXiv 2407.12874; github zhaochenyang20/Prompt2Model-Self-Guide).

    Rows have `id`, `question` (the input) and the columns in which all questions are the same. Facts: `asked`, `kept`,
    `left_out` by reason (tasks/synthesis/filters.py), `kept_by_round`, and `likeness` (mean over the inputs kept of the
    edit similarity, 0 to 1, to the nearest example).

    Args:
        questions: the benchmark's; no new input may be one of theirs.
        template: how an input is asked for, over `examples`, `accepted` (lists of texts), `label` (or None) and the
            shared columns.
        prompt: the template by which the new inputs will be answered.

    Raises:
        InputError: the questions have no examples, one label alone, or lack a column that a template needs.
        StageFailed: the examples alone leave the model no room, or every input was left out; says by which filter.
    """
    shared = shared_columns(questions)
    examples = [one.input for one in demonstrations(shared, work.run_name)]
    labels = label_set(questions, work.run_name) if task == "classification" else ()
    try:
        fill(prompt, {**shared, "id": "new", "question": examples[0]})
    except InputError as error:
        raise InputError(f"{work.run_name}: a new input could not be asked: {error}") from error
    accepted = _Accepted(filters, examples, {normalised(text) for text in [*examples, *questions.column("question")]})
    written = _Written(work.scratch / LOG)
    rendering = renderer(model)
    asking = _Asking(template, shared, examples, labels, rounds.shown, rendering, sampling.max_tokens, seed)
    with work.runtime.engines.use(model, 0, work.note) as engine:
        for number in range(rounds.rounds):
            numbers = range(number * rounds.prompts, (number + 1) * rounds.prompts)
            asked = {at: asking.ids(at, accepted.texts) for at in numbers if at not in written.responses}
            for at, text, finish in _responses(engine, asked, rendering, sampling, seed):
                written.add(at, text, finish)
                work.progress(len(written.responses), rounds.rounds * rounds.prompts)
            accepted.take(written.responses[at] for at in numbers)
    work.facts |= {"template": rendering.hash, "asked": accepted.asked, "kept": len(accepted.texts)}
    work.facts |= {"left_out": dict(accepted.left_out), "kept_by_round": accepted.by_round}
    if not accepted.texts:
        why = left_out_in_words(accepted.left_out, REASONS)
        raise StageFailed(f"{work.run_name}: none of {accepted.asked:,} inputs is kept: {why}")
    work.facts["likeness"] = fmean(map(accepted.likeness, accepted.texts))
    return ({**shared, "id": f"new/{at:06d}", "question": text} for at, text in enumerate(accepted.texts))


@dataclass(frozen=True)
class _Asking:
    """What a prompt for a new input is made of."""

    template: str
    shared: Row
    examples: Sequence[str]
    labels: Sequence[str]
    shown: int
    rendering: Renderer
    room: int
    """Tokens left for the response."""
    seed: int

    def ids(self, number: int, accepted: Sequence[str]) -> list[int]:
        """Token ids of a prompt. Where the accepted inputs do not leave room, fewer of them are shown.

        Raises:
            StageFailed: not even the examples do.
        """
        rng = random.Random(f"pose {self.seed} {number}")
        examples = rng.sample(list(self.examples), len(self.examples))
        most = min(self.shown, len(accepted))
        again = rng.sample(list(accepted), rng.randint(1, most)) if most else []
        label = rng.choice(self.labels) if self.labels else None
        while True:
            row = {**self.shared, "id": f"new input {number}", "examples": examples, "accepted": again, "label": label}
            ids = self.rendering.prompt(self.template, row)
            if len(ids) + self.room <= self.rendering.context:
                return ids
            if not again:
                raise StageFailed(
                    f"the instruction and its {len(examples)} examples have {len(ids):,} tokens: with "
                    f"{self.room:,} for an input that is more than the model's context of "
                    f"{self.rendering.context:,}. Allow fewer tokens for an input, or show fewer examples"
                )
            again = again[:-1]


def _responses(
    engine: ServedModel, asked: Mapping[int, list[int]], rendering: Renderer, sampling: Sampling, seed: int
) -> Iterator[tuple[int, str, str]]:
    """The response to each prompt as it comes: its number, text and finish."""
    numbers = list(asked)
    requests = (
        Request(asked[at], sampling, tuple(rendering.stop_ids), seed_of(seed, "pose", at), row=f"new input {at}")
        for at in numbers
    )
    for position, completion in engine.stream(requests):
        yield numbers[position], rendering.text(completion.ids), completion.finish


class _Written:
    """What the model wrote, by the number of its prompt, in a file that outlives a study that is killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.responses: dict[int, Row] = {line["number"]: line for _, line in new_lines(path, 0)[0]}

    def add(self, number: int, text: str, finish: str) -> None:
        self.responses[number] = {"number": number, "response": text, "finish": finish}
        append(self._path, self.responses[number])


@dataclass
class _Accepted:
    """The inputs that are kept, round by round, and why the others are not."""

    filters: Filters
    examples: Sequence[str]
    known: set[str]
    """Normalised texts that no new input may be."""
    texts: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    by_round: list[int] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self._window = self.filters.window(self.examples)
        self._seen: set[str] = set()

    def take(self, responses: Iterable[Row]) -> None:
        """Filter one round's responses, in the order of their prompts."""
        before = len(self.texts)
        for row in responses:
            self.asked += 1
            text = row["response"].strip()
            if (reason := self.filters.of_text(row, self._window) or self._known(text)) is not None:
                self.left_out[reason] += 1
                continue
            self._seen.add(normalised(text))
            self.texts.append(text)
        self.by_round.append(len(self.texts) - before)

    def _known(self, text: str) -> Reason | None:
        """Why a text is no new one."""
        same = normalised(text)
        if same in self.known:
            return "copied"
        if same in self._seen:
            return "duplicate"
        return "near_duplicate" if self.filters.is_near(text, self.texts) else None

    def likeness(self, text: str) -> float:
        """Edit similarity to the nearest example, 0 to 1."""
        from rapidfuzz.distance import Levenshtein

        return max(Levenshtein.normalized_similarity(text, example) for example in self.examples)
