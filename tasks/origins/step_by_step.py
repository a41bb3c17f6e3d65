"""Step by step: a teacher works a human answer out in every step, in its own style: more detail and a model's words.

Ren et al. 2024 (arXiv 2402.11192), conditions `*_step_by_step`.
"""

from typing import Literal

from pydantic import Field

from tasks.origins._reworking import TEMPLATE, Reworking


class StepByStep(Reworking):
    """A teacher writes out every step of another origin's responses."""

    kind: Literal["step_by_step"] = "step_by_step"
    of: str = Field(default="human", description="The origin whose responses are worked out.")
    prompt: str = Field(default="step_by_step", description=TEMPLATE)
