"""Adapters side by side against one engine each: `python -m tests.bench.adapters`.

Evaluates 8 adapters on 4 benchmarks of 100 questions, the engine's start included. The peer does it the plain way, a
process with bare vLLM per adapter; it is run for `--measured` of the adapters, and its time multiplied up to all.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tasks.evaluate import evaluate
from tasks.generate import generate
from tasks.kinds.verifiers import find
from tasks.models.model import Model, resolve
from tasks.models.rendering import renderer
from tasks.models.sampling import Sampling
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.placement import Placement
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Row, Rows
from tests.bench.generation import PROMPT, prompts

SAMPLING = Sampling(max_tokens=64)
BENCHMARKS = 4


def questions(benchmark: int) -> list[Row]:
    return [{**row, "gold": "1"} for row in prompts.function(100, 100 + benchmark)]


def random_adapter(model: Model, folder: Path, seed: int) -> Path:
    """A rank-16 adapter on all linear layers that changes the model a little."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(LlamaForCausalLM.from_pretrained(model.path), config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.002)
    adapted.save_pretrained(str(folder / "adapter"))
    return folder


def one_engine_each(model: Model, adapter: Path) -> None:
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt
    from vllm.lora.request import LoRARequest

    rendering = renderer(model)
    llm = LLM(
        model.path,
        dtype="float32",
        enforce_eager=True,
        kv_cache_memory_bytes=2**30,
        enable_lora=True,
        max_lora_rank=16,
    )
    parameters = SamplingParams(temperature=0, max_tokens=SAMPLING.max_tokens, stop_token_ids=rendering.stop_ids)
    for benchmark in range(BENCHMARKS):
        ids = [TokensPrompt(prompt_token_ids=rendering.prompt(PROMPT, row)) for row in questions(benchmark)]
        llm.generate(ids, parameters, use_tqdm=False, lora_request=LoRARequest("one", 1, str(adapter / "adapter")))


def side_by_side(model: Model, adapters: list[Path], store: Path) -> int:
    """Returns the tokens generated."""
    runtime = Runtime(Store(store), Placement(kv_cache_gib=1.0))

    def cell(index: int, benchmark: int) -> int:
        weights = {"weights": {"sha256": str(index), "bytes": 1}}
        adapter = Artifact(adapters[index], {"key": str(index), "facts": {}, "files": weights})
        live = Artifact(store, {"key": "", "facts": {"adapter": adapter.content}})
        work = Work(store, runtime, f"generate {index}/{benchmark}", {})
        rows = Rows.of(questions(benchmark))
        answers = [
            row
            for made in generate.function(rows, model, PROMPT, SAMPLING, 0, adapter, live, work=work)
            for row in made
        ]
        list(evaluate.function(Rows.of(answers), find("number"), work=work))
        return int(work.facts["tokens"])

    with ThreadPoolExecutor(8) as threads:
        cells = [(index, benchmark) for index in range(len(adapters)) for benchmark in range(BENCHMARKS)]
        tokens = sum(threads.map(lambda one: cell(*one), cells))
    runtime.close()
    return tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="abacus-student")
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--measured", type=int, default=2)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    model = resolve(options.model)
    if options.one:
        one_engine_each(model, options.one)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adapters = [random_adapter(model, folder / str(seed), seed) for seed in range(options.adapters)]
        started = time.perf_counter()
        tokens = side_by_side(model, adapters, folder)
        ours = time.perf_counter() - started
        print(f"{len(adapters)} adapters from one engine: {ours:.1f} s, {tokens} tokens", flush=True)
        started = time.perf_counter()
        for adapter in adapters[: options.measured]:
            subprocess.run(
                [sys.executable, "-m", "tests.bench.adapters", f"--model={model.path}", f"--one={adapter}"],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"},
            )
        each = (time.perf_counter() - started) / options.measured
    print(f"one engine per adapter: {each:.1f} s each, {each * options.adapters:.1f} s for {options.adapters}")
    print(f"ratio: {each * options.adapters / ours:.1f} times faster (wanted: 3)")


if __name__ == "__main__":
    main()
