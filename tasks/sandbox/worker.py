"""A worker of the sandbox: two bubblewrap sandboxes that do one judgement at a time (see `tasks.sandbox`)."""

import functools
import json
import math
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from tasks.sandbox import answer as inside_answer
from tasks.sandbox import cell as inside_cell
from tasks.sandbox import program as inside_program
from tasks.sandbox import tests as inside_tests
from tasks.sandbox import values as inside_values
from tasks.sandbox.command import ADVICE, SandboxMissing, command
from tasks.sandbox.values import Ended

MODULES = """
    abc array base64 bisect cmath collections collections.abc copy csv dataclasses datetime decimal enum fractions
    functools hashlib heapq inspect io itertools json math numbers operator queue random re statistics string
    struct textwrap threading time traceback types typing unicodedata uuid
""".split()  # noqa: SIM905
"""Loaded before programs are forked."""
FIRST_USER, USERS = 61000, 4000
"""User ids that programs run under where we are root; nothing on a Debian system owns files with them."""


class SandboxBroken(Exception):
    """The sandbox itself failed, not the program in it."""


@dataclass(frozen=True)
class Limits:
    """What one program may use. All but `wall_seconds` count for each of its processes."""

    cpu: int = 3
    """Seconds of processor time. HumanEval's runner allows 3 on the clock, which are fewer on a busy machine."""
    wall_seconds: float = 30.0
    """Seconds until it is killed, whatever it does; its tests included. Many, for a machine that does much else."""
    memory: int = 512 * 2**20
    """Bytes of address space."""
    processes: int = 8
    """Processes and threads it may have at once."""
    file: int = 4 * 2**20
    """Bytes of one file."""
    disk: int = 16 * 2**20
    """Bytes of /tmp."""
    handles: int = 64
    """Open files."""


class Judgement(NamedTuple):
    """What the tests say: a verdict (correct, wrong, unparseable or error), the code that was found, and why."""

    verdict: str
    code: str | None
    reason: str


class Worker:
    """Two sandboxes that do one judgement at a time."""

    def __init__(self, limits: Limits, number: int) -> None:
        self._limits = limits
        self._cells: list[_Cell] = []
        try:
            tests = replace(limits, cpu=math.ceil(limits.wall_seconds), memory=2 * limits.memory)
            self._cells.append(_Cell(inside_tests.run, tests, number * 2))
            self._cells.append(_Cell(inside_program.run, limits, number * 2 + 1))
            for cell in self._cells:
                cell.ready()
        except BaseException:
            self.close()
            raise

    def judge(self, request: dict[str, str]) -> Judgement:
        token = secrets.token_hex(16)
        mine, judges = socket.socketpair()
        asks, answers = socket.socketpair()
        stop, stopping = os.pipe()
        started = []
        try:
            for cell, ends in zip(self._cells, ([judges, asks], [answers]), strict=True):
                cell.start([*(end.fileno() for end in ends), stop])
                started.append(cell)
            for end in (judges, asks, answers):
                end.close()
            found = self._verdict(mine, {**request, "token": token})
        except Ended as error:
            found = {"verdict": "error", "answer": None, "reason": f"the tests' process ended: {error}", "token": token}
        finally:
            os.write(stopping, b"x")
            failures = [cell.finished() for cell in started]
            for end in (mine, judges, asks, answers):
                end.close()
            os.close(stop)
            os.close(stopping)
        if any(failures):
            raise SandboxBroken(f"the sandbox cannot confine a program: {'; '.join(filter(None, failures))}")
        if found is None:
            return Judgement("wrong", None, f"no end within {self._limits.wall_seconds:g} s")
        if found.get("token") != token:
            raise SandboxBroken("a verdict without the request's token")
        return Judgement(found["verdict"], found["answer"], found["reason"])

    def _verdict(self, mine: socket.socket, request: dict[str, str]) -> Any:
        mine.settimeout(self._limits.wall_seconds)
        end = time.monotonic() + self._limits.wall_seconds
        try:
            inside_values.send(mine, request)
            mine.settimeout(max(0.001, end - time.monotonic()))
            return inside_values.receive(mine)
        except TimeoutError:
            return None

    def close(self) -> None:
        for cell in self._cells:
            cell.close()


class _Cell:
    """One bubblewrap sandbox with a Python that waits in it."""

    def __init__(self, role: Callable[..., None], limits: Limits, number: int) -> None:
        self._control, theirs = socket.socketpair()
        # As root, a user of this cell alone, so that its processes are counted alone.
        user = FIRST_USER + number % USERS if os.geteuid() == 0 else None
        boot = {
            "cell": inside_cell.serve.__module__,
            "role": role.__module__,
            "settings": {**asdict(limits), "user": user},
            "modules": MODULES,
            "sources": _sources(),
        }
        try:
            # From a thread that lives as long as this process: bubblewrap dies with the thread that started it.
            self._process = _starter().submit(_start, theirs.fileno()).result()
        finally:
            theirs.close()
        try:
            inside_values.send(self._control, boot)
        except Ended:
            raise SandboxMissing(self._why()) from None
        self._answers = self._control.makefile("rb")

    def ready(self) -> None:
        """Wait until it waits for work.

        Raises:
            SandboxMissing: it ended instead.
        """
        if not self._line(30.0):
            raise SandboxMissing(self._why())

    def start(self, handles: list[int]) -> None:
        try:
            socket.send_fds(self._control, [b"w"], handles)
        except OSError as error:
            raise SandboxBroken(f"the sandbox ended: {error}") from error

    def finished(self) -> str:
        """Wait until nothing of the work is left. Returns "" or what failed before it began."""
        line = self._line(30.0)
        return json.loads(line) if line else "the sandbox ended"

    def _line(self, seconds: float) -> bytes:
        self._control.settimeout(seconds)
        try:
            return self._answers.readline()
        except OSError:
            return b""

    def _why(self) -> str:
        self._process.kill()
        said = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
        return f"bubblewrap does not work here: {said[-1] if said else 'it ended at once'}; {ADVICE}"

    def close(self) -> None:
        with suppress(OSError):
            self._control.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()


_BOOT = """
import json, socket, struct, sys, types
control = socket.socket(fileno={handle})
def exactly(size):
    parts = b""
    while len(parts) < size:
        part = control.recv(size - len(parts))
        if not part:
            sys.exit(0)
        parts += part
    return parts
boot = json.loads(exactly(struct.unpack("!I", exactly(4))[0]))
for name, source in boot["sources"].items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
cell = sys.modules[boot["cell"]]
cell.load_standard_modules(boot["modules"])
cell.serve(control, sys.modules[boot["role"]].run, boot["settings"])
"""


def _start(handle: int) -> "subprocess.Popen[bytes]":
    started = [*command(), "-s", "-S", "-P", "-B", "-c", _BOOT.format(handle=handle)]
    return subprocess.Popen(
        started, pass_fds=(handle,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@functools.cache
def _sources() -> dict[str, str]:
    """What runs inside, in the order in which it is loaded."""
    modules = (inside_values, inside_answer, inside_cell, inside_program, inside_tests)
    return {module.__name__: Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules}


@functools.cache
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")
