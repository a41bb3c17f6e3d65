"""How large the star-graph study is."""

from dataclasses import dataclass

from data.star_graph import FIRST_LABEL


@dataclass(frozen=True)
class Sizes:
    """Graphs, model and training of every seed."""

    arms: int = 3
    length: int = 3
    """Edges of an arm. From 3 on the goal's edge no longer touches the first step, which then takes looking ahead."""
    labels: int = 30
    train: int = 2_000
    """So many that looking up an edge is learnt before the answers are known by heart."""
    asked: int = 500
    """Of the training graphs, those whose wrong responses are searched for pits."""
    validation: int = 200
    test: int = 500
    hidden: int = 64
    layers: int = 4
    """One more than the least: each node must see its edge, and two steps of attention lead back from the goal."""
    inner: int = 192
    batch: int = 32
    """Answers, or pairs, of a step."""
    sft_steps: int = 2_500
    measured_every: int = 50
    """Steps of SFT after which the validation loss is taken and the weights are kept."""
    samples: int = 4
    """Responses to each of these."""
    rollouts: int = 10
    """Completions of each prefix."""
    dpo_steps: int = 100
    """Of per-step DPO, and of the further SFT that it is compared with."""
    dpo_rate: float = 3e-4
    beta: float = 0.1

    @property
    def answer_tokens(self) -> int:
        """The nodes of a path and `END`."""
        return self.length + 2

    @property
    def vocabulary(self) -> int:
        return FIRST_LABEL + self.labels


QUICK = Sizes(
    train=60,
    asked=60,
    validation=40,
    test=40,
    hidden=32,
    layers=2,
    inner=64,
    sft_steps=40,
    measured_every=10,
    dpo_steps=5,
)
