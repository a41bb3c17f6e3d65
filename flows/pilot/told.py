"""What a pilot says of itself: in the terminal, in the log of its run, and in the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.execution.options import PilotOptions
from flows.pilot.price import Spent
from flows.pilot.rungs import Rungs
from tasks.comparison.elimination import ERROR, Decision
from tasks.comparison.phrasing import listed, points

FEW = 4
"""So many arms are named; of more their number is given."""


@dataclass(frozen=True)
class Look:
    """What came of a look at one student's arms. `rung` is what the rung is called, `student` empty where there is one
    alone."""

    rung: str
    decision: Decision
    left: tuple[str, ...]
    student: str = ""


def beginning(rungs: Rungs, asked: PilotOptions, arms: int) -> str:
    """How the pilot goes about it."""
    first, *raced = rungs.each
    then = f", then with all {rungs.full:,}, one seed after the other" if raced else f" of {rungs.full:,}"
    beside = f", beside {100 * rungs.common:.0f} % for what several arms need" if rungs.common else ""
    return (
        f"{arms} arms are looked at with {first.called} first{then}. The first look is estimated at "
        f"{100 * rungs.share:.1f} % of the study (allowed: {100 * asked.spend:g} %){beside}."
    )


def decision(look: Look, full: int) -> str:
    """What was decided after a look."""
    of = f"{look.student}, " if look.student else ""
    goes_on = listed(look.left) if len(look.left) <= FEW else f"{len(look.left)} arms"
    if not look.decision.dropped:
        return f"{of}{look.rung}: no arm can be dropped; goes on with {goes_on}."
    each = listed([f"{arm} ({chance(look.decision.chances[arm])})" for arm in look.decision.dropped])
    return f"{of}{look.rung}: dropped {each}, by the chance of being best with {full:,}; goes on with {goes_on}."


def reason(look: Look, arm: str) -> str:
    """Why an arm's cells are missing."""
    return f"the pilot dropped {arm} at {look.rung}: its chance of being best was {chance(look.decision.chances[arm])}"


def chance(share: float) -> str:
    """A chance in per cent; what no draw showed is no zero."""
    return f"{100 * share:.1f} %" if share >= 0.0005 else "below 0.1 %"


def savings(spent: Spent) -> str:
    """What was saved against the whole study."""
    share = f", {100 * spent.seconds / spent.whole:.0f} %" if spent.whole else ""
    without = f" (without {listed(spent.without)}, of which nothing ran)" if spent.without else ""
    return (
        f"The pilot took {spent.seconds:,.0f} of the {spent.whole:,.0f} {spent.unit} that the whole study is estimated "
        f"at{share}{without}: {spent.steps_saved:,} steps were not run, and {spent.steps:,} were."
    )


def record(
    rungs: Rungs,
    asked: PilotOptions,
    looks: Sequence[Look],
    spent: Spent,
    trained_all_the_same: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The pilot as JSON-able data: `lines` are its paragraph in the report."""
    arms = max((len(look.decision.chances) for look in looks), default=0)
    lines = [beginning(rungs, asked, arms), *(decision(look, rungs.full) for look in looks)]
    for student, last in {look.student: look for look in looks}.items():
        if len(last.left) < arms:
            of = f" of {student}" if student else ""
            more = f" by more than {points(asked.margin)}" if asked.margin else ""
            lines.append(
                f"The chance that one of the arms dropped{of} is better than all that are left{more} is "
                f"{chance(last.decision.risk)} (allowed: {100 * ERROR:g} %)."
            )
    lines += [f"{arm} is trained all the same, for {listed(others)}." for arm, others in trained_all_the_same.items()]
    return {
        "spend": asked.spend,
        "margin": asked.margin,
        "estimated": rungs.share,
        "looks": [
            {
                "student": look.student,
                "rung": look.rung,
                "chances": {arm: look.decision.chances[arm] for arm in sorted(look.decision.chances)},
                "dropped": list(look.decision.dropped),
                "risk": look.decision.risk,
            }
            for look in looks
        ],
        "seconds": round(spent.seconds, 1),
        "seconds_of_whole": round(spent.whole, 1),
        "unit": spent.unit,
        "steps": spent.steps,
        "steps_not_run": spent.steps_saved,
        "lines": [*lines, savings(spent)],
    }
