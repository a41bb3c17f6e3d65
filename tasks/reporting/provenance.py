"""How a study was made, as its report tells it: stages, versions, what matching left, and what the steps say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tasks.pipeline.declaration import Fact
from tasks.reporting.formatting import count
from tasks.selection.exclusions import REASONS
from tasks.storage.artifacts import Artifact

Source = TypeVar("Source")
UNUSABLE = ("no_response", "no_room", "no_verdict", "too_long")
"""Reasons for which a question is left out that a reader is told of at the top of the page."""


def stages_of(made: tuple[Artifact, ...]) -> list[dict[str, Any]]:
    """Runs, rows, seconds and template hashes of each stage, in the order they first appear."""
    by_stage: dict[str, dict[str, Any]] = {}
    for artifact in made:
        manifest = artifact.manifest
        entry = by_stage.setdefault(
            manifest["stage"],
            {"stage": manifest["stage"], "runs": 0, "rows": 0, "seconds": 0.0, "templates": Counter()},
        )
        entry["runs"] += 1
        entry["rows"] += manifest["rows"] or 0
        entry["seconds"] += manifest["seconds"]
        if "template" in manifest["facts"]:
            entry["templates"][manifest["facts"]["template"]] += 1
    return [{**entry, "templates": sorted(entry["templates"])} for entry in by_stage.values()]


def versions_of(made: tuple[Artifact, ...]) -> dict[str, str]:
    """Versions the artifacts were made with; several of one package where it was changed in between."""
    found: dict[str, set[str]] = {}
    for artifact in made:
        for package, version in artifact.manifest["versions"].items():
            found.setdefault(package, set()).add(version)
    return {package: " and ".join(sorted(each)) for package, each in found.items()}


def told_by(made: tuple[Artifact, ...], declared: Mapping[str, Sequence[Fact]]) -> dict[str, Any]:
    """Facts of single steps that their stages report, as a table: `names` of its columns, and `lines` of step and
    values by name.

    Counts and money have a line that sums them up, where several steps have them.

    Args:
        declared: the facts of each stage, by its name.
    """
    lines: list[tuple[str, dict[str, Any]]] = []
    totals: set[str] = set()
    for artifact in made:
        stage, label = artifact.manifest["stage"], artifact.manifest["label"]
        reported = {fact.name: fact for fact in declared.get(stage, ()) if fact.reported}
        values = {name: artifact.facts[name] for name, fact in reported.items() if _told(fact, artifact.facts)}
        if values:
            lines.append((f"{stage} {label}".strip(), values))
            totals |= {name for name in values if reported[name].total}
    names = list(dict.fromkeys(name for _, facts in lines for name in facts))
    sums = {name: sum(facts.get(name) or 0 for _, facts in lines) for name in names if name in totals}
    return {"names": names, "lines": lines, "sums": sums if len(lines) > 1 else {}}


def _told(fact: Fact, facts: Mapping[str, Any]) -> bool:
    return fact.name in facts and fact.told(facts[fact.name])


@dataclass(frozen=True)
class TrainedOn(Generic[Source]):
    """An adapter, and the choices of what it was trained on: nodes in a plan, artifacts when the report is made."""

    adapter: Source
    choices: Source
    pool: str
    """The name under which the choices have its rows."""


@dataclass(frozen=True)
class Steps(Generic[Source]):
    """The steps of a study that its report tells of."""

    made: tuple[Source, ...] = ()
    """All of them, for counts, time, template hashes and what they say of themselves."""
    choices: tuple[Source, ...] = ()
    """Which questions and responses arms were to train on."""
    trained: tuple[TrainedOn[Source], ...] = ()
    asked: tuple[Source, ...] = ()
    """The evaluation questions that a student has room to answer."""


def matched_by(choices: tuple[Artifact, ...]) -> list[dict[str, Any]]:
    """For each choice of training responses: questions each origin can answer, those all can, those that were taken,
    and mean tokens of these by origin."""
    return [
        {
            "label": artifact.manifest["label"],
            "usable": artifact.facts["left"]["usable"],
            "shared": next(iter(artifact.facts["left"].get("shared", {}).values()), None),
            "taken": min(artifact.facts["left"]["taken"].values()),
            "tokens": {origin: facts.get("tokens_mean") for origin, facts in artifact.facts["origins"].items()},
            "tokens_within": artifact.facts["tokens_within"],
        }
        for artifact in choices
    ]


def trained_by(choices: tuple[Artifact, ...], trained: tuple[TrainedOn[Artifact], ...]) -> dict[str, Any]:
    """What each arm was trained on, and why not on the rest of the questions asked.

    `arms`: label, origin, questions asked, `left_out` (questions by reason), rows that its adapters were trained on
    (None where there is no adapter) and their mean tokens. `reasons`: what those that occur are called. `unusable`:
    the arms with questions that had no response to train on, though one was asked for, in words. `longest`: tokens of
    prompt and response that the trainers took at most.
    """
    arms: list[dict[str, Any]] = []
    rows: dict[tuple[str, str], set[int]] = {}
    for one in trained:
        rows.setdefault((one.choices.manifest["key"], one.pool), set()).add(one.adapter.facts["rows"])
    for artifact in choices:
        for origin, facts in artifact.facts["origins"].items():
            arms.append(
                {
                    "label": artifact.manifest["label"],
                    "origin": origin,
                    "asked": facts["asked"],
                    "left_out": {reason: facts["left_out"].get(reason, 0) for reason in REASONS},
                    "trained": max(rows.get((artifact.manifest["key"], origin), ()), default=None),
                    "tokens": facts.get("tokens_mean"),
                }
            )
    return {
        "arms": arms,
        "reasons": {reason: words for reason, words in REASONS.items() if any(arm["left_out"][reason] for arm in arms)},
        "unusable": [
            f"{arm['origin']} on {arm['label']}: {count(number)} of {count(arm['asked'])} {REASONS[reason]}"
            for arm in arms
            for reason, number in arm["left_out"].items()
            if number and reason in UNUSABLE
        ],
        "longest": sorted({one.adapter.facts["longest"] for one in trained}),
    }


def not_asked_by(asked: tuple[Artifact, ...]) -> list[dict[str, Any]]:
    """Evaluation questions that were left out, or leave little room for an answer, by student and benchmark."""
    return [
        {"label": artifact.manifest["label"], **artifact.facts}
        for artifact in asked
        if artifact.facts["left_out"] or artifact.facts["short_of_room"]
    ]
