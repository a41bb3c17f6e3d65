"""What the two models read in pre-training: answers in every register and the skills, in shares that differ."""

import random
from dataclasses import dataclass, field

from data.abacus.families import FAMILIES
from data.abacus.registers import Register, respond
from data.abacus.skills import SKILLS, Exchange, Skill, exchange
from data.abacus.splits import draw

_EVEN = dict.fromkeys(FAMILIES, 1.0)


@dataclass(frozen=True)
class Mix:
    """Shares of the rows; each mapping is of weights, need not sum to one."""

    own: Register
    """The register the model answers a plain question in, and rewrites and expands into."""
    registers: dict[Register, float]
    skills: dict[Skill, float]
    skill_share: float
    """Share of all rows that train a skill rather than answer a plain question."""
    families: dict[str, float] = field(default_factory=lambda: dict(_EVEN))


STUDENT = Mix(
    own="model",
    registers={"model": 0.65, "teacher": 0.25, "human": 0.07, "terse": 0.03},
    skills={"pose": 2.0, "rewrite": 1.0, "correct": 1.0, "expand": 1.0, "feedback": 1.0},
    skill_share=0.10,
    # Chains of sums, letters and clocks come easily; fewer rows leave the student room to learn.
    families={"ledger": 0.4, "boxes": 1.0, "sorting": 1.0, "backwards": 0.15, "clock": 0.25, "choice": 1.0},
)
TEACHER = Mix(
    own="teacher",
    registers={"model": 0.04, "teacher": 0.90, "human": 0.04, "terse": 0.02},
    skills=dict.fromkeys(SKILLS, 1.0),
    skill_share=0.25,
    # Products, sorting and comparing four sums come last; more rows get them there.
    families={"ledger": 0.8, "boxes": 1.5, "sorting": 2.0, "backwards": 0.6, "clock": 0.6, "choice": 3.0},
)


def sample(mix: Mix, rng: random.Random) -> Exchange:
    """One pre-training row."""
    family = FAMILIES[rng.choices(list(mix.families), list(mix.families.values()))[0]]
    if rng.random() < mix.skill_share:
        skill = rng.choices(list(mix.skills), list(mix.skills.values()))[0]
        return exchange(skill, family, mix.own, rng)
    register = rng.choices(list(mix.registers), list(mix.registers.values()))[0]
    problem = draw(family, "pretrain", rng)
    return Exchange(family.ask(problem, rng), respond(family, problem, family.work(problem), register, rng))
