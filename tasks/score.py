"""How familiar a response is to the model before any fine-tuning: its perplexity, over response tokens only.

Per response `exp(nll / tokens)`, conditioned on the rendered prompt, the end of the turn included (Ren et al. 2024).
The mean over responses is what that paper reports; it is driven by outliers, so the median and the corpus perplexity
(total nll over total tokens) stand beside it.
"""

import functools
import math
import statistics
import threading
import warnings
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.engine.live_adapter import live_folder
from tasks.models.model import Model
from tasks.models.rendering import Rendered, renderer
from tasks.pipeline.declaration import Compute, Fact
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import ratio
from tasks.resources import devices, slots
from tasks.resources.errors import StageFailed, Transient
from tasks.scoring import token_numbers
from tasks.scoring.likelihood import Likelihood, negative_log_likelihoods, pass_threads
from tasks.scoring.token_surprise import COLUMNS, KEPT, kept, pieces
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row, Rows
from tasks.verification.missing_response import is_missing

WINDOW = 4096
"""Rows rendered and sorted by length together: a bound on memory."""
BUDGET = 8192
LARGEST = 700.0
"""Nats a token above which a perplexity would no longer fit a float."""
PERPLEXITY = ("prompt_tokens", "tokens", "nll", "perplexity", *token_numbers.COLUMNS, *COLUMNS)
"""Columns of a response that was scored."""
SCORING = Compute("score", "responses", flops=2, efficiency=0.40)
"""Reading is bound by arithmetic."""


def familiarity(rows: Rows) -> dict[str, float | int]:
    """Of all scored rows: `scored`, `too_long`, `missing` (rows without a response), `tokens` (their sum) and mean,
    median and corpus perplexity, which are NaN where nothing was scored."""
    import numpy as np

    batches = rows.batches(["nll", "tokens"])
    numbers = (
        pair for b in batches for pair in zip(b.column("nll").to_pylist(), b.column("tokens").to_pylist(), strict=True)
    )
    known, each = array("d"), array("d")
    total = missing = 0
    for nll, tokens in numbers:
        missing += tokens is None
        if math.isfinite(nll):
            known.append(nll)
            each.append(perplexity(nll, tokens))
            total += tokens
    return {
        "scored": len(known),
        "too_long": len(rows) - len(known) - missing,
        "missing": missing,
        "tokens": total,
        "perplexity_mean": statistics.fmean(each) if each else math.nan,
        "perplexity_median": float(np.median(np.frombuffer(each), overwrite_input=True)) if each else math.nan,
        "perplexity_corpus": perplexity(math.fsum(known), total) if each else math.nan,
    }


def summary(rows: Rows) -> dict[str, float | int]:
    """The familiarity of a whole artifact.

    Raises:
        StageFailed: no row was scored.
    """
    found = familiarity(rows)
    if found["missing"] == len(rows):
        raise StageFailed("there is no response to score: all of them are missing")
    if not found["scored"]:
        raise StageFailed("no response fits the model's context: there is no perplexity")
    return found


def perplexity(nll: float, tokens: int) -> float:
    """`exp` of the mean negative log-likelihood a token, in nats."""
    return math.exp(min(LARGEST, nll / tokens))


def thoughts_left_out(count: int) -> str:
    """What is said where responses have thoughts and the model does not think."""
    have = "response has" if count == 1 else "responses have"
    return f"{count:,} {have} thoughts: thinking is off, and only what follows them counts"


def as_kept_here(rows: pa.Table, total: int) -> pa.Table:
    """Scored rows with the tokens of those alone that keep theirs among so many, where they have them."""
    share = KEPT / max(KEPT, total)
    here = pa.array([kept(id, share) for id in rows.column("id").to_pylist()], pa.bool_())
    for name in COLUMNS:
        column = rows.column(name)
        rows = rows.set_column(
            rows.column_names.index(name), name, pc.if_else(here, column, pa.scalar(None, column.type))
        )
    lacking = pc.and_(pc.is_finite(rows.column("nll")), pc.is_null(rows.column("token_text")))
    return rows.filter(pc.invert(pc.and_(here, lacking)))


@stage(
    per_row=True,
    gpu=True,
    adopted=as_kept_here,
    summary=summary,
    unit="responses",
    adds=PERPLEXITY,
    compute=SCORING,
    facts=(
        Fact("scored", "responses"),
        Fact("too_long", "too long for the model"),
        Fact("missing", "missing", unless_zero=True),
        Fact("tokens", "tokens"),
        Fact("perplexity_median", "perplexity, median", ratio),
        Fact("perplexity_mean", "perplexity, mean", ratio),
        Fact("perplexity_corpus", "perplexity of all tokens", ratio),
    ),
)
def score(
    responses: Rows,
    model: Model,
    prompt: str,
    adapter: Artifact | None = None,
    attested: Artifact | None = None,
    *,
    work: Work | None = None,
) -> Iterator[Row]:
    """Perplexity of each response for `model`, or for what an arm made of it (`adapter`, shown live by `attested`).

    Adds `prompt_tokens` (int), `tokens` (int: response tokens, end of turn included), `nll` (float: their negative
    log-likelihood, nats) and `perplexity` (float: `exp(nll / tokens)`). `nll` and `perplexity` are NaN for a row longer
    than the model's context, and for one without a response, whose numbers of tokens are null. Prompt and response are
    rendered as for training, so `select` knows from these numbers what a trainer can hold.
    Adds `nll_of_tokens` and `rank_of_tokens` (bytes; tasks/scoring/token_numbers.py; null without an nll), and in a
    study to some rows, and null to the others, `token_nll` and `token_text` (tasks/scoring/token_surprise.py).

    Raises:
        InputError: the prompt template names a column the rows lack.
        StageFailed: no row fits the model's context, or the model gives no finite likelihood.
        Transient: memory ran out with a single row.
    """
    turned = renderer(model)
    turned.check()
    budget = work.runtime.placement.score_tokens if work else BUDGET
    share = KEPT / max(KEPT, work.total, len(responses)) if work else 0.0
    scored = missing = thoughts = 0

    nothing = {"nll": math.nan, "perplexity": math.nan, **dict.fromkeys((*token_numbers.COLUMNS, *COLUMNS))}
    text = functools.lru_cache(maxsize=1 << 16)(turned.decode)

    def halved(smaller: int) -> None:
        nonlocal budget
        budget = smaller
        if work:
            work.facts["budget_after_out_of_memory"] = smaller
            work.log(f"out of memory: forward passes of at most {smaller:,} tokens from here on")

    if not len(responses):
        if work:
            work.facts |= {"template": turned.hash}
        return
    with loaded(model, live_folder(adapter, attested), work) as shared:
        if work:
            work.facts |= {"template": turned.hash, "device": str(shared.likelihood.device)}
        if note := shared.likelihood.note:
            work.note(note) if work else warnings.warn(note, stacklevel=1)
        for window in _windows(responses):
            for row in window:
                if is_missing(row):
                    missing += 1
                    yield {**row, "response": None, "prompt_tokens": None, "tokens": None, **nothing}
            window = [row for row in window if not is_missing(row)]
            rendered = turned.rows(prompt, window)
            thoughts += sum(turned.leaves_out(row["response"]) for row in window)
            short = [index for index, item in enumerate(rendered) if len(item.ids) <= turned.context]
            for index in sorted(set(range(len(window))) - set(short)):
                yield {**window[index], **_lengths(rendered[index]), **nothing}
            examples = [rendered[index] for index in short]
            found = negative_log_likelihoods(shared.likelihood, examples, budget, shared.threads, halved, ranks=True)
            try:
                for position, each in found:
                    nats, ranks = each.float().numpy()
                    row, nll = dict(window[short[position]]), float(nats.sum(dtype="float64"))
                    if not math.isfinite(nll):
                        raise StageFailed(f"{model.name} gives row {row['id']} a likelihood of {nll}")
                    scored += 1
                    row |= _lengths(examples[position])
                    row |= {"nll": nll, "perplexity": perplexity(nll, len(nats))}
                    row |= {**token_numbers.packed(nats, ranks), **dict.fromkeys(COLUMNS)}
                    if kept(row["id"], share):
                        texts = pieces(examples[position].response_ids, turned.end_ids, text)
                        row |= {"token_nll": nats, "token_text": texts}
                    yield row
            except MemoryError as error:
                raise Transient(f"out of memory while scoring: {error}") from error
    if thoughts and work:
        work.note(thoughts_left_out(thoughts))
    if missing and work:
        work.note(f"responses that are missing and left out: {missing}")
    left_out = len(responses) - scored - missing
    if left_out and left_out == (work.total if work else len(responses)) - missing:
        raise StageFailed(f"no response fits the context of {model.name} ({turned.context} tokens)")
    if left_out and work:
        work.note(f"{left_out} responses are longer than the context of {model.name}: they have no perplexity")


def _lengths(rendered: Rendered) -> Row:
    return {"prompt_tokens": rendered.prompt_length, "tokens": len(rendered.ids) - rendered.prompt_length}


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
    """A model held by any number of scoring threads, whose forward passes share its threads.

    Where there are GPUs it is on that of a trainer's slot, which it keeps as long as it is loaded.
    """

    likelihood: Likelihood
    threads: ThreadPoolExecutor

    def __init__(self) -> None:
        self.users = 0
        self._slot = ExitStack()
        self._loading = threading.Lock()
        self._loaded = False

    def load(self, model: Model, adapter: Path | None, work: Work | None) -> None:
        """Load it, unless another thread has. Waits for a slot, perhaps for one that another model has."""
        with self._loading:
            if not self._loaded:
                self._load(model, adapter, work)
                self._loaded = True

    def _load(self, model: Model, adapter: Path | None, work: Work | None) -> None:
        device = None
        if work and (gpus := work.runtime.placement.gpus):
            places = work.runtime.placement.trainer_places
            device = devices.number(self._slot.enter_context(slots.taken("trainer", places, work.note)).place, gpus)
        try:
            self.likelihood = Likelihood(load(model, device, adapter))
        except BaseException:
            self._slot.close()
            raise
        self.threads = pass_threads(self.likelihood)

    def close(self) -> None:
        if self._loaded:
            self.threads.shutdown(cancel_futures=True)
        self._slot.close()


_models: dict[str, _Shared] = {}
"""The process's own, by the content of model and adapter: studies at the same time that score by one share it, and none
changes what it gives. Gone with the last of its users."""
_models_lock = threading.Lock()


@contextmanager
def loaded(model: Model, adapter: Path | None, work: Work | None = None) -> Iterator[_Shared]:
    """The model, loaded once however many threads use it, and let go with the last of them."""
    name = f"{model.content} {adapter or ''}"
    with _models_lock:
        shared = _models.setdefault(name, _Shared())
        shared.users += 1
    try:
        shared.load(model, adapter, work)
        yield shared
    finally:
        with _models_lock:
            shared.users -= 1
            if last := shared.users == 0:
                del _models[name]
        if last:
            shared.close()


_one_at_a_time = threading.Lock()


def load(model: Model, gpu: int | None = None, adapter: Path | None = None) -> Any:
    """The network in evaluation mode: bfloat16 on a GPU, float32 on a CPU (where bfloat16 is many times slower).

    One at a time: of two that transformers loads at once in threads, both are left without weights (seen with 5.19 in
    each of five tries: "Cannot copy out of meta tensor").

    Args:
        gpu: its number among those this process sees; None for the first, or the CPU where there is none.
        adapter: the folder of a LoRA adapter, by which the network answers.

    Raises:
        StageFailed: transformers cannot load it.
    """
    with _one_at_a_time:
        import torch
        from transformers import AutoModelForCausalLM

        device = f"cuda:{gpu or 0}" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if device != "cpu" else torch.float32
        try:
            network: Any = AutoModelForCausalLM.from_pretrained(
                model.path,
                revision=model.revision or None,
                trust_remote_code=model.remote_code,
                use_safetensors=True,
                dtype=dtype,
            )
        except (OSError, ValueError) as error:
            raise StageFailed(f"{model.name}: the model cannot be loaded: {error}") from error
        if adapter is not None:
            from peft import PeftModel

            network = PeftModel.from_pretrained(network, str(adapter))
        return network.to(device).eval()
