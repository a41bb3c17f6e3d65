"""Feedback: the student learns to say what an annotator says of its answers, in place of learning to answer.

LaFFi (arXiv 2401.00907): the student answers, annotators say whether the answer is right and why, and the student is
trained to predict that feedback from question and answer; it is evaluated with the ordinary prompt, without feedback.
Only the paper's abstract was at hand; the stages follow it and the code of its authors' next work (ELITE, IRLL/
LLM_self_improvement), which shows annotators no gold answer.
"""

import json
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from data import table_file
from data.bounds import MOST_TOKENS, Real, Temperature, Whole
from data.errors import InputError, at
from data.prompt import template
from data.table_file import TableFile
from tasks.annotate import annotate
from tasks.generate import generate
from tasks.human_share import human_share
from tasks.judged_drafts import judged_drafts
from tasks.kinds import verifiers
from tasks.kinds.origins import Context, Look, Origin, OriginRows
from tasks.leak_free import leak_free
from tasks.models.filling import columns_read
from tasks.models.sampling import Sampling
from tasks.origins._annotators import by_benchmark, by_model, by_rule, left_to_annotator, negative_examples
from tasks.origins._feedback_file import FeedbackColumns, FeedbackFile, from_file
from tasks.origins.gold_only import filled
from tasks.pipeline.stage import Node
from tasks.score import score
from tasks.storage.rows import Row, Rows
from tasks.verification.stated_verdict import VerdictWords
from tasks.verify import verify

GOLD = frozenset({"gold", "reference", "references", "answers"})
"""Columns of a question that tell its right answer."""
DRAFT: Row = {"draft": "A draft.", "draft_verdict": "wrong"}
"""What a template is tried with, beside a question's columns."""


class Feedback(Origin):
    """Feedback on another origin's responses: by a rule, a model or people, and by people for a share of the questions.

    What is trained on is the feedback, asked for with question and draft; a row counts as correct where the feedback
    states the verdict that the verifier gave the draft.
    """

    answers: ClassVar[Literal["questions", "drafts"]] = "drafts"
    kind: Literal["feedback"] = "feedback"
    of: str = Field(description="The origin whose responses get feedback; of kind self with `by`, those after an arm.")
    keep: Whole = Field(
        default=1, ge=1, le=1000, description="Responses to each question that get feedback, the first of each text."
    )
    rule: str = Field(
        default="feedback_rule",
        description="Feedback by rule, where no model is named: a template's text, a .jinja file, or one of the "
        "project's, over the question's columns, {{ draft }}, {{ verdict }} (correct or wrong), {{ right }} and "
        "{{ wrong }}.",
    )
    model: str = Field(
        default="",
        description="Who gives feedback in place of the rule: a bundled model, a folder, a hub id with a revision, or "
        "api:<id>.",
    )
    annotator_prompt: str = Field(
        default="feedback_request",
        description="What the model is told: a template as `rule` is one, without {{ verdict }}. It may show any "
        "column of the question, {{ gold }} and {{ reference }} among them.",
    )
    temperature: Temperature = Field(default=0.0, description="Of the model's feedback. 0 is greedy.")
    max_tokens: Whole = Field(
        default=512, ge=1, le=MOST_TOKENS, description="Tokens after which the model's feedback is cut off."
    )
    human: str = Field(
        default="",
        description="People's feedback: a JSONL, CSV or Parquet file; benchmark: that of the benchmark's own people; "
        "negative_examples: wrong answers with explanations that a task of Natural Instructions shows.",
    )
    human_columns: FeedbackColumns = Field(
        default_factory=FeedbackColumns, description="Which columns of the file hold what."
    )
    human_share: Annotated[Real, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="Share of the questions whose feedback is a person's, 0 to 1; those of a share are among those of "
        "each larger one. The number of rows stays the same.",
    )
    gold: Literal["hidden", "shown"] = Field(
        default="hidden", description="Whether the student is shown the right answer when it learns the feedback."
    )
    prompt: str = Field(
        default="",
        description="What the student is asked when it learns the feedback: a template with {{ question }} and "
        "{{ draft }}, and with {{ gold }} where that is shown; empty: the project's.",
    )
    answer: str = Field(
        default="{{ reference }}",
        description="The answer that is learnt beside the feedback (`learn`), as a template over the question's "
        "columns, such as {{ reference }} or Final answer: {{ gold }}.",
    )
    learn: Literal["feedback", "feedback_and_answer"] = Field(
        default="feedback",
        description="feedback_and_answer: of each question a row more, whose prompt is the benchmark's and whose "
        "response is the answer.",
    )
    wrong: str = Field(
        default="The answer is wrong.", min_length=1, description="By which words feedback says that a draft is wrong."
    )
    right: str = Field(
        default="The answer is right.", min_length=1, description="By which words it says that a draft is right."
    )

    @field_validator("human_share")
    @classmethod
    def _has_people(cls, share: float, info: ValidationInfo) -> float:
        if share and not info.data.get("human"):
            raise ValueError("it needs people's feedback (`human`)")
        return share

    @field_validator("gold")
    @classmethod
    def _has_gold(cls, gold: str, info: ValidationInfo) -> str:
        if gold == "shown" and info.data.get("human") == "negative_examples":
            raise ValueError("negative_examples have no right answer that could be shown")
        return gold

    @field_validator("right")
    @classmethod
    def _says_another(cls, right: str, info: ValidationInfo) -> str:
        if right.split() == info.data.get("wrong", "").split():
            raise ValueError("`wrong` has the same words")
        return right

    @property
    def kept(self) -> int:
        return self.keep + (self.learn == "feedback_and_answer")

    @property
    def own_questions(self) -> str:
        return "human" if self.human == "negative_examples" and self.human_share else ""

    @property
    def models_asked(self) -> tuple[str, ...]:
        return (self.model,) if self._asks_model else ()

    @property
    def _asks_model(self) -> bool:
        return bool(self.model) and self.human_share < 1

    @property
    def _words(self) -> VerdictWords:
        return VerdictWords(self.right, self.wrong)

    def templates(self, look: Look | Context) -> Mapping[str, tuple[str, Row]]:
        words = {"right": self.right, "wrong": self.wrong}
        found = {"prompt": (self._asked(look), DRAFT)}
        if self._asks_model:
            found["annotator_prompt"] = (self._template("annotator_prompt", look), DRAFT | words)
        elif self.human_share < 1:
            found["rule"] = (self._template("rule", look), DRAFT | words | {"verdict": "wrong"})
        if self.learn == "feedback_and_answer":
            found["answer"] = (self._template("answer", look), {})
        return found

    def check(self, questions: Rows, look: Look) -> None:
        if not self.human_share:
            return
        if self.human == "negative_examples":
            with at(f"origins.{look.origin}.human"):
                list(negative_examples.function(questions, self._words))
        elif self.human != "benchmark":
            file = self._file(look)
            if file.path.stat().st_size <= look.small:
                from_file.function(questions, file)

    def rows(self, questions: Node, context: Context) -> OriginRows:
        named = (context.label, self.kind)
        judge = context.judge(self.kind)
        if not verifiers.tells_wrong(judge):
            raise InputError(
                f"origins.{context.origin}: the verifier of {context.benchmark} cannot say that an answer is wrong, "
                "only how near it comes; feedback is allowed for benchmarks whose answers are right or wrong"
            )
        drafts = judged_drafts(context.rows_of(self.of, questions).verdicts, self.keep).named(*named)
        annotated: dict[str, Node] = {}
        left = drafts
        if self.human_share:
            people = self._people(questions, drafts, context)
            share = (self.human_share, bool(self.own_questions), context.seed)
            annotated["human"] = human_share(drafts, people, *share).named(*named)
            left = left_to_annotator(drafts, annotated["human"]).named(*named)
        if self.human_share < 1:
            annotated["other"] = self._others(left, context)
        answers = None
        if self.learn == "feedback_and_answer":
            given = filled(questions, self._template("answer", context)).named(*named)
            answers = verify(given, judge).named(f"{context.label} answers", self.kind)
        made = annotate(annotated, self._words, answers).named(*named)
        return OriginRows(made, score(made, context.student, self.prompt_template(context)).named(*named))

    def prompt_template(self, context: Context) -> str:
        """What asks for feedback; and, for rows without a draft, the benchmark's own prompt: an origin's rows are all
        scored and trained with one template, and the answers among them have to be asked for as in an evaluation."""
        told = self._asked(context)
        if self.learn == "feedback":
            return told
        # A line break at the end of a template is not printed; inside of another it would be.
        answers, feedback = (text.removesuffix("\n") for text in (context.prompt, told))
        return f"{{% if draft is none %}}{answers}{{% else %}}{feedback}{{% endif %}}"

    def _others(self, drafts: Node, context: Context) -> Node:
        """The feedback of the rule, or of the model."""
        named = (context.label, self.kind)
        if not self._asks_model:
            return by_rule(drafts, self._template("rule", context), self._words).named(*named)
        told = self._template("annotator_prompt", context)
        # A prompt is filled with a row's columns, and these words are none.
        words = "".join(f"{{% set {name} = {json.dumps(getattr(self, name))} %}}" for name in ("right", "wrong"))
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        written = generate(
            drafts, context.model(self.model), words + told, sampling, sampling.drawn_by(context.seed)
        ).named(*named)
        return by_model(written, bool(columns_read(told) & GOLD)).named(*named)

    def _people(self, questions: Node, drafts: Node, context: Context) -> Node:
        """People's feedback, as much as there is."""
        named = (f"{context.label} human", self.kind)
        if self.human == "negative_examples":
            shown = negative_examples(questions, self._words).named(*named)
            return leak_free(shown, dict(context.to_evaluate)).named(*named)
        if self.human == "benchmark":
            if context.feedback is None:
                raise InputError(f"origins.{context.origin}.human: {context.benchmark} has no people who give feedback")
            return by_benchmark(drafts, context.feedback).named(*named)
        given = from_file(questions, self._file(context)).named(*named)
        return judged_drafts(verify(given, context.judge(self.kind)).named(*named), self.keep).named(*named)

    def _template(self, option: str, look: Look | Context) -> str:
        return template(getattr(self, option), look.roots, f"origins.{look.origin}.{option}")

    def _asked(self, look: Look | Context) -> str:
        """The template that asks the student for feedback.

        Raises:
            InputError: it shows the right answer where that is hidden, or does not where it is shown.
        """
        if not self.prompt:
            return template("feedback" if self.gold == "hidden" else "feedback_gold", look.roots)
        told = self._template("prompt", look)
        shows = sorted(columns_read(told) & GOLD)
        if bool(shows) != (self.gold == "shown"):
            what = f"shows {' and '.join(shows)}" if shows else "shows no right answer (such as {{ gold }})"
            raise InputError(f"origins.{look.origin}.prompt: it {what}, and `gold` is {self.gold}")
        return told

    def _file(self, look: Look | Context) -> FeedbackFile:
        """The file, found and its first row looked at.

        Raises:
            InputError: there is no such file, or it lacks a column.
        """
        where = f"origins.{look.origin}.human"
        path = table_file.locate(self.human, look.roots, where)
        with at(where):
            TableFile(path).check(self.human_columns.needed)
        return FeedbackFile(path=path, columns=self.human_columns)
