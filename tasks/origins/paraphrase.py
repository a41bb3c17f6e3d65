"""Paraphrase: a teacher's response said in other words, even where it is wrong.

Ren et al. 2024 (arXiv 2402.11192), condition `*_direct_paraphrase_gpt4_answer`.
"""

from typing import Literal

from pydantic import Field

from tasks.origins._reworking import TEMPLATE, Reworking


class Paraphrase(Reworking):
    """A teacher says another origin's responses in other words."""

    kind: Literal["paraphrase"] = "paraphrase"
    of: str = Field(default="teacher", description="The origin whose responses are reworded.")
    prompt: str = Field(default="paraphrase", description=TEMPLATE)
