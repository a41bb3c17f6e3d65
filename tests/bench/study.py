"""A whole study against the same study done a row and a process at a time: `python -m tests.bench.study`.

Three parts, each alone by `--only`; for studies of the origins human, teacher and self:

run   `mothertongue run` of the study as a command of its own, in an empty store and Prefect home: seconds and peak
      memory. Then the same command again, which must run nothing.
peer  the study as the paper's code does it (Ren et al. 2024): responses by transformers' `generate` and perplexity by a
      forward pass with the logits of all positions, both a row at a time; a fresh process with its own imports and
      model load for each file of responses, each adapter trained (TRL's stock SFTTrainer) and each evaluation of an
      adapter on a benchmark. A fraction of it is timed, the rest computed from the plan's counts. After a run it trains
      on the rows that the run chose; without one, on the benchmark's references. It gets one torch thread, which is
      faster for models of this size than two, unless OMP_NUM_THREADS says otherwise.
plan  `mothertongue plan` of the study, and of one with about 10,000 cells.
"""

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a peer's process imports nothing of the project: its start costs what the paper's code pays
    from flows.planning.plan import Plan
    from tasks.pipeline.stage import Node
    from tasks.storage.artifacts import Store
    from tasks.storage.rows import Row


@dataclass(frozen=True)
class Job:
    """What one of the peer's processes does: with token ids, of which the first `prompts` of each row are its prompt,
    an adapter that answers or is trained, and options of `generate` or of the study's method."""

    do: str
    model: str
    adapter: str
    rows: list[list[int]]
    prompts: list[int]
    options: dict[str, Any]


def row_by_row(job: Job) -> tuple[float, list[Any]]:
    """Seconds of the loop over rows, and each row's perplexity, or the ids of an answer to its prompt."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    network: Any = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32).eval()
    if job.adapter:
        from peft import PeftModel

        network = PeftModel.from_pretrained(network, job.adapter).merge_and_unload()
    made = []
    started = time.perf_counter()
    for row, length in zip(job.rows, job.prompts, strict=True):
        ids = torch.tensor([row])
        if job.do == "perplexity":
            labels = ids.clone()
            labels[0, :length] = -100
            with torch.no_grad():
                made.append(float(network(input_ids=ids, labels=labels).loss.exp()))
        else:
            ids = ids[:, :length]
            answer = network.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **job.options)
            made.append(answer[0, length:].tolist())
    return time.perf_counter() - started, made


def train(job: Job) -> tuple[float, list[float]]:
    """Seconds of the training loop; the adapter is written to its folder."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    masks = [[0] * length + [1] * (len(row) - length) for row, length in zip(job.rows, job.prompts, strict=True)]
    asked = job.options
    settings = {"num_train_epochs": asked["epochs"], "per_device_train_batch_size": asked["batch"]}
    settings |= {"learning_rate": asked["learning_rate"], "lr_scheduler_type": asked["schedule"]}
    settings |= {"warmup_steps": asked["warmup"], "gradient_checkpointing": False, "use_cpu": True, "bf16": False}
    settings |= {"save_strategy": "no", "report_to": "none", "disable_tqdm": True}
    lora = {"r": asked["rank"], "lora_alpha": asked["alpha"], "target_modules": asked["targets"]}
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype="float32"),
        args=SFTConfig(output_dir=job.adapter, **settings),
        train_dataset=Dataset.from_dict({"input_ids": job.rows, "completion_mask": masks}),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **lora),
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    trainer.save_model(job.adapter)
    return seconds, []


@dataclass
class Part:
    """One stage of the peer: processes and rows of the whole study; of the measured ones, seconds of each process
    outside its loop (interpreter, imports, model load, end), rows, and seconds of all loops."""

    name: str
    processes: int
    rows: int
    starts: list[float] = field(default_factory=list)
    measured: int = 0
    seconds: float = 0.0

    @property
    def whole(self) -> float:
        """Seconds of the whole study's stage."""
        return self.processes * fmean(self.starts) + self.rows * self.seconds / self.measured

    def __str__(self) -> str:
        processes, rows = f"{len(self.starts)} of {self.processes}", f"{self.measured:,} of {self.rows:,}"
        start, row = fmean(self.starts), 1000 * self.seconds / self.measured
        return f"{self.name:<10}{processes:>12}{start:>8.1f} s{rows:>18}{row:>8.1f} ms{self.whole:>9,.0f} s"


def some(items: list[Any], fraction: float) -> list[Any]:
    """This fraction of the items, at least one, evenly spread."""
    count = math.ceil(len(items) * fraction)
    return [items[index * len(items) // count] for index in range(count)]


class Peer:
    """Does a fraction of a plan, a row and a process at a time."""

    def __init__(self, plan: "Plan", fraction: float, store: "Store", folder: Path) -> None:
        from tasks.models.rendering import renderer

        self.plan, self.fraction, self.store, self.folder = plan, fraction, store, folder
        self.renderer, self.trained_on = renderer, "all references"

    def parts(self) -> Iterator[Part]:
        """Each stage when it is measured."""
        part, nodes = self.part("generate")
        nodes = [node for node in nodes if not any(tag.startswith("eval:") for tag in node.tags)]
        answers = {node.recipe: self.answered(part, node, "") for node in nodes}
        yield part

        part, nodes = self.part("score")
        for node in nodes:
            written = node.inputs["responses"].inputs["responses"]
            self.run(
                part, "perplexity", node, answers.get(written.recipe) or some(questions(node), self.fraction), "", {}
            )
        yield part

        part, nodes = self.part("finetune")
        chosen = {node.recipe: self.chosen(node) for node in nodes}
        part.rows = sum(len(rows) for rows in chosen.values())
        adapters: list[str] = []
        for node in some(nodes, self.fraction):
            adapters.append(str(self.folder / f"adapter{len(adapters)}"))
            self.run(part, "train", node, chosen[node.recipe], adapters[-1], node.values["method"].model_dump())
        yield part

        part, nodes = self.part("evaluate")
        answers = [node.inputs["answers"] for node in nodes]
        benchmarks = {node.inputs["questions"].recipe: node for node in answers}
        for index, node in enumerate(benchmarks.values()):
            self.answered(part, node, adapters[index % len(adapters)])
        yield part

    def part(self, stage: str) -> "tuple[Part, list[Node]]":
        nodes = [node for node in self.plan.nodes if node.stage.name == stage]
        return Part(stage, len(nodes), sum(node.expected_rows for node in nodes)), nodes

    def answered(self, part: Part, node: "Node", adapter: str) -> "list[Row]":
        """Answer a fraction of the questions of a `generate` step."""
        rendering, sampling = self.renderer(node.values["model"]), node.values["sampling"]
        rows = some([row for row in questions(node) for _ in range(sampling.n)], self.fraction)
        options = {"max_new_tokens": sampling.max_tokens, "do_sample": sampling.temperature > 0}
        options |= {"eos_token_id": rendering.stop_ids, "pad_token_id": rendering.stop_ids[0]}
        if sampling.temperature:
            options |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k or 0}
        made = self.run(part, "answer", node, rows, adapter, options)
        return [{**row, "response": rendering.text(ids)} for row, ids in zip(rows, made, strict=True)]

    def chosen(self, arm: "Node") -> "list[Row]":
        """What an arm trains on."""

        from tasks.pipeline.artifact_keys import ArtifactKeys

        artifact = ArtifactKeys(self.store).open(arm.inputs["rows"])
        if artifact is None:
            return questions(arm)
        self.trained_on = "the rows that the run chose"
        return list(artifact.rows())

    def run(self, part: Part, do: str, node: "Node", rows: "list[Row]", adapter: str, options: Any) -> list[Any]:
        """One process. Returns what it made of each row."""
        model = node.values["model"]
        examples = self.renderer(model).rows(node.values["prompt"], rows)
        ids, prompts = [example.ids for example in examples], [example.prompt_length for example in examples]
        job = json.dumps(asdict(Job(do, model.path, adapter, ids, prompts, options)))
        words = [sys.executable, "-m", "tests.bench.study", "--job"]
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        started = time.perf_counter()
        ended = subprocess.run(words, input=job, capture_output=True, text=True, env=environment)
        wall = time.perf_counter() - started
        if ended.returncode:
            sys.exit(f"the peer's process failed ({do}):\n{ended.stderr[-2000:]}")
        seconds, results = json.loads(ended.stdout.splitlines()[-1])
        part.starts.append(wall - seconds)
        part.measured += len(rows)
        part.seconds += seconds
        return list(results)


def questions(node: "Node") -> "list[Row]":
    """The questions that a step goes back to, with people's responses."""
    while node.upstream:
        node = node.upstream[0]
    return [{**row, "response": row["reference"]} for row in node.stage.function(**node.values)]


def command(folder: Path, store: Path, *words: str) -> tuple[float, float]:
    """Run the project's command line: seconds, and the largest sum of its processes' resident memory in GiB."""
    import psutil

    environment = {**os.environ, "MOTHERTONGUE_STORE": str(store), "PREFECT_HOME": str(folder / "prefect")}
    words = (str(Path(sys.executable).with_name("mothertongue")), *words)
    status, peak = None, 0
    with (folder / "log").open("w+") as log:
        started = time.perf_counter()
        process = psutil.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)
        while status is None:
            resident = 0
            with contextlib.suppress(psutil.NoSuchProcess):  # one that ended just now hides the others, this once
                resident = sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
            peak = max(peak, resident)
            with contextlib.suppress(psutil.TimeoutExpired):
                status = process.wait(0.25)
        seconds = time.perf_counter() - started
        log.seek(0)
        if status:
            sys.exit(f"mothertongue {words[1]} ended with {status}:\n{log.read()[-2000:]}")
    return seconds, peak / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="abacus")
    parser.add_argument("--set", action="append", default=[], help="as of mothertongue: a smaller study, say")
    parser.add_argument("--only", choices=["run", "peer", "plan"])
    parser.add_argument("--fraction", type=float, default=0.13, help="of the peer's work that is timed")
    parser.add_argument("--store", type=Path, help="an empty folder that keeps the run, or an earlier run's; else none")
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = Job(**json.load(sys.stdin))
        print("\n" + json.dumps(train(job) if job.do == "train" else row_by_row(job)))
        return
    from flows.config.study_file import load, locate
    from flows.planning.plan import expand
    from tasks.storage.artifacts import Store

    plan = expand(load(options.study, options.set))
    words = [str(locate(options.study).absolute()), *(f"--set={value}" for value in options.set)]
    parts = [options.only] if options.only else ["run", "peer", "plan"]
    print(f"{plan.study.name}: {len(plan.cells)} cells; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    ours = theirs = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store((options.store or folder / "store").absolute())
        if "run" in parts:
            if store.timings.exists():
                parser.error(f"{store.root} has artifacts already: a run is measured in an empty store")
            ours, memory = command(folder, store.root, "run", *words)
            print(f"run: {ours:.0f} s measured, all of it; peak {memory:.1f} GiB resident, shared pages once a process")
            before = store.timings.read_text()
            again, _ = command(folder, store.root, "run", *words)
            ran = store.timings.read_text().removeprefix(before).count("\n")
            print(f"run again, unchanged: {again:.1f} s, {ran} stages run (wanted: 10 s, 0)", flush=True)
        if "peer" in parts:
            print("peer      processes measured, a start     rows measured   a row     scaled to all")
            peer = Peer(plan, options.fraction, store, folder)
            for part in peer.parts():
                print(part, flush=True)
                theirs += part.whole
            print(f"peer: {theirs:,.0f} s, scaled: processes x start + rows x time a row, one process after another.")
            print(f"      Trained on {peer.trained_on}. Verdicts, choosing, statistics, report: in the run's time only")
        if ours and theirs:
            print(f"ratio: {theirs / ours:.1f} times faster (wanted: 5)", flush=True)
        if "plan" in parts:
            arms = sum(node.stage.name == "finetune" for node in plan.nodes) // len(plan.study.seeds)
            benchmarks = len({cell.eval_benchmark for cell in plan.cells})
            seeds = list(range(math.ceil(10_000 / benchmarks / arms)))
            for what, more, wanted in (("this study", [], 3), (f"{len(seeds)} seeds", [f"--set=seeds={seeds}"], 6)):
                taken = median(command(folder, store.root, "plan", *words, *more)[0] for _ in range(3))
                print(f"plan, {what}: {taken:.2f} s, median of 3 (wanted: {wanted} s)")


if __name__ == "__main__":
    main()
