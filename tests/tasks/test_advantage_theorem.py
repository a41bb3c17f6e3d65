"""Per-step DPO is advantage-weighted reinforcement learning: theorem 6.1 of Setlur et al. 2024 (arXiv 2406.14532),
by numbers on a small tree whose policy, values and advantages are exact.

Both objectives have one optimum, pi*(a|s) in proportion to pi_sft(a|s) exp(A(s, a) / beta), as long as the pairs of DPO
are drawn symmetrically and labelled by the difference of their advantages.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tasks.comparison.pass_at_k import pass_at_k
from tasks.kinds.methods import Predicted
from tasks.methods.dpo import Dpo
from tasks.methods.sft import Sft

if TYPE_CHECKING:
    from torch import Tensor

STEPS, ACTIONS, K, BETA = 3, 3, 5, 0.3
Prefix = tuple[int, ...]


class Tree:
    """Responses of `STEPS` steps with `ACTIONS` choices each: a random policy, and rewards of which a third are 1."""

    def __init__(self) -> None:
        import torch

        generator = torch.Generator().manual_seed(0)
        self.states = [prefix for depth in range(STEPS) for prefix in product(range(ACTIONS), repeat=depth)]
        logits = torch.randn(len(self.states), ACTIONS, generator=generator, dtype=torch.float64)
        self.policy = logits.softmax(-1)
        responses = list(product(range(ACTIONS), repeat=STEPS))
        right = set(torch.randperm(len(responses), generator=generator)[: len(responses) // 3].tolist())
        self.reward = {response: float(number in right) for number, response in enumerate(responses)}
        values = [[self.value((*state, action)) for action in range(ACTIONS)] for state in self.states]
        self.q = torch.tensor(values, dtype=torch.float64)
        self.advantage = self.q - torch.tensor([[self.value(state)] for state in self.states], dtype=torch.float64)

    def success(self, prefix: Prefix) -> float:
        """The chance that the policy completes the prefix to a right response."""
        if len(prefix) == STEPS:
            return self.reward[prefix]
        chances = self.policy[self.states.index(prefix)].tolist()
        return math.fsum(chance * self.success((*prefix, action)) for action, chance in enumerate(chances))

    def value(self, prefix: Prefix) -> float:
        """The same for the best of `K` completions, which is the paper's value."""
        return 1 - (1 - self.success(prefix)) ** K

    def advantages(self, response: Prefix) -> list[float]:
        return [float(self.advantage[self.states.index(response[:at]), response[at]]) for at in range(STEPS)]


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree()


def optimum(loss: "Callable[[Tensor], Tensor]", start: "Tensor") -> "Tensor":
    """The policy (states, actions) whose log-probabilities make the convex loss least."""
    import torch

    logits = start.log().requires_grad_()
    solver = torch.optim.LBFGS(
        [logits], max_iter=2_000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        solver.zero_grad()
        value = loss(logits.log_softmax(-1))
        value.backward()
        return float(value.detach())

    solver.step(closure)
    return logits.detach().softmax(-1)


def dpo(tree: Tree, chances: "Tensor") -> "Tensor":
    """The optimum of DPO where action a is chosen and b rejected with `chances` (states, a, b); the reference is
    pi_sft."""
    import torch

    method, at = Dpo(beta=BETA), list(product(range(ACTIONS), repeat=2))
    chosen, rejected = torch.tensor(at).T

    def of_pair(nll: "Tensor", reference: "Tensor") -> "Tensor":
        return method.loss(Predicted(nll, None, reference, [1, 1])).value

    def pairs(log_policy: "Tensor") -> "Tensor":
        return torch.stack([-log_policy[:, chosen], -log_policy[:, rejected]], dim=-1).flatten(0, 1)

    def loss(log_policy: "Tensor") -> "Tensor":
        losses = torch.func.vmap(of_pair)(pairs(log_policy), pairs(tree.policy.log()))
        return (chances.flatten() * losses).sum()

    return optimum(loss, tree.policy)


def preferred(scores: "Tensor") -> "Tensor":
    """P(a is preferred to b) by Bradley and Terry: (states, a, b)."""
    return (scores[:, :, None] - scores[:, None, :]).sigmoid()


def target(tree: Tree) -> "Tensor":
    tilted = tree.policy * (tree.advantage / BETA).exp()
    return tilted / tilted.sum(-1, keepdim=True)


def proposals(tree: Tree) -> "dict[str, Tensor]":
    """Chances of drawing the pair a, b before it is labelled: (states, a, b), symmetric in a and b."""
    import torch

    return {
        "uniform": torch.ones(len(tree.states), ACTIONS, ACTIONS),
        "pi_sft squared": tree.policy[:, :, None] * tree.policy[:, None, :],
    }


@pytest.mark.parametrize("proposal", ["uniform", "pi_sft squared"])
@pytest.mark.parametrize("label", ["advantage", "q"])
def test_dpo_reaches_the_advantage_weighted_policy(tree: Tree, proposal: str, label: str) -> None:
    found = dpo(tree, proposals(tree)[proposal] * preferred(getattr(tree, label)))
    assert float((found - target(tree)).abs().max()) < 1e-6
    assert float((found - tree.policy).abs().max()) > 0.05, "the target is not where the optimiser starts"


@pytest.mark.parametrize("proposal", ["uniform", "pi_sft squared"])
def test_a_positive_drawn_for_each_negative_misses_it(tree: Tree, proposal: str) -> None:
    """The positive is drawn by its preference over a negative that is drawn first: no longer symmetric."""
    proposed = proposals(tree)[proposal]
    drawn = proposed * preferred(tree.advantage)
    chances = drawn / drawn.sum(1, keepdim=True) * proposed.sum(1, keepdim=True)
    assert float((dpo(tree, chances) - target(tree)).abs().max()) > 0.05


def test_advantage_weighted_regression_reaches_it_too(tree: Tree) -> None:
    """Regression is the project's `sft`, each action weighted by how often pi_sft takes it times exp(A / beta)."""
    weights = (tree.policy * (tree.advantage / BETA).exp()).flatten()
    counts = [1] * len(weights)

    def loss(log_policy: "Tensor") -> "Tensor":
        return Sft().loss(Predicted(-log_policy.flatten(), weights, None, counts)).value

    found = optimum(loss, tree.policy)
    assert float((found - target(tree)).abs().max()) < 1e-6


def test_advantages_of_a_whole_response_sum_to_its_reward_less_the_value(tree: Tree) -> None:
    value = tree.value(())
    assert 0.05 < value < 0.999
    sums = {response: math.fsum(tree.advantages(response)) for response in tree.reward}
    wrong = [total for response, total in sums.items() if not tree.reward[response]]
    right = [total for response, total in sums.items() if tree.reward[response]]
    assert (len(wrong), len(right)) == (18, 9)
    assert wrong == pytest.approx([-value] * 18, abs=1e-12)
    assert right == pytest.approx([1 - value] * 9, abs=1e-12)


@pytest.mark.parametrize("n", [5, 9, 20])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.3, 0.85, 1.0])
def test_the_estimate_of_a_best_of_k_value_is_unbiased(n: int, p: float) -> None:
    """Its mean over all numbers of right ones among n completions, each by its binomial chance."""
    mean = math.fsum(math.comb(n, c) * p**c * (1 - p) ** (n - c) * pass_at_k(n, c, K) for c in range(n + 1))
    assert mean == pytest.approx(1 - (1 - p) ** K, abs=1e-12)
