"""Self-guide: the student writes new inputs of a task from an instruction and a few examples, and answers them itself.

SELF-GUIDE (Zhao et al. 2024, arXiv 2407.12874). Inputs are written in rounds and filtered, each is answered several
times, answers are filtered too, and the one that most of them agree on is learnt, with the benchmark's own prompt,
which shows the examples. What differs from its code is said where it differs (tasks/self_consistency.py,
tasks/synthesis/filters.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from data.bounds import MOST_TOKENS, Real, Temperature, Whole
from data.errors import InputError
from data.prompt import template
from tasks.balance_labels import balance_labels
from tasks.filter_responses import filter_responses
from tasks.generate import generate
from tasks.kinds.origins import Context, Look
from tasks.models.sampling import RESPONSE, Sampling
from tasks.origins._responses import Responses
from tasks.pipeline.stage import Node, stage
from tasks.pose_in_rounds import Rounds, Task, pose_in_rounds
from tasks.self_consistency import Pick, self_consistency
from tasks.storage.rows import Row, Rows
from tasks.synthesis.demonstrations import demonstrations
from tasks.synthesis.filters import NOISE, Filters
from tasks.synthesis.labels import label_set
from tasks.verification import golds

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "generation": {"task": "generation", "rounds": 20, "input_temperature": 1.0, "output_length": 2.0},
    "classification": {"task": "classification", "rounds": 40, "input_temperature": 0.6, "output_length": None},
}
"""The two settings of the paper's scripts, by name; all else in them is the defaults of the options."""


@stage(adds=RESPONSE)
def outputs(questions: Rows, model: str) -> Iterator[Row]:
    """The output of each input (`reference`) as its one response. Adds `sample` (0), `model` and `response`."""
    for row in questions:
        yield {**row, "sample": 0, "model": model, "response": row["reference"]}


class SelfGuide(Responses):
    """Inputs and outputs that the student writes itself, from the instruction and examples of its benchmark."""

    kind: Literal["self_guide"] = "self_guide"
    preset: Literal["generation", "classification"] = Field(
        default="generation",
        description="The paper's setting for tasks whose outputs are texts, or labels. What is given beside it counts.",
    )
    task: Task = Field(
        default="generation",
        description="Whether outputs are labels: each prompt then asks for an input of a label drawn at random, and "
        "only outputs that are labels are kept.",
    )
    prompt: str = Field(
        default="self_guide",
        description="How an input is asked for: a template's text (with {{ examples }} and {{ accepted }}, lists of "
        "texts, and {{ label }}), a .jinja file, or one of the project's.",
    )
    rounds: Whole = Field(default=20, ge=1, le=10_000, description="Rounds in which inputs are written.")
    prompts: Whole = Field(default=10, ge=1, le=10_000, description="Inputs asked for in each round.")
    shown: Whole = Field(
        default=10, ge=0, le=1000, description="Inputs of earlier rounds shown in a prompt, at most; 1 to so many."
    )
    input_temperature: Temperature = Field(default=1.0, description="Temperature at which inputs are written.")
    input_top_k: Whole | None = Field(
        default=40, ge=1, le=10_000_000, description="Likeliest tokens that inputs are drawn from; null: all."
    )
    input_max_tokens: Whole = Field(
        default=500, ge=1, le=MOST_TOKENS, description="Tokens after which an input is cut off."
    )
    input_length: Real | None = Field(
        default=2.0,
        gt=0,
        le=100,
        description="Standard deviations that an input's characters may lie from the mean of the examples'; null: any.",
    )
    near_duplicate: Real | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Likeness (0 to 1, by edit distance) to an input from which another is left out; null: none is.",
    )
    samples: Whole = Field(default=10, ge=1, le=1000, description="Responses to each input, of which one is learnt.")
    temperature: Temperature = Field(default=0.2, description="Temperature of the responses.")
    top_k: Whole | None = Field(
        default=10, ge=1, le=10_000_000, description="Likeliest tokens that responses are drawn from; null: all."
    )
    max_tokens: Whole = Field(
        default=500, ge=1, le=MOST_TOKENS, description="Tokens after which a response is cut off."
    )
    output_length: Real | None = Field(
        default=2.0, gt=0, le=100, description="As `input_length`, of responses and the examples' outputs."
    )
    input_noise: tuple[str, ...] = Field(
        default=NOISE, description="Texts that no kept input holds; letter case counts. [] keeps all."
    )
    noise: tuple[str, ...] = Field(default=NOISE, description="The same of responses.")
    consistency: Real = Field(
        default=0.3, ge=0, le=1, description="Share of an input's kept responses that have to give the same answer."
    )
    pick: Pick = Field(
        default="agreeing",
        description="Which response is learnt: the first that gives the most frequent answer, or the first of all.",
    )
    balance: bool = Field(default=True, description="In classification: as many rows of each label as the rarest has.")

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("preset", "generation") in PRESETS:
            return {**PRESETS[given.get("preset", "generation")], **given}
        return given

    @property
    def posed_at_most(self) -> int:
        return self.rounds * self.prompts

    def templates(self, look: Look | Context) -> Mapping[str, tuple[str, Row]]:
        text = template(self.prompt, look.roots, f"origins.{look.origin}.prompt")
        return {"prompt": (text, {"examples": ["An input."], "accepted": ["Another."], "label": None})}

    def check(self, questions: Rows, look: Look) -> None:
        where = f"origins.{look.origin}"
        demonstrations(next(iter(questions)), where)
        if self.task == "classification":
            label_set(questions, where)

    def questions(self, asked: Node, context: Context) -> Node:
        judge = context.judge(self.kind)
        if not golds.are_answers(judge):
            raise InputError(
                f"origins.{context.origin}: nothing can answer new inputs of {context.benchmark}, whose gold answers "
                "are tests; allowed are benchmarks whose gold answers are answers"
            )
        ((told, _),) = self.templates(context).values()
        named = (context.label, self.kind)
        student, seed = context.student, context.seed
        rounds = Rounds(rounds=self.rounds, prompts=self.prompts, shown=self.shown)
        writing = Sampling(temperature=self.input_temperature, top_k=self.input_top_k, max_tokens=self.input_max_tokens)
        filters = Filters(noise=self.input_noise, length=self.input_length, near_duplicate=self.near_duplicate)
        posed = pose_in_rounds(asked, student, told, context.prompt, self.task, rounds, writing, filters, seed)
        answering = Sampling(n=self.samples, temperature=self.temperature, top_k=self.top_k, max_tokens=self.max_tokens)
        answered = generate(posed.named(*named), student, context.prompt, answering, seed)
        clean = filter_responses(answered.named(*named), Filters(noise=self.noise, length=self.output_length))
        made = self_consistency(clean.named(*named), asked, judge, self.consistency, self.task, self.pick)
        made = made.named(*named)
        if self.task == "classification" and self.balance:
            made = balance_labels(made, asked, seed).named(*named)
        return made

    def responses(self, questions: Node, context: Context) -> Node:
        return outputs(questions, context.student.name).named(context.label, self.kind)
