"""What asking an endpoint will cost, before anything is asked."""

from dataclasses import dataclass

from tasks.endpoint.budget import Spent, in_words, spent
from tasks.endpoint.response_cache import Answers
from tasks.models.endpoint import Endpoint, EndpointSettings
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Store

BYTES_A_TOKEN = 4
"""Of English text, roughly: for prompts that no endpoint has counted yet."""
BYTES_A_QUESTION = 400
"""Of a row's columns in a prompt, where none has been asked yet."""


@dataclass(frozen=True)
class Asked:
    """What would be asked of one endpoint."""

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
        text += f"; spent so far: {in_words(self.spent, self.settings)}"
        return text + (". This does not fit the budget: the run may stop at it" if self.over_budget else "")


def asked_of(nodes: list[tuple[Node, int]], store: Store) -> Asked:
    """What the steps that ask one endpoint would cost."""
    endpoint: Endpoint = nodes[0][0].values["model"]
    mean = Answers(store, endpoint).mean_tokens()
    requests = sum(rows for _, rows in nodes)
    if mean is not None:
        into, out = (round(requests * each) for each in mean)
    else:
        into = sum(rows * (len(node.values["prompt"]) + BYTES_A_QUESTION) // BYTES_A_TOKEN for node, rows in nodes)
        out = sum(rows * node.values["sampling"].max_tokens for node, rows in nodes)
    settings = endpoint.settings
    priced = settings.usd_per_million_input is not None or settings.usd_per_million_output is not None
    return Asked(
        name=endpoint.name,
        settings=settings,
        requests=requests,
        input=into,
        output=out,
        output_is_bound=mean is None,
        usd=settings.usd(into, out) if priced else None,
        spent=spent(store, endpoint),
    )
