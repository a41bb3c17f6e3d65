"""A model behind an OpenAI-compatible endpoint: hosted, or `vllm serve`.

A study names it `api:<model id>`. Where it answers, and with which key, is read from the environment when it is asked,
and is known to nothing that is kept: no key, no address ever stands in a study file, an artifact or a message.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data.bounds import Real, Whole
from data.errors import InputError

DECIDES_NO_RESULT = True

PREFIX = "api:"
MODEL_ID = re.compile(r"^(?!.*://)[\w.@+:/-]{1,200}\Z")
VARIABLE = re.compile(r"^([A-Z][A-Z0-9_]{0,63}|prefect-block:[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?)\Z")
OURS = frozenset(
    [
        *("model", "messages", "n", "best_of", "stream", "temperature", "top_p", "top_k", "seed"),
        *("max_tokens", "max_completion_tokens", "min_tokens"),
    ]
)
"""What of a request an origin's options decide, and `extra` may not."""
MILLION = 1_000_000


class EndpointSettings(BaseModel):
    """How a study uses one endpoint. `leave_out` and `extra` change answers and are part of keys; the rest is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url_env: str = Field(
        "OPENAI_BASE_URL", description="environment variable with the address, up to /v1, or prefect-block:NAME"
    )
    key_env: str = Field(
        "OPENAI_API_KEY", description="environment variable with the key, or prefect-block:NAME of a Secret block"
    )
    concurrency: Whole = Field(16, ge=1, le=1024, description="requests under way at once")
    requests_per_minute: Real | None = Field(
        None, gt=0, le=1_000_000, description="requests begun a minute; null for no limit"
    )
    timeout: Real = Field(
        300, gt=0, le=86_400, description="seconds until a request without its whole answer is given up"
    )
    usd_per_million_input: Real | None = Field(None, ge=0, le=1_000_000, description="price of a million prompt tokens")
    usd_per_million_output: Real | None = Field(
        None, ge=0, le=1_000_000, description="price of a million response tokens"
    )
    budget_tokens: Whole | None = Field(
        None, gt=0, le=10**15, description="tokens, prompts and responses together, for the study"
    )
    budget_usd: Real | None = Field(None, gt=0, le=10**9, description="money for the study")
    unusable: Real = Field(0.05, ge=0, le=1, description="share of responses that may be refused or rubbish")
    tokens_parameter: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="what the server calls the token limit of a response"
    )
    leave_out: tuple[Literal["temperature", "top_p", "seed"], ...] = Field(
        (), description="sampling values the server does not take"
    )
    extra: dict[str, Any] = Field(default_factory=dict, description="more values for every request's body")

    @field_validator("base_url_env", "key_env")
    @classmethod
    def _a_variable(cls, name: str) -> str:
        if not VARIABLE.match(name):  # it may be the key itself: the message must not show it
            raise InputError(
                "endpoints: base_url_env and key_env name environment variables (capital letters, digits and _), or a "
                "Prefect Secret block (prefect-block:its-name); what stands there is no such name. Keys and addresses "
                "do not belong into a study file"
            )
        return name

    @field_validator("extra")
    @classmethod
    def _not_ours(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(OURS & extra.keys()):
            raise InputError(f"endpoints: extra.{taken[0]}: the origin's options decide this; allowed are other names")
        json.dumps(extra, allow_nan=False)
        return extra

    @model_validator(mode="after")
    def _prices(self) -> "EndpointSettings":
        if self.budget_usd is not None and None in (self.usd_per_million_input, self.usd_per_million_output):
            raise InputError(
                "endpoints: budget_usd needs usd_per_million_input and usd_per_million_output to be counted by"
            )
        return self

    def usd(self, input_tokens: float, output_tokens: float) -> float:
        """What tokens cost; 0 where no price is given."""
        prices = (self.usd_per_million_input or 0.0, self.usd_per_million_output or 0.0)
        return (input_tokens * prices[0] + output_tokens * prices[1]) / MILLION


@dataclass(frozen=True)
class Endpoint:
    """A model that answers requests somewhere else. Its id and what changes its answers are part of keys."""

    name: str
    """As the study file says it: `api:<id>`."""
    settings: EndpointSettings = field(default_factory=EndpointSettings, compare=False)
    study: str = field(default="", compare=False)
    """The study whose budget its requests are counted against."""

    @property
    def id(self) -> str:
        """What the server calls the model."""
        return self.name.removeprefix(PREFIX)

    def identity(self) -> Any:
        changing = {"leave_out": sorted(self.settings.leave_out), "extra": self.settings.extra}
        return {"api": self.id, **{name: value for name, value in changing.items() if value}}


@dataclass(frozen=True)
class StudyEndpoints:
    """How one study uses the endpoints that it names."""

    study: str = ""
    """The study's name: budgets are counted by it."""
    settings: Mapping[str, EndpointSettings] = field(default_factory=dict)
    """By model id; an endpoint that is not among them is used by the defaults."""


def find(name: str, endpoints: StudyEndpoints) -> Endpoint:
    """The endpoint `api:<model id>`, with the settings that a study has for it.

    Raises:
        InputError: what follows `api:` is no model id.
    """
    id = name.removeprefix(PREFIX)
    if not MODEL_ID.match(id):
        raise InputError(
            f"{PREFIX}…: no model id follows {PREFIX}. Allowed: the id the server knows, such as api:gpt-4.1-mini; "
            "its address and key come from the environment"
        )
    return Endpoint(name, endpoints.settings.get(id, EndpointSettings()), endpoints.study)
