"""The verdict that feedback on an answer states, read from the words by which it says so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from tasks.kinds.verifiers import Verdict
from tasks.verification.missing_response import is_missing

Stated = Literal["right", "wrong"]
MEANS: dict[str, Stated] = {"correct": "right", "wrong": "wrong"}
"""What feedback has to say of an answer with this verdict; of one with another verdict nothing can be said for sure."""


@dataclass(frozen=True)
class VerdictWords:
    """The sentences, or words, by which feedback says that an answer is right, or wrong."""

    right: str
    wrong: str

    def read(self, feedback: str) -> Stated | None:
        """What the feedback says; None where it says neither or both. Letter case and white space aside.

        Where one of the two stands inside the other ("correct", "not correct"), the longer one counts.
        """
        found = {self._plain(match) for match in self._pattern.findall(self._plain(feedback))}
        if len(found) != 1:
            return None
        return "right" if found == {self._plain(self.right)} else "wrong"

    def judged(self, row: Mapping[str, Any]) -> Verdict:
        """Whether a row's `response` states the verifier's verdict on its `draft` (`draft_verdict`): correct where it
        does, wrong where it states the other one, else unparseable; missing where there is no response."""
        if is_missing(row):
            return Verdict("missing", None, "there is no feedback")
        stated, known = self.read(row["response"]), MEANS.get(row["draft_verdict"])
        if stated is None or known is None:
            return Verdict("unparseable", stated)
        return Verdict("correct" if stated == known else "wrong", stated)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted((self._plain(self.right), self._plain(self.wrong)), key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    @staticmethod
    def _plain(text: str) -> str:
        return " ".join(text.casefold().split())
