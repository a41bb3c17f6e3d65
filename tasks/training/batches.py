"""Which rows a training sees when."""

import math
import random
from collections.abc import Callable, Iterator, Sequence

from tasks.models.rendering import Rendered
from tasks.scoring.likelihood import Batch


class Order:
    """Row numbers of batches of like length, in an order that depends on nothing but the seed and the epoch.

    An optimiser step's rows come as smaller batches where memory is short; they are the same rows however small the
    batches are.
    """

    def __init__(self, lengths: Sequence[int], batch: int, micro: int, seed: int) -> None:
        self._lengths = lengths
        self._batch = batch
        self._micro = micro
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(len(self._lengths), self._batch)
        return full * math.ceil(self._batch / self._micro) + math.ceil(rest / self._micro)

    def steps(self) -> list[list[int]]:
        """Row numbers of each optimiser step of the epoch. A step with fewer rows than the others comes last."""
        order = list(range(len(self._lengths)))
        rng = random.Random(f"{self._seed}/{self._epoch}")
        rng.shuffle(order)
        whole = len(order) - len(order) % self._batch
        steps = []
        for start in range(0, whole, 8 * self._batch):
            alike = sorted(order[start : min(whole, start + 8 * self._batch)], key=lambda i: self._lengths[i])
            steps += [alike[at : at + self._batch] for at in range(0, len(alike), self._batch)]
        rng.shuffle(steps)
        return steps + ([order[whole:]] if whole < len(order) else [])

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps():
            for start in range(0, len(step), self._micro):
                yield step[start : start + self._micro]


class Batches:
    """Stands in for a data loader. It has a loader's parts too, of which transformers makes the rest of an epoch that a
    training goes on with."""

    sampler = prefetch_factor = None

    def __init__(self, examples: Sequence[Rendered], batch: int, micro: int, seed: int) -> None:
        self.dataset = examples
        self.batch_sampler = Order([len(example.ids) for example in examples], batch, micro, seed)
        self.collate_fn: Callable[[list[Rendered]], Batch] = _batch

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)

    def steps(self) -> list[list[int]]:
        return self.batch_sampler.steps()

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.batch_sampler:
            yield self.collate_fn([self.dataset[row] for row in rows])


def _batch(examples: list[Rendered]) -> Batch:
    return Batch.of(examples, pad=0)
