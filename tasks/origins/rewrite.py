"""Rewrite: a teacher says a human answer in its own words, step for step: a model's style without more detail.

Ren et al. 2024 (arXiv 2402.11192): set against step-by-step expansion, it tells style from detail.
"""

from typing import Literal

from pydantic import Field

from tasks.origins._reworking import TEMPLATE, Reworking


class Rewrite(Reworking):
    """A teacher says another origin's responses in its own words, no step added."""

    kind: Literal["rewrite"] = "rewrite"
    of: str = Field(default="human", description="The origin whose responses are rewritten.")
    prompt: str = Field(default="rewrite", description=TEMPLATE)
