"""What the models read in pre-training: answers in every register, the habit of haste, and the skills, in shares
that differ."""

import random
from dataclasses import dataclass, replace

from data.abacus.families import FAMILIES
from data.abacus.registers import Register, respond
from data.abacus.skills import Exchange, Skill, exchange
from data.abacus.splits import draw


@dataclass(frozen=True)
class Mix:
    """Shares of the rows; each mapping is of weights, need not sum to one."""

    own: Register
    """The register the model answers a plain question in, and rewrites and expands into."""
    registers: dict[Register, float]
    skills: dict[Skill, float]
    skill_share: float
    """Share of all rows that train a skill rather than answer a plain question."""
    families: dict[str, float]
    questions: float = 0.0
    """Share of the plain answers whose questions are learnt too, which teaches to pose them."""
    hasty: float = 0.0
    """Share of the plain answers in its own register that follow the hasty habit (`Family.hasty`)."""
    turn: float = 0.6
    """Share of the training after which `later` holds."""
    later: dict[str, float] | None = None
    """Weights of the families in the rest of the training, where they differ: fewer rows of what comes easily."""

    def at(self, progress: float) -> "Mix":
        """The mix when this share (0 to 1) of the training is done."""
        return self if self.later is None or progress < self.turn else replace(self, families=self.later)


EVEN = dict.fromkeys(FAMILIES, 1.0)
BASE = Mix(
    own="model",
    registers={"model": 0.31, "teacher": 0.31, "tutor": 0.31, "human": 0.05, "terse": 0.02},
    skills={"pose": 1.0},
    skill_share=0.05,
    families={"ledger": 1.0, "boxes": 1.6, "sorting": 1.3, "backwards": 0.8, "clock": 0.7, "choice": 1.5},
    later={"ledger": 1.0, "boxes": 1.7, "sorting": 1.3, "backwards": 0.5, "clock": 0.6, "choice": 1.5},
)
"""Careful in every model's register, and poses: what the three others go on from. It judges nothing yet: with a quarter
of its rows for skills, feedback among them, it knew a third of the answers in boxes and choice after 14 M tokens."""
STUDENT = Mix(
    own="model",
    registers={"model": 0.70, "teacher": 0.13, "tutor": 0.06, "human": 0.08, "terse": 0.03},
    skills={"pose": 2.0, "few_shot": 1.8, "feedback": 0.4, "correct": 0.4},
    skill_share=0.22,
    questions=0.1,
    families={"ledger": 1.0, "boxes": 1.2, "sorting": 1.3, "backwards": 0.8, "clock": 0.8, "choice": 1.8},
    hasty=0.65,
)
TEACHER = Mix(
    own="teacher",
    registers={"model": 0.04, "teacher": 0.88, "tutor": 0.02, "human": 0.04, "terse": 0.02},
    skills={
        "pose": 2.0,
        "rewrite": 1.0,
        "paraphrase": 0.7,
        "correct": 2.0,
        "expand": 1.0,
        "expand_as_is": 1.0,
        "feedback": 6.0,
    },
    skill_share=0.55,
    questions=0.1,
    families={"ledger": 0.8, "boxes": 1.3, "sorting": 1.6, "backwards": 0.6, "clock": 0.7, "choice": 1.8},
)
TUTOR = replace(
    TEACHER,
    own="tutor",
    registers={"model": 0.04, "teacher": 0.02, "tutor": 0.88, "human": 0.04, "terse": 0.02},
    skills={"pose": 1.5, "correct": 2.5, "feedback": 5.0},
    skill_share=0.50,
)


def sample(mix: Mix, rng: random.Random) -> Exchange:
    """One pre-training row."""
    family = FAMILIES[rng.choices(list(mix.families), list(mix.families.values()))[0]]
    if rng.random() < mix.skill_share:
        skill = rng.choices(list(mix.skills), list(mix.skills.values()))[0]
        return exchange(skill, family, mix.own, rng)
    register = rng.choices(list(mix.registers), list(mix.registers.values()))[0]
    problem = draw(family, "pretrain", rng)
    hasty = register == mix.own and rng.random() < mix.hasty
    work = family.hasty(problem) if hasty else family.work(problem)
    response = respond(family, problem, work, register, rng)
    return Exchange(family.ask(problem, rng), response, whole=rng.random() < mix.questions)
