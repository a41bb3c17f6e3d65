"""How familiar a response is to the model before any fine-tuning: its perplexity, over response tokens only.

Per response `exp(nll / tokens)`, conditioned on the rendered prompt, the end of the turn included (Ren et al. 2024,
section on perplexity). The mean over responses is what the paper reports; it is driven by outliers, so the median and
the corpus perplexity (total nll over total tokens) stand beside it.
"""

import math
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.errors import StageFailed, Transient
from tasks.likelihood import Likelihood, negative_log_likelihoods
from tasks.model import Model
from tasks.render import Renderer, renderer
from tasks.rows import Row, Rows
from tasks.stage import Work, stage

WINDOW = 4096
"""Rows sorted by length and scored together; a bound on memory, and on what a killed run does again."""


@stage(per_row=True)
def score(responses: Rows, model: Model, prompt: str, *, work: Work | None = None) -> Iterator[Row]:
    """Perplexity of each response for `model`.

    Adds `tokens` (int: response tokens, end of turn included), `nll` (float, nats, their sum) and `perplexity` (float,
    `exp(nll / tokens)`). `nll` and `perplexity` are NaN for a row longer than the model's context.

    Raises:
        InputError: the prompt template names a column the rows lack.
        StageFailed: no row fits the model's context, or the model gives no finite likelihood.
        Transient: memory ran out with a single row.
    """
    budget = work.runtime.placement.score_tokens if work else 8192
    turned = renderer(model)
    too_long = 0
    summary = Perplexities()
    with _loaded(model) as shared:
        for window in _windows(responses):
            rendered = turned.rows(prompt, window)
            limit = shared.context
            fits = [index for index, item in enumerate(rendered) if len(item.ids) <= limit]
            too_long += len(rendered) - len(fits)
            for index in sorted(set(range(len(rendered))) - set(fits)):
                tokens = len(rendered[index].ids) - rendered[index].prompt_length
                yield {**window[index], "tokens": tokens, "nll": math.nan, "perplexity": math.nan}
            scored = negative_log_likelihoods(
                shared.likelihood, [rendered[index] for index in fits], budget, shared.turn
            )
            try:
                for position, nll in scored:
                    row = window[fits[position]]
                    total, tokens = float(nll.double().sum()), len(nll)
                    if not math.isfinite(total):
                        raise StageFailed(f"{model.name} gives row {row['id']} no finite likelihood ({total})")
                    summary.add(total, tokens)
                    yield {**row, "tokens": tokens, "nll": total, "perplexity": math.exp(min(700.0, total / tokens))}
            except MemoryError as error:
                raise Transient(f"score: out of memory: {error}") from error
    if summary.rows == 0:
        raise StageFailed(f"no response fits the context of {model.name} ({limit} tokens)")
    if work:
        work.facts |= {**summary.facts(), "template": turned.hash, "device": shared.device, "too_long": too_long}
        if too_long:
            work.note(f"{too_long} responses are longer than the context of {model.name} and have no perplexity")


class Perplexities:
    """Mean, median and corpus perplexity of rows as they come."""

    def __init__(self) -> None:
        self._nll: list[float] = []
        self._tokens: list[int] = []

    def add(self, nll: float, tokens: int) -> None:
        self._nll.append(nll)
        self._tokens.append(tokens)

    @property
    def rows(self) -> int:
        return len(self._nll)

    def facts(self) -> dict[str, float | int]:
        """`perplexity_mean`, `perplexity_median`, `perplexity_corpus`, `tokens_mean`, `scored`; NaN without rows."""
        if not self._nll:
            nothing = math.nan
            return {"scored": 0} | dict.fromkeys(
                ("perplexity_mean", "perplexity_median", "perplexity_corpus", "tokens_mean"), nothing
            )
        each = [math.exp(min(700.0, nll / tokens)) for nll, tokens in zip(self._nll, self._tokens, strict=True)]
        return {
            "scored": len(each),
            "perplexity_mean": statistics.fmean(each),
            "perplexity_median": statistics.median(each),
            "perplexity_corpus": math.exp(min(700.0, sum(self._nll) / sum(self._tokens))),
            "tokens_mean": statistics.fmean(self._tokens),
        }


def _windows(rows: Rows) -> Iterator[list[Row]]:
    window: list[Row] = []
    for row in rows:
        window.append(row)
        if len(window) == WINDOW:
            yield window
            window = []
    if window:
        yield window


class _Shared:
    """A model held by any number of scoring threads, which take turns at it."""

    def __init__(self, model: Model) -> None:
        network = load(model)
        self.likelihood = Likelihood(network)
        self.device = str(self.likelihood.device)
        self.context = context_length(network)
        self.turn = threading.Lock()
        self.users = 0


_models: dict[str, _Shared] = {}
_models_lock = threading.Lock()


@contextmanager
def _loaded(model: Model) -> Iterator[_Shared]:
    """The model, loaded once however many threads use it, and let go with the last of them."""
    with _models_lock:
        if model.content not in _models:
            _models[model.content] = _Shared(model)
        shared = _models[model.content]
        shared.users += 1
    try:
        yield shared
    finally:
        with _models_lock:
            shared.users -= 1
            if shared.users == 0:
                del _models[model.content]


def load(model: Model) -> Any:
    """The network in evaluation mode: bfloat16 on a GPU, float32 on a CPU (where bfloat16 is many times slower)."""
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        network = AutoModelForCausalLM.from_pretrained(
            model.path,
            revision=model.revision or None,
            trust_remote_code=False,
            dtype=torch.bfloat16 if device == "cuda" else torch.float32,
        )
    except (OSError, ValueError) as error:
        raise StageFailed(f"{model.name}: the model cannot be loaded: {error}") from error
    return network.to(device).eval()


def context_length(network: Any) -> int:
    """Tokens the network takes at most."""
    return int(getattr(network.config.get_text_config(), "max_position_embeddings", None) or 1 << 40)


__all__ = ["Perplexities", "Renderer", "context_length", "load", "negative_log_likelihoods", "score"]
