"""Two studies in one process, read before either runs: each keeps its own settings, budget, name and outcome."""

from typing import Any

from flows.config.study_file import checked
from flows.planning.plan import expand
from tasks.models.endpoint import Endpoint


def study(name: str, **endpoint: Any) -> dict[str, Any]:
    return {
        "name": name,
        "student": "abacus-student",
        "train": ["abacus/boxes"],
        "evaluate": ["abacus/boxes"],
        "questions": {"train": 12, "evaluate": 4},
        "origins": {"tutor": {"kind": "teacher", "model": "api:tutor-1", "max_tokens": 20}},
        "match": {"correct": "any"},
        "endpoints": {"tutor-1": endpoint},
    }


def tutor(plan: Any) -> Endpoint:
    (model,) = {node.values["model"] for node in plan.nodes if node.stage.name == "generate"}
    assert isinstance(model, Endpoint)
    return model


def test_each_plan_has_its_own_settings_and_budget() -> None:
    first = checked(study("first", concurrency=3, budget_tokens=1000))
    second = checked(study("second", concurrency=5, budget_tokens=2000))
    one, other = tutor(expand(first)), tutor(expand(second))
    assert (one.study, one.settings.concurrency, one.settings.budget_tokens) == ("first", 3, 1000)
    assert (other.study, other.settings.concurrency, other.settings.budget_tokens) == ("second", 5, 2000)
