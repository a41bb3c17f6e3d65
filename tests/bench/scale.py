"""A million questions x 4 samples through the chain, in flat memory: questions, generate, verify, score, select.

    python -m tests.bench.scale                                     # 100,000 and 1,000,000 questions, one process
    python -m tests.bench.scale --ray                               # the same over two Ray nodes, one core each
    python -m tests.bench.scale --questions 2000 20000 --keep DIR   # smaller; goes on in DIR where it was stopped

A Parquet file of made-up word problems is a user's own benchmark; the study's steps are made by the real `execute` and
`execute_shard` in a real store, resume and all. Two things stand in for what this machine cannot compute so often:
the engine (it answers at once, in shuffled order, with ids of sentences tokenised beforehand, seven in ten right) and
the scorer's forward pass (one number a token; rendering, batching and all else is the real thing). Their own time is
taken out of the rows a second.

`--limit SECONDS` stops in good order after so long (exit status 75); called again with the same `--keep`, it goes on.
"""

import argparse
import contextlib
import functools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from flows.config.study_file import load
from flows.planning.plan import expand
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.sharding import execute_shard, shards
from tasks.pipeline.stage import Node
from tasks.storage.artifacts import Artifact
from tests.bench.stand_ins import STAND_IN, questions, standing_in

PROJECT = Path(__file__).resolve().parents[2]
CHAIN = ("questions", "leak", "references", "generate", "verify", "score", "select")
AGAIN = 75
STUDY = {
    "name": "scale",
    "student": "abacus-student",
    "benchmarks": {
        "scale": {
            "train": "questions.parquet",
            "columns": {"reference": "worked", "id": "id"},
            "prompt": "{{ question }}",
            "verifier": "number",
        }
    },
    "train": ["scale"],
    "evaluate": ["abacus/ledger"],
    "questions": {"train": None, "evaluate": 100},
    "origins": {"human": {}, "self": {"samples": 4, "temperature": 0.7, "max_tokens": 64}},
    "match": {"questions": True, "correct": "only"},
    "seeds": [0],
}


class TimeUp(Exception):
    """The limit is reached; what is finished is kept."""


def chain(folder: Path) -> list[Node]:
    """The steps from questions to select, inputs first."""
    plan = expand(load(str(folder / "study.yaml")))
    return [node for node in plan.nodes if node.stage.name in CHAIN]


def peak(reset: bool = False) -> int:
    """The most memory this process has had since the last reset, KiB."""
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Figures:
    """What each step cost, kept in a file so that a run that was stopped goes on with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.steps: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, step: str, cost: dict[str, float]) -> None:
        known = self.steps.setdefault(step, {})
        for name, value in cost.items():
            known[name] = max(known.get(name, 0), value) if name.startswith("peak") else known.get(name, 0) + value
        self._path.write_text(json.dumps(self.steps, indent=1))


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """What is done inside: seconds and processor seconds without the stand-ins', and the peak of memory in KiB."""
    cost: dict[str, float] = {}
    peak(reset=True)
    stand_in = STAND_IN.wall, STAND_IN.cpu
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield cost
    finally:
        cost["stand_in"] = STAND_IN.wall - stand_in[0]
        cost["seconds"] = time.perf_counter() - wall - cost["stand_in"]
        cost["cpu"] = time.process_time() - cpu - (STAND_IN.cpu - stand_in[1])
        cost["peak"] = peak()


def rows_through(node: Node, artifact: Artifact, made: Runtime) -> int:
    """Rows that a step read, or wrote where these are more."""
    found = [made.keys.open(needed) for needed in node.upstream]
    return max(artifact.manifest["rows"], sum(one.manifest["rows"] for one in found if one))


def one_process(folder: Path, limit: float) -> None:
    """All steps, one after another in this process."""
    until = time.monotonic() + limit

    def listener(event: str, run: str, facts: dict[str, Any]) -> None:
        if event == "progress" and time.monotonic() > until:
            raise TimeUp

    made = standing_in(folder / "store", listener)
    figures = Figures(folder / "one_process.json")
    for node in chain(folder):
        if made.keys.has(node):
            continue
        cost: dict[str, float] = {}
        try:
            with measured() as cost:
                cost["rows"] = rows_through(node, execute(node, made)[0], made)
        finally:
            figures.add(node.run_name, cost)


def share(folder: Path, step: int, number: int, of: int) -> dict[str, float]:
    """One task on a Ray node: a share of a step's rows, or with `of` 0 the step itself."""
    here = standing_in(folder / "ray-store")
    node = _chain(folder)[step]
    with measured() as cost:
        if of:
            execute_shard(node, number, of, here)
        else:
            cost["rows"] = rows_through(node, execute(node, here)[0], here)
    return {**cost, "pid": os.getpid()}


@functools.cache
def _chain(folder: Path) -> list[Node]:
    return chain(folder)


def two_nodes(folder: Path, limit: float) -> None:
    """Each step's shares as tasks on two Ray nodes of one core, and then the step itself."""
    import ray
    from ray.cluster_utils import Cluster

    from tests.bench import scale  # what Ray runs must be found by name

    until = time.monotonic() + limit
    made = standing_in(folder / "ray-store")
    figures = Figures(folder / "two_nodes.json")
    node_of_one = {"num_cpus": 1, "object_store_memory": 128 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node_of_one)
    cluster.add_node(**node_of_one)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    task = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", max_retries=0)(scale.share)
    nodes = chain(folder)
    try:
        with Watch() as watch:
            for step, node in enumerate(nodes):
                if made.keys.has(node):
                    continue
                started, costs = time.perf_counter(), list[dict[str, float]]()
                calls: list[tuple[int, int]] = [(0, 0)]
                if node.stage.per_row:
                    first = node.upstream[0]
                    rows = made.keys.open(first).manifest["rows"]  # type: ignore[union-attr]
                    of = shards(rows, made.placement.shard_rows)
                    calls = [(number, of) for number in range(of if of > 1 else 0)] + calls
                running: list[Any] = []
                for number, of in calls:
                    while len(running) >= (3 if of else 1):  # the step itself comes after all of its shares
                        done, running = ray.wait(running)
                        costs += ray.get(done)
                    if time.monotonic() > until:
                        break
                    running.append(task.remote(folder, step, number, of))
                costs += ray.get(running)
                wall = time.perf_counter() - started
                cost = {name: sum(one.get(name, 0) for one in costs) for name in ("cpu", "stand_in", "rows")}
                # Two at once: half of what the stand-ins took was taken from each of the nodes.
                cost |= {"seconds": wall - cost["stand_in"] / 2, "peak": max(one["peak"] for one in costs)}
                cost |= {"peak_sum": watch.taken(), "peak_ray": watch.of_ray}
                figures.add(node.run_name, cost)
                if time.monotonic() > until and not made.keys.has(node):
                    raise TimeUp
    finally:
        ray.shutdown()
        cluster.shutdown()


class Watch:
    """Looks every half second at how much memory this process and Ray's workers have together, and Ray itself."""

    def __init__(self) -> None:
        self._most = 0
        self.of_ray = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._thread.join()

    def taken(self) -> int:
        """The most since this was last asked, KiB."""
        most, self._most = self._most, 0
        return most

    def _look(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._over.wait(0.5):
            ours = me.memory_info().rss
            of_ray = 0
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    memory = child.memory_info().rss
                    if child.name().startswith("ray::"):
                        ours += memory
                    else:
                        of_ray += memory
            self._most, self.of_ray = max(self._most, ours // 1024), max(self.of_ray, of_ray // 1024)


def seconds_of_plan(folder: Path) -> float:
    """How long `mothertongue plan` takes in a process of its own."""
    command = [sys.executable, "-m", "flows.main", "plan", str(folder / "study.yaml")]
    environment = {**os.environ, "MOTHERTONGUE_STORE": str(folder / "empty")}
    started = time.perf_counter()
    subprocess.run(command, check=True, env=environment, cwd=PROJECT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def report(steps: dict[str, dict[str, float]], count: int) -> float:
    """Print the figures of one size. Returns the largest peak, in MiB: of all processes where there were several."""
    print(f"\n{count:,} questions")
    print(f"  {'step':<28} {'rows':>10} {'seconds':>8} {'rows/s':>9} {'us/row':>7} {'stand-in':>9} {'peak MiB':>9}")
    for name, cost in steps.items():
        rows = cost["rows"]
        peaks = " / ".join(f"{cost[of] / 1024:,.0f}" for of in ("peak", "peak_sum") if of in cost)
        print(
            f"  {name:<28} {rows:>10,.0f} {cost['seconds']:>8.1f} {rows / cost['seconds']:>9,.0f} "
            f"{cost['cpu'] / rows * 1e6:>7.0f} {cost['stand_in']:>9.1f} {peaks:>9}"
        )
    whole = sum(cost["seconds"] for cost in steps.values())
    cpu = sum(cost["cpu"] for cost in steps.values())
    print(
        f"  all: {whole:,.0f} s, {cpu:,.0f} s of processor time; {4 * count / whole:,.0f} samples/s through the chain"
    )
    return max(cost.get("peak_sum", cost["peak"]) for cost in steps.values()) / 1024


def prepare(folder: Path, count: int) -> None:
    if (folder / "study.yaml").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    questions(folder / "questions.parquet", count)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--ray", action="store_true", help="over two Ray nodes")
    parser.add_argument("--keep", type=Path, help="a folder to work in, and to go on in")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which to stop")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    run = two_nodes if given.ray else one_process
    if given.only:
        try:
            run(given.only, given.limit)
        except TimeUp:
            sys.exit(AGAIN)
        return
    until = time.monotonic() + given.limit
    home = given.keep or Path(tempfile.mkdtemp())
    peaks = []
    for count in given.questions:
        folder = (home / str(count)).absolute()
        prepare(folder, count)
        # A process of its own for each size: what the one before has taken must not count.
        command = [
            sys.executable,
            "-m",
            "tests.bench.scale",
            "--only",
            str(folder),
            "--limit",
            str(until - time.monotonic()),
        ]
        code = subprocess.run([*command, *(["--ray"] if given.ray else [])], cwd=PROJECT).returncode
        if code:
            sys.exit(code)
        peaks.append(report(Figures(folder / f"{run.__name__}.json").steps, count))
        print(f"  plan: {seconds_of_plan(folder):.1f} s")
    if len(peaks) > 1:
        print(
            f"\npeak memory at {given.questions[-1]:,} questions: "
            f"{peaks[-1] / peaks[0]:.2f} x that at {given.questions[0]:,}"
        )
    if not given.keep:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
