"""Templates of a study file, tried on one row each before anything is run, within limits of time and memory.

A template is a program: it can loop, call itself, or make a text of any size. So one that does more than fill in
columns is tried in a process of its own, which ends at its limits. `python -m
tasks.models.template_trial` is that process.
"""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, nodes

from data.errors import InputError, at
from data.prompt import PROMPTS
from data.row_values import Row
from tasks.models.filling import fill

SECONDS = 1
"""Processor time that one template may take for one row."""
MEMORY = 512 * 2**20
"""Bytes that all of them may take, beside the interpreter."""
LONGEST = 1_000_000
"""Characters that one may make of one row."""
PATIENCE = 120
"""Seconds after which the process is given up, on a machine however busy."""


@dataclass(frozen=True)
class Trial:
    """A template and the row that it is tried on."""

    where: str
    """Its place in the study file, for errors."""
    template: str
    row: Row


def check(trials: Sequence[Trial]) -> None:
    """Try each template once.

    Raises:
        InputError: one of them is wrong, names a column that its row lacks, or goes beyond a limit; names its place.
    """
    for trial in trials:
        if _only_fills(trial.template):
            with at(trial.where):
                fill(trial.template, trial.row)
    trials = [trial for trial in trials if not _only_fills(trial.template)]
    if not trials:
        return
    command = [sys.executable, "-m", "tasks.models.template_trial"]
    project = Path(__file__).resolve().parents[2]
    given = json.dumps([asdict(trial) for trial in trials], default=str)
    try:
        ended = subprocess.run(
            command, input=given, capture_output=True, text=True, cwd=project, timeout=PATIENCE, check=False
        )
        if ended.returncode > 0 and "MemoryError" not in ended.stderr:
            raise RuntimeError(f"templates could not be tried: {ended.stderr}")
        said: list[str] = [json.loads(line) for line in ended.stdout.splitlines()]
    except subprocess.TimeoutExpired:
        said = []
    for trial, why in zip(trials, said, strict=False):
        if why:
            raise InputError(f"{trial.where}: {why}")
    if len(said) < len(trials):
        raise InputError(f"{trials[len(said)].where}: the template needs more time or memory than {_LIMITS}")


def _only_fills(template: str) -> bool:
    """Whether a template is text and columns alone, or one of the project's: then it needs no limits."""
    if any(template == file.read_text(encoding="utf-8") for file in PROMPTS.glob("*.jinja")):
        return True
    try:
        parsed = Environment().parse(template)
    except Exception:  # what is wrong with it is said where there are limits
        return False
    return all(isinstance(node, nodes.Output | nodes.TemplateData | nodes.Name) for node in parsed.find_all(nodes.Node))


_LIMITS = f"{SECONDS} s and {MEMORY // 2**20} MiB for one row; allowed: a template that fills in the row's columns"


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"the template needs more time than {_LIMITS}")


def _tried(trial: Trial) -> str:
    """What is wrong with a template; empty where nothing is."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    ceiling = int(used.ru_utime + used.ru_stime) + 2 * SECONDS + 1  # for what no signal interrupts
    resource.setrlimit(resource.RLIMIT_CPU, (ceiling, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        text = fill(trial.template, trial.row)
    except (InputError, TimeoutError) as error:
        return str(error)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if len(text) > LONGEST:
        return f"the template makes {len(text):,} characters of one row; allowed: at most {LONGEST:,}"
    return ""


def _main() -> None:
    signal.signal(signal.SIGVTALRM, _too_long)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        ceiling = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, resource.RLIM_INFINITY))
    for each in json.load(sys.stdin):
        print(json.dumps(_tried(Trial(**each))), flush=True)


if __name__ == "__main__":
    _main()
