"""How a study was made, as its report tells it: stages, versions, what matching left, and what the steps say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.comparison.phrasing import listed
from tasks.pipeline.declaration import Fact
from tasks.storage.artifacts import Artifact


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


def matched_by(choices: tuple[Artifact, ...]) -> list[dict[str, Any]]:
    """For each choice of training responses: questions each origin can answer, those all can, those that were taken,
    and mean tokens of these, by whose responses they are."""
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


def not_asked_by(asked: tuple[Artifact, ...]) -> list[dict[str, Any]]:
    """Evaluation questions that were left out, or leave little room for an answer, by student and benchmark."""
    return [
        {"label": artifact.manifest["label"], **artifact.facts}
        for artifact in asked
        if artifact.facts["left_out"] or artifact.facts["short_of_room"]
    ]


def sampling_in_intervals(asked: Mapping[str, Any], seeds: int, per_seed: Sequence[str], once: Sequence[str]) -> str:
    """In a sentence, whether intervals hold what another draw of the training responses would change.

    Args:
        asked: the study's `questions`, whose `sampling` is "per_seed" where each seed has draws of its own.
        seeds: the least number of seeds an arm has.
        per_seed: arms whose responses were drawn for each seed, whatever the study asked for.
        once: arms whose responses are the same for every seed, such as people's.
    """
    if seeds < 2:
        return "There is one draw of the training responses: intervals leave out what the sampling of data adds."
    if asked.get("sampling") == "per_seed":
        text = "Each seed trains on responses drawn for it: intervals include what the sampling of data adds"
        return text + (f", but for {listed(once)}, where all seeds have the same." if once else ".")
    text = "One draw of the training responses serves all seeds: intervals leave out what the sampling of data adds"
    return text + (f", but for {listed(per_seed)}, where each seed has its own." if per_seed else ".")
