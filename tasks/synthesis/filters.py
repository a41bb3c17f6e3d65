"""Which texts that a model wrote for itself are kept, and why the others are not.

SELF-GUIDE (Zhao et al. 2024, arXiv 2407.12874; Apache-2.0, github zhaochenyang20/Prompt2Model-Self-Guide): a text is
left out when it holds a greeting or a mark of the prompt's format (`noise`), or when its length is further than two
standard deviations from the mean of the examples' (`length`). There a window of examples that are all equally long
rejects every text; here no window rejects the examples that it was made of.
"""

from collections.abc import Collection, Sequence
from statistics import fmean, pstdev
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data.bounds import Real
from tasks.storage.rows import Row
from tasks.verification.missing_response import is_missing

NOISE = (
    "Sure, ",
    "Sure! ",
    "Sure thing",
    "Of course!",
    "Absolutely!",
    "Certainly!",
    "Happy to help",
    "happy to help",
    "glad to help",
    "Great question",
    "Here is a new",
    "Here's a new",
    "As an AI",
    "I hope this helps",
    "[input]",
    "[output]",
)
"""What a text that answers holds of chat, and of the marks between examples; letter case counts."""
Reason = Literal["missing", "empty", "cut_off", "noise", "length", "copied", "duplicate", "near_duplicate"]
REASONS: dict[str, str] = {
    "missing": "no response",
    "empty": "empty",
    "cut_off": "cut off at the token limit",
    "noise": "chat or marks of the prompt (noise)",
    "length": "of another length than the examples (length)",
    "copied": "an example, or a question of the benchmark",
    "duplicate": "written before",
    "near_duplicate": "nearly written before (near_duplicate)",
}
"""Why a text is left out, in the order in which this is looked at."""


class Filters(BaseModel):
    """Options of the filters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: tuple[str, ...] = Field(
        default=NOISE, description="Texts that a kept one holds nowhere; letter case counts. None: [] keeps all."
    )
    length: Real | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Standard deviations that a text's characters may lie from the mean of the examples'; null: any.",
    )
    near_duplicate: Real | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Likeness (0 to 1, by edit distance) to one kept before from which a text is left out; null: none.",
    )

    def of_text(self, row: Row, window: tuple[float, float] | None) -> Reason | None:
        """Why a response is left out by itself, whatever the others are; None where it is not.

        Args:
            window: characters that it may have (`length_window`).
        """
        if is_missing(row):
            return "missing"
        text = row["response"].strip()
        if not text:
            return "empty"
        if row.get("finish") == "length":
            return "cut_off"
        if any(noise in text for noise in self.noise):
            return "noise"
        return "length" if window is not None and not window[0] <= len(text) <= window[1] else None

    def window(self, examples: Sequence[str]) -> tuple[float, float] | None:
        """Fewest and most characters of a text; None where any number will do."""
        return None if self.length is None else length_window(examples, self.length)

    def is_near(self, text: str, kept: Collection[str]) -> bool:
        """Whether a text is nearly one of those kept."""
        if self.near_duplicate is None:
            return False
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        found = process.extractOne(
            text, kept, scorer=Levenshtein.normalized_similarity, score_cutoff=self.near_duplicate
        )
        return found is not None


def length_window(examples: Sequence[str], deviations: float) -> tuple[float, float]:
    """Characters within so many (population) standard deviations of the examples' mean, all examples included."""
    lengths = [len(text) for text in examples]
    mean, spread = fmean(lengths), deviations * pstdev(lengths)
    return min(mean - spread, *lengths), max(mean + spread, *lengths)
