"""Judging code: this project's sandbox beside HumanEval's own runner, with the same number of workers.

    python -m tests.bench.code --humaneval FOLDER             # the folder of the official HumanEval.jsonl.gz
    python -m tests.bench.code --humaneval FOLDER --workers 4 --rounds 7

Both judge the 164 canonical solutions as completions, in turns, so that other load on the machine falls on each alike.
Ours finds the code in the response, runs it in bubblewrap and judges it from another process; theirs, written here
after openai/human-eval (human_eval/execution.py and evaluation.py at 6d43fb9), forks a manager and a process for each
program and executes it there, without a sandbox. Prints seconds a round, the best of each, and their ratio (above 1:
ours is faster). The first round of ours, which starts its sandboxes, is in its times.
"""

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from data.benchmark import find, questions_of
from tasks.sandbox import sandbox
from tasks.storage.rows import Row

SECONDS = 3.0
TAKEN = """
    kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate replace unlink
    fchmod fchown chmod chown chroot getcwd chdir
""".split()  # noqa: SIM905
"""What the official guard takes out of `os`."""


class _OutOfTime(Exception):
    pass


class _Unreadable(io.StringIO):
    def read(self, *_: Any) -> str:
        raise OSError

    readline = readlines = read  # type: ignore[assignment]

    def readable(self, *_: Any) -> bool:
        return False


class _Input(contextlib._RedirectStream):  # type: ignore[type-arg]
    _stream = "stdin"


def _execute(problem: Row, completion: str, result: Any) -> None:
    """`unsafe_execute`: the program in this process, with the guard of monkeypatches and an alarm."""
    with tempfile.TemporaryDirectory() as folder:
        kept = shutil.rmtree, os.rmdir, os.chdir, os.unlink
        before = os.getcwd()
        os.chdir(folder)
        for name in TAKEN:
            setattr(os, name, None)
        shutil.rmtree = shutil.move = shutil.chown = None  # type: ignore[assignment]
        subprocess.Popen = None  # type: ignore[assignment,misc]
        program = f"{problem['prompt']}{completion}\n{problem['test']}\ncheck({problem['entry_point']})"

        def stop(*_: Any) -> None:
            raise _OutOfTime

        stream = _Unreadable()
        try:
            with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream), _Input(stream):
                signal.signal(signal.SIGALRM, stop)
                signal.setitimer(signal.ITIMER_REAL, SECONDS)
                try:
                    exec(program, {})
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            result.append("passed")
        except _OutOfTime:
            result.append("timed out")
        except BaseException as error:
            result.append(f"failed: {error}")
        shutil.rmtree, os.rmdir, os.chdir, os.unlink = kept  # type: ignore[assignment]
        os.chdir(before)


def _check(problem: Row) -> bool:
    """`check_correctness`: a manager and a process for one program."""
    manager = multiprocessing.Manager()
    result = manager.list()
    process = multiprocessing.Process(target=_execute, args=(problem, problem["canonical_solution"], result))
    process.start()
    process.join(timeout=SECONDS + 1)
    if process.is_alive():
        process.terminate()
        process.join()
    return bool(result) and result[0] == "passed"


def theirs(problems: list[Row], workers: int) -> int:
    with ThreadPoolExecutor(max_workers=workers) as pool:
        return sum(future.result() for future in as_completed([pool.submit(_check, problem) for problem in problems]))


def ours(rows: list[Row], workers: int) -> int:
    def passes(row: Row) -> bool:
        return sandbox.judge(row["response"], row["question"], row["gold"]).verdict == "correct"

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return sum(pool.map(passes, rows))


def timed(work: Callable[[], int]) -> tuple[float, int]:
    started = time.perf_counter()
    passed = work()
    return time.perf_counter() - started, passed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--humaneval", type=Path, default=os.environ.get("MOTHERTONGUE_HUMANEVAL"))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.humaneval is None:
        print("code: left out; name the folder of HumanEval.jsonl.gz by --humaneval or MOTHERTONGUE_HUMANEVAL")
        return
    with gzip.open(Path(options.humaneval) / "HumanEval.jsonl.gz") as file:
        problems: list[Row] = [json.loads(line) for line in file]
    questions = questions_of(find("humaneval").at(Path(options.humaneval)), "test", None, 0)
    given = [
        {**question, "response": problem["canonical_solution"]}
        for question, problem in zip(questions, problems, strict=True)
    ]
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(options.rounds):
        turns: dict[str, Callable[[], int]] = {
            "ours": lambda: ours(given, options.workers),
            "theirs": lambda: theirs(problems, options.workers),
        }
        for name in turns if number % 2 else reversed(turns):
            seconds, passed = timed(turns[name])
            times[name].append(seconds)
            print(f"round {number + 1}  {name:<6}  {seconds:6.2f} s  {passed} of {len(problems)} pass", flush=True)
    ratios = [other / mine for mine, other in zip(times["ours"], times["theirs"], strict=True)]
    print(
        f"{options.workers} workers, {len(problems)} programs: ours {min(times['ours']):.2f} s, "
        f"HumanEval's runner {min(times['theirs']):.2f} s at best; ratio of the best "
        f"{min(times['theirs']) / min(times['ours']):.2f}, of rounds {min(ratios):.2f} to {max(ratios):.2f}, "
        f"median {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
