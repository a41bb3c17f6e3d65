"""Perplexity speed and agreement: the project's scorer beside a one-row transformers loop and vLLM's prompt_logprobs.

    python -m tests.bench.perplexity                          # a random-weight model of abacus size, 1,000 rows
    python -m tests.bench.perplexity --model abacus-student
    python -m tests.bench.perplexity --without-vllm           # where no engine can be started

All score the same rendered rows and take turns, so that other load on the machine falls on each alike. Prints tokens/s
(prompt and response), the best of the rounds, ratios to ours, and the largest difference of a row's nll, in nats.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

from tasks.models.model import Model, resolve
from tasks.models.rendering import Rendered, renderer
from tasks.score import BUDGET, load
from tasks.scoring.likelihood import negative_log_likelihoods
from tests.bench.models import build


def rows(model: Model, count: int) -> list[Rendered]:
    """Word problems with answers of one to six sentences: about 60 tokens a row with an abacus tokenizer."""
    rng = random.Random(0)
    made = []
    for i in range(count):
        question = f"Ann has {rng.randint(2, 99)} apples and buys {rng.randint(2, 99)} more. How many does she have?"
        sentences = [f"She has {rng.randint(0, 99)} and {rng.randint(0, 99)} more." for _ in range(rng.randint(1, 6))]
        row = {"id": str(i), "question": question, "response": " ".join(sentences)}
        made.append(renderer(model).row("{{ question }}", row))
    return made


def ours(network: Any, examples: list[Rendered]) -> list[float]:
    found = [0.0] * len(examples)
    for index, nll in negative_log_likelihoods(network, examples, BUDGET):
        found[index] = float(nll.double().sum())
    return found


def one_row_loop(network: Any, examples: list[Rendered], threads: int = 0) -> list[float]:
    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)
    found = []
    for example in examples:
        ids = torch.tensor([example.ids], device=network.device)
        labels = ids.clone()
        labels[0, : example.prompt_length] = -100
        with torch.no_grad():
            loss = network(input_ids=ids, labels=labels).loss
        found.append(float(loss) * (len(example.ids) - example.prompt_length))
    return found


def vllm_prompt_logprobs(engine: Any, examples: list[Rendered], most: int) -> list[float]:
    """Through the engine, asked for the `most` likely tokens at each position beside the prompt's own."""
    from vllm import SamplingParams

    outputs = engine.generate(
        [{"prompt_token_ids": example.ids} for example in examples],
        SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=most),
        use_tqdm=False,
    )
    return [
        -sum(
            output.prompt_logprobs[at][example.ids[at]].logprob for at in range(example.prompt_length, len(example.ids))
        )
        for output, example in zip(outputs, examples, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a bundled model or a folder; a random-weight one where left out")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-vllm", action="store_true")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        model = resolve(options.model or str(build(Path(folder))))
        examples = rows(model, options.rows)
        network = load(model)
        ways: dict[str, Callable[[], list[float]]] = {
            "ours": lambda: ours(network, examples),
            "one-row loop": lambda: one_row_loop(network, examples),
            "  with one thread": lambda: one_row_loop(network, examples, threads=1),
        }
        if not options.without_vllm:
            from vllm import LLM

            engine = LLM(
                model.path,
                dtype=str(network.dtype).removeprefix("torch."),
                enforce_eager=True,
                max_model_len=1024,
                gpu_memory_utilization=0.3,
                enable_prefix_caching=False,
            )
            ways["vLLM prompt_logprobs=1"] = lambda: vllm_prompt_logprobs(engine, examples, 1)
            ways["vLLM prompt_logprobs=0"] = lambda: vllm_prompt_logprobs(engine, examples, 0)
        seconds = dict.fromkeys(ways, float("inf"))
        results: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for name, way in ways.items():
                started = time.perf_counter()
                results[name] = way()
                seconds[name] = min(seconds[name], time.perf_counter() - started)
    tokens = sum(len(example.ids) for example in examples)
    print(f"{model.name}: {len(examples)} rows, {tokens} tokens, best of {options.rounds} rounds")
    for name, taken in seconds.items():
        apart = max(abs(a - b) for a, b in zip(results[name], results["ours"], strict=True))
        print(
            f"{name:<22}{tokens / taken:>10,.0f} tokens/s   ours is {taken / seconds['ours']:>5.2f} x as fast   "
            f"largest difference {apart:.1e} nats"
        )


if __name__ == "__main__":
    main()
