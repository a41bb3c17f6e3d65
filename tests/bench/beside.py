"""A study by this code and by another checkout's, in turns: `python -m tests.bench.beside CHECKOUT [--study abacus]`.

Each run begins from nothing, with a store, a Prefect home and slots of its own. Processor seconds (user and system, all
processes of a run together) are what to compare where other work has the machine; wall seconds where none has. Without
CHECKOUT this code is measured alone.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parents[2]


def run(checkout: Path, study: str, values: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of `mothertongue run` by the code of a checkout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = {"MOTHERTONGUE_STORE": "store", "PREFECT_HOME": "prefect", "MOTHERTONGUE_SLOTS": "slots"}
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        environment |= {variable: str(folder / place) for variable, place in places.items()}
        words = [sys.executable, "-m", "flows.main", "run", study, *(f"--set={value}" for value in values)]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        ended = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        sys.exit(f"the study by {checkout} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", nargs="?", type=Path, help="of the code to compare with: git worktree add ...")
    parser.add_argument("--study", default="abacus")
    parser.add_argument("--set", action="append", default=[], help="as of mothertongue: a smaller study, say")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    checkouts = [*([options.checkout.resolve()] if options.checkout else []), HERE]
    taken: dict[Path, list[tuple[float, float]]] = {checkout: [] for checkout in checkouts}
    for _ in range(options.rounds):
        for checkout in checkouts:
            load = os.getloadavg()[0]
            wall, busy = run(checkout, options.study, options.set)
            taken[checkout].append((wall, busy))
            print(f"{checkout}: {wall:.0f} s, {busy:.0f} processor seconds; load {load:.1f} before", flush=True)
    if options.checkout:
        walls, busies = zip(*(map(median, zip(*taken[checkout], strict=True)) for checkout in checkouts), strict=True)
        print(f"ratio: {walls[1] / walls[0]:.2f} of the time, {busies[1] / busies[0]:.2f} of the processor seconds")


if __name__ == "__main__":
    main()
