"""Claims: statements with a direction, what the data say of them, and the sentence that tells it with its interval.

A claim "holds" when its 95 % interval lies above zero and its p-value, adjusted over all claims of the study (Holm), is
below 5 %. It "does not hold" when both say the opposite: it is refuted. Otherwise it is "not shown", which is no proof
of its opposite, nor that there is no difference. It is "missing" when an arm is missing that it needs, and "undefined"
where there is nothing to compare. Claims are made about every pair of arms, whatever their methods; what a study sets
out to test is a `Contrast`, and is answered in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from tasks.comparison.arms import Arms
from tasks.comparison.cell import UNTRAINED
from tasks.comparison.phrasing import interval, listed, points, times
from tasks.comparison.statistics import Estimate, holm

SIGNIFICANCE = 0.05
HOLDS, REFUTED, NOT_SHOWN = "holds", "does not hold", "not shown"
MISSING, UNDEFINED = "missing", "undefined"
MOST_LACKING = 3
"""Missing arms that a claim's sentence names."""
FROM_FAMILIAR = ("self", "minimum_change", "rewrite", "teacher", "", "human")
"""How familiar origins of these names are expected to be to the student, most first; "" stands for any other name."""


@dataclass(frozen=True)
class Claim:
    """A statement, what the data say of it, and the estimate whose sign decides."""

    kind: str
    text: str
    first: str
    second: str
    estimate: Estimate
    p_holm: float = math.nan
    status: str = NOT_SHOWN
    sentence: str = ""
    lacking: tuple[str, ...] = ()
    """Arms that are missing, without which nothing is claimed."""


def negative(e: Estimate) -> Estimate:
    return replace(e, value=-e.value, low=-e.high, high=-e.low)


def status_of(estimate: Estimate, p: float) -> str:
    """Whether a claim holds, does not hold or is not shown: interval and adjusted p-value must agree on a sign."""
    if math.isnan(estimate.value):
        return UNDEFINED
    if estimate.above and p < SIGNIFICANCE:
        return HOLDS
    if estimate.below and p < SIGNIFICANCE:
        return REFUTED
    return NOT_SHOWN


def size(kind: str, first: str, second: str, found: Estimate) -> str:
    """How large the difference is, with its interval, as a sentence."""
    if kind == "perplexity":
        ratio = f"{times(found.value)} the perplexity of {first} ones"
        said = f"{second} responses have {ratio} ({interval(found, times)})"
    elif kind == "gain":
        said = f"{points(found.value, sign=True)} in domain against no training ({interval(found)})"
    elif kind == "loss":
        said = f"{points(-found.value, sign=True)} on the other benchmarks ({interval(negative(found))})"
    else:
        where = "in domain" if kind == "in_domain" else "on the other benchmarks"
        said = f"{first} minus {second}: {points(found.value, sign=True)} {where} ({interval(found)})"
    # A name like self@same_length stays as the study file spells it.
    return f"{said[0].upper() if said.split()[0].isalpha() else said[0]}{said[1:]}."


def finding(
    status: str, kind: str, first: str, second: str, found: Estimate, p_holm: float, lacking: Sequence[str]
) -> str:
    """What was found of a claim or contrast, with its interval."""
    if status == MISSING:
        return missing(lacking)
    if status == UNDEFINED:
        return "Nothing to compare: there are no items that both sides answered."
    said = size(kind, first, second, found)
    if status == HOLDS:
        return said
    return f"The opposite. {said}" if status == REFUTED else f"{unsure(found, p_holm)} {said}"


def missing(lacking: Sequence[str]) -> str:
    """That nothing is claimed, and for want of what."""
    more = f" and {len(lacking) - MOST_LACKING} more" if len(lacking) > MOST_LACKING else ""
    named = ", ".join(lacking[:MOST_LACKING]) + more if more else listed(lacking)
    return f"Nothing is claimed: {named} {'is' if len(lacking) == 1 else 'are'} missing."


def unsure(found: Estimate, p_holm: float) -> str:
    """Why nothing is shown."""
    if found.above or found.below:
        return f"Not certain enough among so many claims (p = {p_holm:.3f}, Holm)."
    return "No difference found."


def claims(arms: Arms, measure: str) -> list[Claim]:
    """Every claim about two arms, and about each against no training, not judged yet; control arms are left out.

    Where arms can be ordered by the student's perplexity, the claims take the direction of the familiarity hypothesis
    (Ren et al. 2024): what the student finds more familiar teaches it more and makes it forget less. Of arms that train
    on the same responses one stands for all in what is claimed of perplexity. `measure` is the word for what was
    measured: "accuracy" or "score".
    """
    perplexity = {arm: arms.log_perplexity([arm]).value for arm in arms.names}
    expected = sorted(arms.names, key=lambda arm: (_expected(arms.origin(arm)), _or_last(perplexity[arm])))
    measured = sorted(arms.names, key=lambda arm: (_or_last(perplexity[arm]), _expected(arms.origin(arm)), arm))
    others = [arm for arm in measured if arm != "human"]
    pooled = not arms.wording.by_name and "human" in arms.names and len(others) > 1
    called = arms.wording
    made: list[Claim] = []

    def lacking(kind: str, *sides: str) -> tuple[str, ...]:
        return tuple(arms.lacking(kind, *sides))

    def add(
        kind: str, say: Callable[[str, str], str], pairs: Iterable[tuple[str, str]], of: Callable[..., Estimate]
    ) -> None:
        if kind in ("elsewhere", "loss") and not arms.evaluated_elsewhere():
            return
        subject, rival = (called.responses,) * 2 if kind == "perplexity" else (called.training, called.rival)
        of_kind = [
            Claim(kind, say(subject(a), rival(b)), a, b, of(a, b), lacking=lacking(kind, a, b)) for a, b in pairs
        ]
        if kind in ("in_domain", "elsewhere") and pooled:
            pool = arms.gain if kind == "in_domain" else arms.elsewhere
            text = say(f"Training on {_together(others)} responses (taken together)", rival("human"))
            of_kind.append(
                Claim(
                    *(kind, text, _together(others), "human", pool(others, "human")),
                    lacking=lacking(kind, *others, "human"),
                )
            )
        made.extend(of_kind)

    add(
        "perplexity",
        lambda a, b: f"{arms.student} finds {a} more familiar (lower perplexity) than {b}.",
        combinations(_of_different_responses(expected, arms, perplexity), 2),
        lambda a, b: arms.log_perplexity([b], a),
    )
    add(
        "in_domain",
        lambda a, b: f"{a} gives higher in-domain {measure} than {b}.",
        combinations(measured, 2),
        lambda a, b: arms.gain([a], b),
    )
    add(
        "elsewhere",
        lambda a, b: f"{a} keeps more {measure} on the other benchmarks than {b}.",
        combinations(measured, 2),
        lambda a, b: arms.elsewhere([a], b),
    )
    alone = [(arm, UNTRAINED) for arm in measured]
    add(
        "gain",
        lambda a, b: f"{a} raises in-domain {measure} over no training.",
        alone,
        lambda a, b: arms.gain([a]),
    )
    add(
        "loss",
        lambda a, b: f"{a} costs {measure} on the other benchmarks.",
        alone,
        lambda a, b: negative(arms.elsewhere([a])),
    )
    return made


def judged(made: Sequence[Claim]) -> list[Claim]:
    """The claims of one family with adjusted p-values, status and sentence.

    A reader sees all claims of a study at once, so they are one family: the chance that any of them holds by luck alone
    is at most 5 %. A missing claim is none.
    """
    found = []
    for claim, p in zip(made, holm([math.nan if c.lacking else c.estimate.p for c in made]), strict=True):
        status = MISSING if claim.lacking else status_of(claim.estimate, p)
        said = finding(status, claim.kind, claim.first, claim.second, claim.estimate, p, claim.lacking)
        found.append(replace(claim, p_holm=p, status=status, sentence=said))
    return found


def _of_different_responses(names: Sequence[str], arms: Arms, perplexity: Mapping[str, float]) -> list[str]:
    """The first of the arms that have one origin and one perplexity."""
    found: dict[tuple[str, str], str] = {}
    for name in names:
        found.setdefault((arms.origin(name), repr(perplexity[name])), name)
    return list(found.values())


def _together(arms: Sequence[str]) -> str:
    return listed(arms) if len(arms) <= 3 else "all other"


def _expected(origin: str) -> int:
    return FROM_FAMILIAR.index(origin if origin in FROM_FAMILIAR else "")


def _or_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
