"""A Ray cluster of a test's own on this machine: nodes that a test can kill, each with slots as a machine has."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = {"object_store_memory": 128 * 2**20, "include_dashboard": False}


class Nodes:
    """The cluster. The head has one core, and so has every node that is added."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        # Ray makes its processes nicer than others; on a busy machine they would hardly start.
        os.environ.update(RAY_worker_niceness="0", RAY_USAGE_STATS_ENABLED="0")
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **SIZE, **self._own("head")})

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self, name: str) -> Any:
        """Another node."""
        return self._cluster.add_node(num_cpus=1, **SIZE, **self._own(name))

    def kill(self, node: Any) -> None:
        """kill -9 of a node and, as on a machine that is gone, of all that runs on it."""
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        self._cluster.shutdown()

    def _own(self, name: str) -> dict[str, Any]:
        return {"env_vars": {"MOTHERTONGUE_SLOTS": str(self.folder / f"slots-{name}")}}


@contextmanager
def ray_cluster(folder: Path) -> Iterator[Nodes]:
    """A cluster of one node, which ends with the block."""
    nodes = Nodes(folder)
    try:
        yield nodes
    finally:
        nodes.stop()


def start(folder: Path, environment: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    """A study that runs on the cluster; what it says goes to `said`."""
    with (folder / "said").open("a") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.main", "run", *arguments, "--runner", "ray"],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=said,
            text=True,
        )
