"""What a stage that asked an endpoint says of it: requests, tokens and money of all tries together."""

from typing import Any

from tasks.endpoint.budget import Spent
from tasks.pipeline.declaration import Fact

FACTS = (
    Fact("unusable", shares="add", reported=True, unless_zero=True),
    Fact("api_kept", shares="add", reported=True, total=True),
    *(
        Fact(f"api_{name}", reported=True, total=True)
        for name in ("requests", "retries", "input_tokens", "output_tokens", "usd")
    ),
)


def api_facts(spent: Spent) -> dict[str, Any]:
    """What an artifact has cost, under the names of the report."""
    return {
        "api_requests": spent.requests,
        "api_retries": spent.retries,
        "api_input_tokens": spent.input,
        "api_output_tokens": spent.output,
        "api_usd": round(spent.usd, 9),
    }
