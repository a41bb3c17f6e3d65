"""Work pools: where Prefect sends the runs of deployments. Those of the project are made from deployments/pools."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import kinds
from data.errors import InputError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

FOLDER = Path(__file__).resolve().parents[2] / "deployments" / "pools"
DEFAULT = "process"
TYPES = {"ray": "process"}
"""The type of worker where it is not the pool's name: on Ray, a process near the cluster's head hands out the steps."""


@dataclass(frozen=True)
class Pool:
    """A work pool on the server."""

    type: str
    made: bool
    env: Mapping[str, Any] = field(default_factory=dict)
    """Environment variables of its runs, unless a deployment has others: it then has to repeat these."""

    @classmethod
    def of(cls, type: str, template: Mapping[str, Any], made: bool) -> "Pool":
        variables = template.get("variables", {}).get("properties", {})
        return cls(type, made, variables.get("env", {}).get("default") or {})


def ours() -> list[str]:
    """The pools there are files for."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def find_or_make(client: "SyncPrefectClient", name: str) -> Pool:
    """The pool of that name; one of the project's is made where it is missing.

    Raises:
        InputError: there is none; names those that there are.
    """
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    try:
        found = client.read_work_pool(name)
        return Pool.of(found.type, found.base_job_template, False)
    except ObjectNotFound:
        pass
    if name not in ours():
        there = sorted({pool.name for pool in client.read_work_pools()} | set(ours()))
        raise InputError(
            f"--pool {name}: {kinds.unknown('work pool', name, there)}. Make it: prefect work-pool create {name} "
            f"--type process --base-job-template {FOLDER / 'process.json'}"
        )
    type = TYPES.get(name, name)
    template = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    client.create_work_pool(WorkPoolCreate(name=name, type=type, base_job_template=template))
    return Pool.of(type, template, True)
