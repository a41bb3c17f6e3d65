"""What a model answers, the values of steps by rollouts, and the first pits of wrong responses."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from data.star_graph import END, StarGraph
from tasks.comparison.pass_at_k import pass_at_k

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

BEST_OF = 5
"""A step's value is the chance that one of so many completions is right: best-of-5 in Setlur et al. 2024."""
BATCH = 256
"""Prefixes completed at a time."""


@dataclass(frozen=True)
class Prefix:
    """A graph's question and the first `steps` of a response to it."""

    graph: StarGraph
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Wrong:
    """A wrong, ended response."""

    graph: StarGraph
    response: tuple[int, ...]

    @property
    def wrong_turn(self) -> int:
        """Number of the first step that the right answer has not."""
        return next(at for at, step in enumerate(self.response) if step != self.graph.answer[at])


@dataclass(frozen=True)
class Pit:
    """Of `wrong`, the step number `at` is the first from which no rollout was right."""

    wrong: Wrong
    at: int


def completions(
    model: "LlamaForCausalLM", prefixes: Sequence[Prefix], count: int, limit: int
) -> list[list[tuple[int, ...]]]:
    """For each prefix `count` whole responses of at most `limit` tokens, sampled at temperature 1; 0: one, greedy.

    A response is what comes before the first `END`, and this; one that was cut off lacks it.
    """
    import torch

    found: dict[int, list[tuple[int, ...]]] = {}
    order = sorted(range(len(prefixes)), key=lambda at: len(prefixes[at].steps))
    for length, group in groupby(order, key=lambda at: len(prefixes[at].steps)):
        numbers = list(group)
        for start in range(0, len(numbers), BATCH):
            batch = numbers[start : start + BATCH]
            ids = torch.tensor([[*prefixes[at].graph.question, *prefixes[at].steps] for at in batch])
            sampling: dict[str, Any] = {"do_sample": True, "top_k": 0} if count else {"do_sample": False}
            with torch.no_grad():
                made: Any = model.generate(  # type: ignore[misc]
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    num_return_sequences=max(1, count),
                    max_new_tokens=limit - length,
                    **sampling,
                )
            rows = made[:, ids.shape[1] - length :].view(len(batch), max(1, count), -1).tolist()
            found |= {at: [_ended(row) for row in several] for at, several in zip(batch, rows, strict=True)}
    return [found[at] for at in range(len(prefixes))]


def _ended(tokens: list[int]) -> tuple[int, ...]:
    return tuple(tokens[: tokens.index(END) + 1] if END in tokens else tokens)


def right(model: "LlamaForCausalLM", graphs: Sequence[StarGraph], limit: int) -> list[bool]:
    """Whether the greedy answer to each graph is right."""
    answers = completions(model, [Prefix(graph) for graph in graphs], 0, limit)
    return [graph.is_right(answer) for graph, (answer,) in zip(graphs, answers, strict=True)]


def wrong_responses(model: "LlamaForCausalLM", graphs: Sequence[StarGraph], samples: int, limit: int) -> list[Wrong]:
    """The different wrong responses among `samples` to each graph; those that were cut off are left out."""
    drawn = completions(model, [Prefix(graph) for graph in graphs], samples, limit)
    return [
        Wrong(graph, response)
        for graph, responses in zip(graphs, drawn, strict=True)
        for response in dict.fromkeys(responses)
        if response[-1] == END and not graph.is_right(response)
    ]


def values(model: "LlamaForCausalLM", prefixes: Sequence[Prefix], rollouts: int, limit: int) -> list[float]:
    """The value of each prefix's last step: the unbiased estimate of best-of-`BEST_OF` from `rollouts` completions."""
    different = list(dict.fromkeys(prefixes))
    drawn = completions(model, different, rollouts, limit)
    found = {
        prefix: pass_at_k(rollouts, sum(map(prefix.graph.is_right, responses)), BEST_OF)
        for prefix, responses in zip(different, drawn, strict=True)
    }
    return [found[prefix] for prefix in prefixes]


def first_pits(model: "LlamaForCausalLM", wrong: Sequence[Wrong], rollouts: int, limit: int) -> list[Pit]:
    """Each response's first step whose value is 0. The last step's is: the response is wrong."""
    found: list[Pit] = []
    still = list(wrong)
    for at in range(limit):
        ended = [each for each in still if at == len(each.response) - 1]
        going = [each for each in still if at < len(each.response) - 1]
        estimates = values(model, [Prefix(each.graph, each.response[: at + 1]) for each in going], rollouts, limit)
        lost = [each for each, value in zip(going, estimates, strict=True) if value == 0]
        found += [Pit(each, at) for each in ended + lost]
        still = [each for each, value in zip(going, estimates, strict=True) if value > 0]
    return found
