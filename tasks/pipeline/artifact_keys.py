"""Keys of a plan's steps as a store stands: known of a step whose inputs are there, by what these hold.

Two inputs that were made in different ways and hold the same give the same key: a change that leaves a stage's result
as it was ends there (early cutoff; Mokhov, Mitchell and Peyton Jones 2018, "Build systems à la carte", 3.3).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Artifact, Store


class Made(NamedTuple):
    """An artifact in a store."""

    key: str
    content: str
    """A digest of what it holds."""


class ArtifactKeys:
    """Keys of steps in one store, each found once. Use it from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[str, str] = {}
        """Keys by recipe."""

    def find(self, node: Node) -> str | None:
        """The step's key; None where an input of it, or of its inputs, has no artifact.

        Raises:
            Transient: the store does not answer.
        """
        found = self._found  # all of one time: another thread may have them forgotten meanwhile
        stack = [node]
        while stack:
            one = stack[-1]
            if one.recipe in found:
                stack.pop()
                continue
            unknown = [needed for needed in one.upstream if needed.recipe not in found]
            if unknown:
                stack.extend(unknown)
                continue
            made = {}
            for needed in one.upstream:
                key = found[needed.recipe]
                content = self._store.content(needed.stage.name, key)
                if content is None:
                    return None
                made[needed.recipe] = Made(key, content)
            found[one.recipe] = key_of(one, made)
            stack.pop()
        return found[node.recipe]

    def forget(self) -> None:
        """Find all keys anew: an artifact was lost, and what is made in its place may hold something else."""
        self._found = {}

    def open(self, node: Node) -> Artifact | None:
        """The step's artifact, its digests checked; None where there is none."""
        key = self.find(node)
        return None if key is None else self._store.open(node.stage.name, key)

    def look_up(self, node: Node) -> Artifact | None:
        """The same with its manifest alone: in a shared store its files need not be on this machine."""
        key = self.find(node)
        return None if key is None else self._store.find(node.stage.name, key)

    def has(self, node: Node) -> bool:
        """Whether the step's artifact is there; its files are only checked when it is opened."""
        key = self.find(node)
        return key is not None and self._store.has(node.stage.name, key)


def key_of(node: Node, made: Mapping[str, Made]) -> str:
    """A step's key.

    Args:
        made: the artifacts of its inputs, by recipe.
    """
    return node.key(seen_by(node, made))


def seen_by(node: Node, made: Mapping[str, Made]) -> Callable[[Node], str]:
    """What counts of each input in a step's key: what it holds, and for a stage that reads manifests its key too."""

    def content(needed: Node) -> str:
        one = made[needed.recipe]
        return f"{one.content} of {one.key}" if node.stage.reads_manifests else one.content

    return content
