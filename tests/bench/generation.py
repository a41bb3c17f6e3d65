"""Generation through the stage against bare vLLM: `python -m tests.bench.generation`.

Both answer the same prompts greedily with the same model, start of the engine left out. The stage also renders the
prompts, decodes the responses and keeps finished rows as Parquet; bare vLLM gets token ids and returns token ids.
Rounds alternate, so that a busy machine is as busy for both; each figure is the best of its rounds.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from data.abacus.corpus import STUDENT, sample
from tasks.generate import generate
from tasks.models.model import Model, resolve
from tasks.models.rendering import renderer
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.resources.placement import Placement
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row

PROMPT = "{{ question }}"
SAMPLING = Sampling(max_tokens=128)


@stage()
def prompts(count: int, seed: int) -> list[Row]:
    """Questions as the student saw them in pre-training, with and without examples."""
    rng = random.Random(seed)
    return [{"id": f"p{i}", "question": sample(STUDENT, rng).prompt, "gold": ""} for i in range(count)]


def bare(model: Model, rows: list[Row]) -> None:
    """Read "go" lines on standard input, answer each with tokens and seconds of one `LLM.generate`."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt

    rendering = renderer(model)
    ids = [TokensPrompt(prompt_token_ids=rendering.prompt(PROMPT, row)) for row in rows]
    llm = LLM(model.path, dtype="float32", enforce_eager=True, kv_cache_memory_bytes=2**30, max_num_seqs=256)
    parameters = SamplingParams(
        temperature=0, max_tokens=SAMPLING.max_tokens, stop_token_ids=rendering.stop_ids, detokenize=False
    )
    llm.generate(ids[:50], parameters, use_tqdm=False)
    print("ready", file=replies)
    for _ in sys.stdin:
        started = time.perf_counter()
        outputs = llm.generate(ids, parameters, use_tqdm=False)
        seconds = time.perf_counter() - started
        print(json.dumps([sum(len(output.outputs[0].token_ids) for output in outputs), seconds]), file=replies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="abacus-student")
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    model = resolve(options.model)
    if options.bare:
        bare(model, prompts.function(options.prompts, 0))
        return
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Store(Path(folder)), Placement(kv_cache_gib=1.0))
        peer = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "--bare", f"--model={model.path}", f"--prompts={options.prompts}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"},
        )
        assert peer.stdin is not None
        assert peer.stdout is not None
        assert peer.stdout.readline().strip() == "ready"
        rows = prompts(options.prompts, 0)
        execute(rows, runtime)
        with runtime.engines.use(model):
            pass
        execute(prompts(50, 1), runtime)
        execute(generate(prompts(50, 1), model, PROMPT, SAMPLING, 0), runtime)
        speeds: dict[str, list[float]] = {"bare": [], "stage": []}
        for turn in range(options.rounds):
            peer.stdin.write("go\n")
            peer.stdin.flush()
            tokens, seconds = json.loads(peer.stdout.readline())
            speeds["bare"].append(tokens / seconds)
            started = time.perf_counter()
            made, _ = execute(generate(rows, model, PROMPT, SAMPLING, turn), runtime)
            speeds["stage"].append(made.facts["tokens"] / (time.perf_counter() - started))
            print(f"round {turn}: bare {speeds['bare'][-1]:.0f} tokens/s ({tokens} tokens), ", end="")
            print(f"stage {speeds['stage'][-1]:.0f} tokens/s ({made.facts['tokens']} tokens)", flush=True)
        peer.stdin.close()
        peer.wait()
        runtime.close()
    print(f"stage / bare vllm.LLM.generate: {max(speeds['stage']) / max(speeds['bare']):.2f} (wanted: 0.95)")


if __name__ == "__main__":
    main()
