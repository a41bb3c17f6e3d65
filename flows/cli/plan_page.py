"""What `plan` and `status` print."""

import math
from collections import Counter, defaultdict
from typing import Any

from flows.config.schema import Study
from flows.planning import preflight, rendering_checks
from flows.planning.cost import Cost, cost
from flows.planning.forecast import Forecasts, State, forecast
from flows.planning.plan import expand
from flows.results.json_output import say
from tasks.comparison.cell import Arm
from tasks.comparison.phrasing import points
from tasks.comparison.power import SPREAD, Design, claims_of
from tasks.comparison.wording import wording_of
from tasks.storage.opening import open_store

MOST_LINES = 400
"""Stages printed one by one; beyond, only those that would run are counted by reason."""


def show(study: Study, as_json: bool, quiet: bool = False) -> None:
    """Print a plan held against the store; `quiet`: without its stages, one by one."""
    store = open_store()
    plan = expand(study)
    notes = (*preflight.check(study), *rendering_checks.check(study))
    forecasts = forecast(plan, store)
    price = cost(plan, forecasts, store)
    if as_json:
        say({**_as_data(study, forecasts, price), "notes": list(notes)})
        return
    lines = [f"{study.name}: {len(plan.nodes)} stages, {len(plan.cells)} cells"]
    if quiet:
        pass
    elif len(plan.nodes) <= MOST_LINES:
        width = max(len(f.node.run_name) for f in forecasts)
        lines += [f"  {f.state:<5} {f.node.run_name:<{width}}  {f.why}".rstrip() for f in forecasts]
    else:
        lines += _by_reason(forecasts)
    print("\n".join(lines))
    print(_summary(forecasts, price))
    for line in power(study):
        print(f"  {line}")
    for estimate in price.requests:
        print(f"  {estimate}")
    if price.gpu_hours:
        print(f"  {price.gpu_hours}")
    for line in notes:
        print(f"  {line}")
    if study.trust_remote_code:
        print(f"  Code that comes with {', '.join(study.trust_remote_code)} will run here with all your rights.")
    if price.uncounted:
        print(
            f"  Too low: all questions of {', '.join(price.uncounted)} are asked for, and how many they are is not "
            "known before they are read. They are left out of these figures."
        )


def _by_reason(forecasts: Forecasts) -> list[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for each in forecasts:
        why = each.why.split(": ")[0] if each.why.startswith("input changed") else each.why
        if each.state is State.WAITS:
            why = "runs unless its inputs come out as before"
        counts[each.node.stage.name]["hit" if each.hit else f"{each.state}: {why}"] += 1
    width = max(map(len, counts), default=0)
    return [
        f"  {stage:<{width}} {count:>7,}  {reason}"
        for stage, reasons in counts.items()
        for reason, count in reasons.items()
    ]


def _summary(forecasts: Forecasts, price: Cost) -> str:
    misses = len(forecasts.misses)
    if not misses:
        return "Everything is in the store: a run will do nothing again."
    waiting = len(forecasts.waiting)
    text = f"{len(forecasts.each) - misses} hit, {misses - waiting} to run"
    text += f", {waiting} that run unless what they need comes out as before: at most " if waiting else ": "
    about = "at most" if price.tokens_are_bound else "about"
    for compute, number in price.counts.items():
        text += f"{number:,} {compute.counted} to {compute.verb}"
        text += f" ({about} {price.tokens_by_compute[compute]:,} tokens), " if compute.writes else ", "
    if price.minutes is None:
        return text + "duration unknown until a first run with these models has been timed."
    least = price.least_minutes or 0.0
    if price.minutes - least >= 0.1:
        text += f"about {least:.1f} to {price.minutes:.1f} minutes, as earlier runs went"
    else:
        text += f"about {price.minutes:.1f} minutes, as earlier runs went"
    return text + (f" (without {', '.join(price.unknown)}, never timed yet)." if price.unknown else ".")


def power(study: Study) -> list[str]:
    """How small a difference between two origins the study could show."""
    train, evaluate = study.names(study.train), study.names(study.evaluate)
    asked = {on: study.questions.to_evaluate(on) for on in evaluate}
    arms = [Arm("", "", arm.name, arm.origin, arm.method.kind) for arm in study.compared if arm.control is None]
    if len(arms) < 2 or None in asked.values():
        return []
    counts = {on: count for on, count in asked.items() if count is not None}
    others = tuple(tuple(count for on, count in counts.items() if on != trained) for trained in train)
    families = {"in domain": tuple((counts[on],) for on in train if on in counts), "on the other benchmarks": others}
    students = len(study.students)
    claims = students * claims_of(arms, any(others))

    def said(among: int) -> str:
        sizes = {
            where: Design(items, len(study.seeds), len(arms), among).detectable() for where, items in families.items()
        }
        return " and ".join(f"{points(size)} {where}" for where, size in sizes.items() if not math.isnan(size))

    if not (alone := said(1)):
        return []
    spread = f"if seeds spread by {points(SPREAD)}" if len(study.seeds) > 1 else "one seed, so of the questions alone"
    return [
        f"80 % power to show that one {wording_of(arms).kind} beats another by {alone} as the only claim ({spread});",
        *(
            f"by {said(asked)} as any one of {asked} contrasts;"
            for asked in [len(study.contrasts) * students]
            if asked > 1
        ),
        f"by {said(claims)} as any one of all {claims} claims about its {wording_of(arms).kind}s.",
    ]


def _as_data(study: Study, forecasts: Forecasts, price: Cost) -> dict[str, Any]:
    return {
        "study": study.name,
        "stages": [
            {
                "name": f.node.run_name,
                "stage": f.node.stage.name,
                "key": f.key,
                "state": f.state,
                "hit": f.hit,
                "why": f.why,
            }
            for f in forecasts
        ],
        "hits": len(forecasts.each) - len(forecasts.misses),
        "misses": len(forecasts.misses),
        "waits": len(forecasts.waiting),
        "cost": {
            **{compute.counted: price.count(compute.counted) for compute in price.counts},
            "tokens": price.tokens,
            "tokens_are_bound": price.tokens_are_bound,
            "minutes": price.minutes,
            "least_minutes": price.least_minutes,
            "uncounted": list(price.uncounted),
            "gpu_hours": price.gpu_hours.total if price.gpu_hours else None,
            "endpoints": [
                {
                    "model": estimate.name,
                    "requests": estimate.requests,
                    "input_tokens": estimate.input,
                    "output_tokens": estimate.output,
                    "output_is_bound": estimate.output_is_bound,
                    "usd": estimate.usd,
                    "spent_tokens": estimate.spent.tokens,
                    "spent_usd": estimate.spent.usd,
                    "over_budget": estimate.over_budget,
                }
                for estimate in price.requests
            ],
        },
    }


def status(study: Study, as_json: bool) -> None:
    """Print how many steps of each stage are finished, begun, and missing."""
    store = open_store()
    forecasts = forecast(expand(study), store)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for each in forecasts:
        begun = not each.hit and each.key is not None and store.begun(each.node.stage.name, each.key)
        table[each.node.stage.name]["finished" if each.hit else "begun" if begun else "missing"] += 1
    if as_json:
        say({"study": study.name, "stages": {stage: dict(counts) for stage, counts in table.items()}})
        return
    print(f"{study.name}: {len(forecasts.each) - len(forecasts.misses)} of {len(forecasts.each)} stages finished")
    width = max(map(len, table), default=0)
    for stage, counts in table.items():
        print(f"  {stage:<{width}} " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
    if forecasts.misses:
        print(f"Go on with: {study.command}")
