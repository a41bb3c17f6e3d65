"""`mothertongue doctor`: can this machine run a study, and if not, what is missing?"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data.errors import InputError
from flows.results.json_output import say
from flows.server import health
from tasks.resources.errors import Transient
from tasks.sandbox import sandbox
from tasks.storage.opening import open_store

NEEDED = ("prefect", "transformers", "peft", "torch")
"""Packages without which no study runs; the engine is looked for by itself."""
LEAST_DISK_GIB = 5
LEAST_MEMORY_GIB = 6


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fine, or what to do about it."""

    what: str
    fine: bool
    text: str


def show(study: str | None, as_json: bool) -> int:
    """Print every finding; returns 1 where something would keep a study from running."""
    findings = list(_findings(study))
    if as_json:
        say({"findings": [finding.__dict__ for finding in findings], "fine": all(f.fine for f in findings)})
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.fine else 'FAIL'}  {finding.what:<10} {finding.text}")
    return 0 if all(finding.fine for finding in findings) else 1


def _findings(study: str | None) -> Iterator[Finding]:
    checks: list[Callable[[], Finding]] = [_python, _packages, _engine, _device, _memory, _disk, _store, _prefect]
    for check in checks:
        yield check()
    yield _sandbox(study is not None and _judges_code(study))
    if study is not None:
        yield _study(study)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), f"{version} (3.11 or newer is needed)")


def _packages() -> Finding:
    found, missing = [], []
    for name in NEEDED:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", False, f"missing: {', '.join(missing)}; run `make setup` (or `make setup-cuda`)")
    return Finding("packages", True, ", ".join(found))


def _engine() -> Finding:
    """vLLM is imported in a process of its own: a broken build can end the interpreter."""
    quiet = {**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"}
    ended = subprocess.run(
        [sys.executable, "-c", "import vllm; print(vllm.__version__)"],
        capture_output=True,
        text=True,
        env=quiet,
        check=False,
    )
    if ended.returncode == 0:
        return Finding("engine", True, f"vLLM {ended.stdout.split()[-1]}")
    why = ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else f"exit {ended.returncode}"
    return Finding("engine", False, f"vLLM does not import: {why}")


def _device() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("device", False, f"torch does not import: {error}")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding("device", True, f"CUDA: {names}")
    return Finding("device", True, f"no GPU; {os.cpu_count()} CPU cores (enough for the embedded study)")


def _memory() -> Finding:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Finding("memory", gib >= LEAST_MEMORY_GIB, f"{gib:.0f} GiB ({LEAST_MEMORY_GIB} are needed)")


def _disk() -> Finding:
    try:
        root = open_store().root
    except InputError:
        return Finding("disk", True, "not known before there is a store")  # `_store` says why
    place = next(path for path in [root, *root.parents] if path.exists())
    free = shutil.disk_usage(place).free / 2**30
    return Finding("disk", free >= LEAST_DISK_GIB, f"{free:.0f} GiB free for the store ({LEAST_DISK_GIB} are needed)")


def _store() -> Finding:
    try:
        store = open_store()
        store.check()
    except (InputError, Transient) as error:
        return Finding("store", False, str(error))
    return Finding("store", True, str(store))


def _prefect() -> Finding:
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    if not address:
        return Finding(
            "prefect",
            True,
            "no PREFECT_API_URL: each run starts a server of its own (`prefect server start` keeps one)",
        )
    why = health.problem(address)
    if why is not None:
        return Finding("prefect", False, f"{health.without_password(address)} does not answer: {why}")
    return Finding("prefect", True, f"{health.without_password(address)} answers")


def _sandbox(needed: bool) -> Finding:
    """Runs two programs in it: that bubblewrap is there does not mean that it may be used."""
    why = sandbox.problem()
    if why is None:
        return Finding("sandbox", True, "bubblewrap runs programs and judges them")
    return Finding("sandbox", not needed, f"benchmarks whose answers are code cannot be judged: {why}")


def _judges_code(study: str) -> bool:
    from flows.config.study_file import load

    try:
        read = load(study)
    except InputError:
        return False  # `_study` says why
    return any(one.verifier == "code" for name in [*read.train, *read.evaluate] for one in read.find(name))


def _study(study: str) -> Finding:
    from flows.config.study_file import load
    from flows.planning import preflight
    from flows.planning.plan import expand

    try:
        read = load(study)
        plan = expand(read)
        preflight.check(read)
    except InputError as error:
        return Finding("study", False, str(error))
    return Finding("study", True, f"{Path(study).name}: {len(plan.nodes)} stages, {len(plan.cells)} cells")
