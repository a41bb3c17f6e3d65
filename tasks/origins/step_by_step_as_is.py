"""Step by step as is: a teacher adds the steps a person left out, in the person's own words: detail without its style.

Ren et al. 2024 (arXiv 2402.11192), conditions `*_step_by_step_while_keep_original_distribution`: whether it is the
detail of model-written responses that helps, or their style.
"""

from typing import Literal

from pydantic import Field

from tasks.origins._reworking import TEMPLATE, Reworking


class StepByStepAsIs(Reworking):
    """A teacher adds the missing steps to another origin's responses in their own style."""

    kind: Literal["step_by_step_as_is"] = "step_by_step_as_is"
    of: str = Field(default="human", description="The origin whose responses are completed.")
    prompt: str = Field(default="step_by_step_as_is", description=TEMPLATE)
