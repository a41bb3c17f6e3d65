"""What requests to an endpoint will cost, before any is sent."""

from dataclasses import dataclass

from tasks.endpoint.budget import Spent, described, spent
from tasks.endpoint.response_cache import ResponseCache
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store

BYTES_A_TOKEN = 4
"""Of English text, roughly: for prompts that no endpoint has counted yet."""
BYTES_A_QUESTION = 400
"""Of a row's columns in a prompt, where no request was sent yet."""


@dataclass(frozen=True)
class Estimate:
    """The requests that a plan sends to one endpoint."""

    name: str
    settings: EndpointSettings
    requests: int
    input: int
    """Prompt tokens: from the mean of earlier requests, else a guess from the template's length."""
    output: int
    """Response tokens: from the mean of earlier requests, else the most that is allowed."""
    output_is_bound: bool
    usd: float | None
    """None where the study gives no prices."""
    spent: Spent
    """What the study has spent there so far."""

    @property
    def over_budget(self) -> bool:
        """Whether this would not fit into what is left of the budget."""
        tokens, usd = self.settings.budget_tokens, self.settings.budget_usd
        return (tokens is not None and self.spent.tokens + self.input + self.output > tokens) or (
            usd is not None and self.spent.usd + (self.usd or 0.0) > usd
        )

    def __str__(self) -> str:
        most = "at most" if self.output_is_bound else "about"
        text = f"{self.name}: {self.requests:,} requests, about {self.input:,} prompt tokens, {most} {self.output:,} "
        text += "response tokens, "
        text += "no prices given" if self.usd is None else f"{most} ${self.usd:,.2f}"
        text += f"; spent so far: {described(self.spent, self.settings)}"
        return text + (". This does not fit the budget: the run may stop at it" if self.over_budget else "")


def estimate(nodes: list[tuple[Node, int]], store: Store) -> Estimate:
    """What steps that use one endpoint would cost.

    Args:
        nodes: the steps, and how many rows each makes.
    """
    endpoint: Endpoint = nodes[0][0].values["model"]
    mean = ResponseCache(store, endpoint).mean_tokens()
    requests = sum(rows for _, rows in nodes)
    if mean is not None:
        prompt_tokens, response_tokens = (round(requests * each) for each in mean)
    else:
        prompt_tokens = sum(
            rows * (len(node.values["prompt"]) + BYTES_A_QUESTION) // BYTES_A_TOKEN for node, rows in nodes
        )
        response_tokens = sum(rows * node.values["sampling"].max_tokens for node, rows in nodes)
    settings = endpoint.settings
    priced = settings.usd_per_million_input is not None or settings.usd_per_million_output is not None
    return Estimate(
        name=endpoint.name,
        settings=settings,
        requests=requests,
        input=prompt_tokens,
        output=response_tokens,
        output_is_bound=mean is None,
        usd=settings.usd(prompt_tokens, response_tokens) if priced else None,
        spent=spent(store, endpoint),
    )
