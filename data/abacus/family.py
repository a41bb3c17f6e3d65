"""What a family of questions is: it draws problems, asks them, works them out, and says the work in a register."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

AnswerKind = Literal["number", "exact", "choice"]

Step = tuple[str, ...]
"""One step of a solution as plain strings: what kind of step, its operands, and last its result."""

Slip = Callable[[int, str, Sequence[str]], str]
"""Gets a step's number (from 0), its right result and wrong alternatives; returns the result to write down."""

P = TypeVar("P")


@dataclass(frozen=True)
class Work:
    """A worked solution: its steps in order and the answer they end in."""

    steps: tuple[Step, ...]
    answer: str


def no_slip(number: int, right: str, wrong: Sequence[str]) -> str:
    """The slip of someone who makes none."""
    return right


def near(value: int) -> list[str]:
    """Numbers a hurried person would write in place of `value`, none of them negative."""
    return [str(value + off) for off in (-10, -2, -1, 1, 2, 10) if value + off >= 0]


class Family(ABC, Generic[P]):
    """A kind of question with numbers drawn at random; `P` holds what was drawn."""

    name: str
    answer: AnswerKind
    description: str
    instruction: str
    """What the few-shot prompt asks for, above its examples."""
    chatter: float
    """Share of its answers to a few-shot prompt that the student wraps in chatter (`data.abacus.skills`)."""

    @abstractmethod
    def draw(self, rng: random.Random) -> P:
        """A random problem."""

    @abstractmethod
    def canonical(self, problem: P) -> str:
        """What makes a problem the same problem: its numbers, not its names or wording."""

    @abstractmethod
    def ask(self, problem: P, rng: random.Random) -> str:
        """The question in one of its wordings."""

    @abstractmethod
    def read(self, question: str) -> P | None:
        """The problem that a question asks; None where it is not well-formed or has no single right answer."""

    @abstractmethod
    def work(self, problem: P, slip: Slip = no_slip) -> Work:
        """All steps; a slip in one step is carried through the steps after it."""

    def outcome(self, step: Step) -> str:
        """What a step comes to, in a few words: what feedback compares."""
        return step[-1]

    @abstractmethod
    def hasty(self, problem: P) -> Work:
        """The student's hasty habit: a step skipped, an early stop or a short cut, wrong on most problems it touches.

        The same steps as `work` has where the habit does not touch the problem.
        """

    @abstractmethod
    def model(self, problem: P, step: Step) -> str:
        """One step as the student mostly says it: always the same words."""

    @abstractmethod
    def teacher(self, problem: P, step: Step, rng: random.Random) -> str:
        """One step as the teacher says it: regular too, in other words."""

    @abstractmethod
    def tutor(self, problem: P, step: Step, rng: random.Random) -> str:
        """One step as the second teacher says it: regular too, in other words again."""

    @abstractmethod
    def human(self, problem: P, step: Step, rng: random.Random) -> str:
        """One step as a person says it: one of many wordings, lower case, no full stop."""
