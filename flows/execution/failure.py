"""Why a step has no artifact, as a record."""

from dataclasses import dataclass

LONGEST_REASON = 300
"""Characters of a reason that a sentence about something else repeats; the step's own line has all of it."""


@dataclass(frozen=True)
class Failure:
    """A step without an artifact: it failed, or it was not run since another one did."""

    step: str
    """Its run name."""
    reason: str = ""
    """What it failed of; empty for a step that was not run."""
    blocked_by: str = ""
    """Run name of the input for want of which it was not run; empty for a step that failed itself, and for one that was
    not started since nothing is after a failure in a strict run."""

    @property
    def not_run(self) -> bool:
        return not self.reason

    def __str__(self) -> str:
        """The reason, for a line that names the step."""
        return self.reason or f"not run, since {self.blocked_by or 'another step'} failed"

    @property
    def sentence(self) -> str:
        """Step and reason, for a line about what is missing because of it."""
        reason = " ".join(self.reason.split())
        cut = reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"
        return f"{self.step} failed: {cut}"
