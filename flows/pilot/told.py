"""What a pilot says of itself: in the terminal, in the log of its run, and in the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.pilot.looks import Looks
from flows.pilot.price import Spent
from tasks.comparison.elimination import ERROR, Decision
from tasks.comparison.phrasing import listed


def beginning(looks: Looks, spend: float, arms: int) -> str:
    """How the pilot goes about it."""
    sizes = listed([f"{size:,}" for size in looks.sizes])
    return (
        f"Pilot: {arms} arms are looked at with {sizes} of {looks.full:,} training questions. The first look is "
        f"estimated to cost {100 * looks.share:.1f} % of the study (allowed: {100 * spend:g} %), beside what several "
        f"arms need in any case ({100 * looks.common:.0f} %)."
    )


def decision(found: Decision, full: int, left: Sequence[str], student: str = "") -> str:
    """What was decided after a look."""
    of = f"{student}, " if student else ""
    if not found.dropped:
        return f"Pilot, {of}{found.size:,} questions: none of {len(left)} arms can be dropped yet."
    each = listed([f"{arm} ({chance(found.chances[arm])})" for arm in found.dropped])
    goes_on = listed(left) if len(left) <= 4 else f"{len(left)} arms"
    return (
        f"Pilot, {of}{found.size:,} questions: dropped {each}, by their chance of being best with {full:,}; goes on "
        f"with {goes_on}."
    )


def reason(found: Decision, arm: str) -> str:
    """Why an arm's cells are missing."""
    return (
        f"dropped by the pilot with {found.size:,} questions: its chance of being best was {chance(found.chances[arm])}"
    )


def chance(share: float) -> str:
    """A chance in per cent; what no draw showed is no zero."""
    return f"{100 * share:.1f} %" if share >= 0.0005 else "below 0.1 %"


def record(
    looks: Looks,
    spend: float,
    decisions: Mapping[str, Sequence[Decision]],
    spent: Spent,
    needed_by: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The pilot as JSON-able data: `lines` are its paragraph in the report."""
    several = len(decisions) > 1
    lines = [beginning(looks, spend, max((len(of[0].chances) for of in decisions.values() if of), default=0))]
    for student, of_student in decisions.items():
        left = list(of_student[0].chances) if of_student else []
        for found in of_student:
            left = [arm for arm in left if arm not in found.dropped]
            lines.append(decision(found, looks.full, left, student if several else ""))
        if of_student and of_student[-1].spent:
            lines.append(
                f"That one of those dropped{f' of {student}' if several else ''} is the best has a chance of "
                f"{chance(of_student[-1].spent)}, as far as learning curves go on as those of other studies "
                f"(allowed: {100 * ERROR:g} %)."
            )
    for arm, others in needed_by.items():
        lines.append(f"{arm} is trained all the same, since {listed(others)} cannot be without it.")
    lines.append(savings(spent))
    return {
        "spend": spend,
        "estimated": looks.share,
        "sizes": list(looks.sizes),
        "full": looks.full,
        "looks": [
            {
                "student": student,
                "size": found.size,
                "chances": {arm: found.chances[arm] for arm in sorted(found.chances)},
                "dropped": list(found.dropped),
                "spent": found.spent,
            }
            for student, of_student in decisions.items()
            for found in of_student
        ],
        "seconds": round(spent.seconds, 1),
        "seconds_of_whole": round(spent.whole, 1),
        "unit": spent.unit,
        "steps": spent.steps,
        "steps_saved": spent.steps_saved,
        "lines": lines,
    }


def savings(spent: Spent) -> str:
    """What was saved against the whole study."""
    share = f", {100 * spent.seconds / spent.whole:.0f} %" if spent.whole else ""
    without = f" (without {listed(spent.without)}, of which nothing ran)" if spent.without else ""
    return (
        f"The pilot took {spent.seconds:,.0f} of the {spent.whole:,.0f} {spent.unit} that the whole study is estimated "
        f"to take{share}{without}: {spent.steps_saved:,} steps were not run, and {spent.steps:,} were."
    )
