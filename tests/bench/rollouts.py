"""Rollouts: one request a prefix with the prefix cached, beside one request a rollout without; and binary search.

    python -m tests.bench.rollouts                   # both
    python -m tests.bench.rollouts --parameters 100  # the first with 100 M random-weight parameters

The first: random prefixes of some hundred tokens are continued five times each, by the project's engine and by bare
`vllm.LLM` with its prefix cache switched off; rounds alternate. The second: step values of wrong responses of the
bundled student, by binary search and of all prefixes, and how many pits are the same.
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
from typing import Any

from tasks.engine.interface import Request
from tasks.models.model import Model, resolve
from tasks.models.sampling import Sampling
from tasks.pipeline.runtime import Runtime
from tasks.resources.placement import Placement
from tasks.steps.search import Where
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row
from tests.bench.models import build
from tests.tasks.test_step_values import made, node

COPIES = 5
TOKENS = 32
"""Of a continuation: all are as long, since nothing ends them."""


def prefixes(count: int, length: int, seed: int) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(3, 500) for _ in range(length)] for _ in range(count)]


def bare(model: Model, count: int, length: int) -> None:
    """Read seeds on standard input; continue their prefixes, each copy a request of its own. Writes seconds."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt

    llm = LLM(
        model.path,
        dtype="float32",
        enforce_eager=True,
        kv_cache_memory_bytes=2**30,
        max_num_seqs=256,
        enable_prefix_caching=False,
        enable_chunked_prefill=False,
    )
    print("ready", file=replies)
    for line in sys.stdin:
        ids = [TokensPrompt(prompt_token_ids=one) for one in prefixes(count, length, int(line)) for _ in range(COPIES)]
        sampling = [
            SamplingParams(temperature=0.7, seed=k, max_tokens=TOKENS, ignore_eos=True, detokenize=False)
            for k in range(len(ids))
        ]
        started = time.perf_counter()
        llm.generate(ids, sampling, use_tqdm=False)
        print(json.dumps(time.perf_counter() - started), file=replies)


def against_bare(model: Model, count: int, length: int, rounds: int) -> None:
    peer = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "--bare", model.path, f"--prefixes={count}", f"--length={length}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"},
    )
    assert peer.stdin is not None
    assert peer.stdout is not None
    assert peer.stdout.readline().strip() == "ready"
    best = {"bare": float("inf"), "project": float("inf")}
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Store(Path(folder)), Placement(kv_cache_gib=1.0))
        with runtime.engines.use(model) as engine:
            for turn in range(rounds):
                peer.stdin.write(f"{turn}\n")
                peer.stdin.flush()
                best["bare"] = min(best["bare"], json.loads(peer.stdout.readline()))
                sampling = Sampling(n=COPIES, temperature=0.7, max_tokens=TOKENS)
                asked = [
                    Request(ids, sampling, (), 7 * k, copies=COPIES)
                    for k, ids in enumerate(prefixes(count, length, turn))
                ]
                started = time.perf_counter()
                found = list(engine.stream(asked))
                best["project"] = min(best["project"], time.perf_counter() - started)
                assert len(found) == count * COPIES
        runtime.close()
    peer.stdin.close()
    peer.wait()
    print(
        f"{count} prefixes of {length} tokens, {COPIES} rollouts of {TOKENS} tokens each: one request a prefix "
        f"{best['project']:.1f} s, one a rollout without prefix cache {best['bare']:.1f} s: "
        f"{best['bare'] / best['project']:.2f} x (wanted: 2 x)"
    )


def binary_against_all(questions: int, samples: int) -> None:
    found: dict[Where, list[Row]] = {}
    spent: dict[Where, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Store(Path(folder)), Placement(kv_cache_gib=1.0))
        ways: tuple[Where, ...] = ("pit", "all")
        for where in ways:
            artifact = made(node(questions, samples, where), runtime)
            found[where] = list(artifact.rows())
            spent[where] = sum(sum(row["rollouts"]) for row in found[where])
        runtime.close()
    same = sum(one["pit"] == other["pit"] for one, other in zip(found["pit"], found["all"], strict=True))
    count = len(found["all"])
    print(
        f"binary search finds {same / count:.1%} of the pits that rollouts from all prefixes find ({count} wrong "
        f"responses; wanted: 95 %), with {spent['pit'] / spent['all']:.2f} of the rollouts (wanted: 0.5)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parameters", type=float, default=1.0, help="millions")
    parser.add_argument("--prefixes", type=int, default=100)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare(resolve(options.bare), options.prefixes, options.length)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = resolve(str(build(Path(folder), options.parameters)))
        against_bare(model, options.prefixes, options.length, options.rounds)
    binary_against_all(options.questions, 4)


if __name__ == "__main__":
    main()
