"""What each arm was trained on, how, and what its method says of the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.comparison.cell import Arm
from tasks.reporting.formatting import count, fact
from tasks.reporting.steps import TrainedOn
from tasks.selection.exclusions import REASONS
from tasks.storage.artifacts import Artifact

UNUSABLE = ("no_response", "no_room", "no_verdict", "too_long")
"""Reasons for which a question is left out that a reader is told of at the top of the page."""
OF_EVERY_METHOD = (
    *("loss", "loss_first", "loss_last", "watched", "steps", "tokens", "tokens_per_second", "train_seconds", "rows"),
    *("micro_batch", "accumulation", "gradient_checkpointing", "device", "trainable_parameters", "longest", "template"),
)
"""Facts of `finetune` that the training loop gives, whatever the method; all others are the method's own."""


def trained_by(choices: Sequence[Artifact], trained: Sequence[TrainedOn[Artifact]]) -> dict[str, Any]:
    """What each arm was trained on, and why not on the rest of the questions asked.

    `arms`: label of the choice, `pool` (whose responses), the `arms` with adapters trained on it, questions asked,
    `left_out` (questions by reason), rows that the adapters were trained on (None where there is no adapter) and their
    mean tokens. `reasons`: what those that occur are called. `unusable`: the arms with questions that had no response
    to train on, though one was asked for, in words. `longest`: tokens of prompt and response that the trainers took at
    most.
    """
    users: dict[tuple[str, str], list[TrainedOn[Artifact]]] = {}
    for one in trained:
        users.setdefault((one.choices.manifest["key"], one.pool), []).append(one)
    arms: list[dict[str, Any]] = []
    for artifact in choices:
        for pool, facts in artifact.facts["origins"].items():
            using = users.get((artifact.manifest["key"], pool), [])
            arms.append(
                {
                    "label": artifact.manifest["label"],
                    "pool": pool,
                    "arms": sorted({one.of.arm for one in using}) or [pool],
                    "asked": facts["asked"],
                    "left_out": {reason: facts["left_out"].get(reason, 0) for reason in REASONS},
                    "trained": max((one.adapter.facts["rows"] for one in using), default=None),
                    "tokens": facts.get("tokens_mean"),
                }
            )
    return {
        "arms": arms,
        "reasons": {reason: words for reason, words in REASONS.items() if any(arm["left_out"][reason] for arm in arms)},
        "unusable": [
            f"{arm['pool']} on {arm['label']}: {count(number)} of {count(arm['asked'])} {REASONS[reason]}"
            for arm in arms
            for reason, number in arm["left_out"].items()
            if number and reason in UNUSABLE
        ],
        "longest": sorted({one.adapter.facts["longest"] for one in trained}),
    }


def training_of(trained: Iterable[TrainedOn[Artifact]]) -> list[dict[str, Any]]:
    """How each arm was trained, all seeds together: a line a student, training benchmark, arm and size.

    `settings` are the method's, by name; `adapters` their number; `rows`, `steps`, `loss_first` and `loss_last` as
    least and greatest over the seeds, in words; `facts` what else the method says, by name, in the same way; `alarms`
    how many of the adapters have a fact that is true or false, and is true, as `collapsed` of dpo is.
    """
    arms: dict[Arm, list[Artifact]] = {}
    for one in trained:
        arms.setdefault(one.of, []).append(one.adapter)
    return [_line(of, adapters) for of, adapters in sorted(arms.items())]


def shared_settings(training: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings that all of `training_of`'s lines have with the same value, where there are several lines."""
    first = training[0]["settings"] if len(training) > 1 else {}
    return {
        name: value
        for name, value in first.items()
        if all(name in line["settings"] and line["settings"][name] == value for line in training)
    }


def alarms_of(training: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The alarms of `training_of`'s lines by arm: how many of its `adapters`, of how many, have each."""
    alarms: dict[tuple[str, str], dict[str, Any]] = {}
    lines = list(training)
    for line in lines:
        for name, number in line["alarms"].items():
            of = sum(other["adapters"] for other in lines if other["arm"] == line["arm"])
            alarm = alarms.setdefault((line["arm"], name), {"arm": line["arm"], "name": name, "adapters": 0, "of": of})
            alarm["adapters"] += number
    return list(alarms.values())


def _line(of: Arm, adapters: Sequence[Artifact]) -> dict[str, Any]:
    settings = {
        name: value
        for name, value in _settings(adapters[0]).items()
        if name not in ("kind", "code") and value is not None
    }
    own = list(dict.fromkeys(name for adapter in adapters for name in adapter.facts if name not in OF_EVERY_METHOD))
    known = {name: [adapter.facts[name] for adapter in adapters if name in adapter.facts] for name in own}
    alarms = {name: sum(values) for name, values in known.items() if all(isinstance(v, bool) for v in values)}
    return {
        **of._asdict(),
        "settings": settings,
        "adapters": len(adapters),
        **{
            name: _over_seeds([adapter.facts[name] for adapter in adapters if name in adapter.facts])
            for name in ("rows", "steps", "loss_first", "loss_last")
        },
        "facts": {name: _over_seeds(values) for name, values in known.items() if name not in alarms},
        "alarms": {name: number for name, number in alarms.items() if number},
    }


def _settings(adapter: Artifact) -> Mapping[str, Any]:
    method: Mapping[str, Any] = adapter.manifest["ingredients"]["values"]["method"]
    return method


def _over_seeds(values: Sequence[Any]) -> str:
    """A fact of several adapters: one value, or the least and the greatest."""
    if not values:
        return "–"
    if not all(isinstance(value, int | float) for value in values):
        return " / ".join(dict.fromkeys(map(fact, values)))
    low, high = fact(min(values)), fact(max(values))
    return low if low == high else f"{low} to {high}"
