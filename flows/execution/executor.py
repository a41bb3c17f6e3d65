"""What the scheduler needs of whatever runs the steps: a pool of threads, or a Ray cluster."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from prefect.futures import PrefectFuture

from tasks.pipeline.sharding import Share
from tasks.pipeline.stage import Node

LOOKUP = "lookup"
"""The slot of steps whose artifact is in the store: they occupy nothing but a thread."""


class Step(NamedTuple):
    """What is submitted at once: a node, or a share of its rows that is made ahead of it."""

    node: Node
    share: Share | None = None

    @property
    def run_name(self) -> str:
        return self.node.run_name if self.share is None else self.share.of_run(self.node.run_name)


class Executor(ABC):
    """Runs steps somewhere."""

    one_engine = False
    """Whether all engine steps share one engine at a time, so that their order decides how often engines start."""

    @abstractmethod
    def submit(self, step: Step, inputs: list[PrefectFuture[Any]], in_store: bool) -> PrefectFuture[Any]:
        """Start a step.

        Args:
            inputs: futures of the steps whose artifacts it reads; they have ended.
            in_store: whether the store seems to have its artifact already.
        """

    @abstractmethod
    def limit(self, slot: str) -> int:
        """How many steps of a slot are submitted at once."""

    def share_count(self, node: Node) -> int:
        """Into how many shares the rows of a node are divided, whose inputs are there."""
        return 1

    def is_lost(self, future: PrefectFuture[Any], error: BaseException) -> bool:
        """Whether a step's error says that its process or machine is gone."""
        return False

    def completed(self, step: Step, result: Any) -> None:
        """Called with each step that has succeeded, and its result."""
        return
