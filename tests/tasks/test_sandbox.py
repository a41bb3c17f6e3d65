"""The sandbox: hostile programs (tests/hostile, one a file) are contained and never judged correct; honest ones are."""

import json
import os
import platform
import secrets
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flows.cli import doctor
from tasks.kinds.verifiers import find
from tasks.sandbox import sandbox
from tasks.sandbox.cell import REFUSED, system_call_filter
from tasks.sandbox.command import command
from tasks.sandbox.worker import Limits
from tasks.storage.rows import Rows
from tasks.verify import verify
from tests.waiting import until

PROJECT = Path(__file__).parents[2]
HOSTILE = sorted((PROJECT / "tests" / "hostile").glob("*.py.txt"))
PROBLEM = sandbox.problem()
needs_sandbox = pytest.mark.skipif(PROBLEM is not None, reason=f"no sandbox here: {PROBLEM}")
QUICK = Limits(cpu=1, wall_seconds=2.5)
DOUBLING = "def double(number):\n    return 2 * number\n"
DOUBLE = "from program import double\nassert double(21) == 42\nassert double(-4) == -8\nassert double(0) == 0\n"
MARK = f"program {secrets.token_hex(8)}"


class Bait(NamedTuple):
    """What hostile programs go after."""

    file: Path
    port: int
    abstract: str
    reached: list[str]

    def filled(self, text: str) -> str:
        values = {
            "FILE": self.file,
            "PORT": self.port,
            "ABSTRACT": self.abstract,
            "PROJECT": PROJECT,
            "PID": os.getpid(),
            "HOST": platform.node(),
            "MARK": MARK,
        }
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        return text


@pytest.fixture(scope="module")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bait]:
    """A file, a server and a local socket that no program may reach, and a variable that none may read."""
    folder = tmp_path_factory.mktemp("bait")
    file = folder / "secret"
    file.write_text("secret")
    abstract = f"mothertongue-{secrets.token_hex(8)}"
    stream = socket.create_server(("127.0.0.1", 0))
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.bind(stream.getsockname())
    local = socket.socket(socket.AF_UNIX)
    local.bind(f"\0{abstract}")
    local.listen()
    reached: list[str] = []

    def listen(server: socket.socket, name: str) -> None:
        try:
            while True:
                (server.recvfrom(1) if server.type == socket.SOCK_DGRAM else server.accept())
                reached.append(name)
        except OSError:
            return

    servers = {"stream": stream, "datagram": datagram, "local": local}
    for name, server in servers.items():
        threading.Thread(target=listen, args=(server, name), daemon=True).start()
    os.environ["MOTHERTONGUE_CANARY"] = "canary"
    yield Bait(file, stream.getsockname()[1], abstract, reached)
    del os.environ["MOTHERTONGUE_CANARY"]
    for server in servers.values():
        server.close()


def below(process: int) -> list[int]:
    """The processes that a process and its children have started and that are still there."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *below(child)]
    return sorted(found)


def outside(folder: Path) -> dict[str, int]:
    """What lies in places that a program may try to write to, files with their sizes."""
    places = [folder, Path("/"), Path(os.__file__).parent]
    found = (file for place in places for file in place.iterdir())
    return {str(file): file.lstat().st_size if file.is_file() else 0 for file in found}


def test_there_are_many_hostile_programs() -> None:
    assert len(HOSTILE) >= 40


@needs_sandbox
@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.name.removesuffix(".py.txt"))
def test_a_hostile_program_is_contained(file: Path, bait: Bait) -> None:
    program = bait.filled(file.read_text())
    sandbox.judge(f"# {MARK}\ndef double(number):\n    return 2 * number\n", "", DOUBLE, QUICK)
    processes, files = below(os.getpid()), outside(bait.file.parent)
    verdicts = [
        sandbox.judge(program, "", DOUBLE, QUICK).verdict for _ in range(2 if "left_behind" in file.name else 1)
    ]
    assert set(verdicts) <= {"wrong", "error"}
    assert below(os.getpid()) == processes, "a process was left behind, or one of the sandbox's own was lost"
    assert outside(bait.file.parent) == files
    assert bait.file.read_text() == "secret"
    assert bait.reached == []
    # On a busy machine an honest program may not end in that time either: it is asked again.
    until(
        lambda: sandbox.judge(DOUBLING, "", DOUBLE, QUICK).verdict == "correct",
        "the next program is not judged as if nothing had been",
    )


def test_what_hostile_programs_go_after_is_there(bait: Bait) -> None:
    """Outside the sandbox they succeed, so that failing inside says something."""
    for name in (
        "network_tcp",
        "network_udp",
        "network_abstract_socket",
        "files_secret",
        "files_project",
        "environment_read",
    ):
        inside: dict[str, Any] = {}
        exec(bait.filled((PROJECT / "tests" / "hostile" / f"{name}.py.txt").read_text()), inside)
        assert inside["double"](21) == 42, name
    until(lambda: set(bait.reached) == {"stream", "datagram", "local"})
    bait.reached.clear()


@needs_sandbox
def test_hostile_programs_side_by_side_do_not_disturb_honest_ones(bait: Bait) -> None:
    names = ("processes_fork_bomb", "memory_slowly", "signals_everyone", "disk_full", "fake_builtins")
    hostile = [bait.filled(file.read_text()) for file in HOSTILE if file.name.removesuffix(".py.txt") in names]
    limits = Limits(cpu=1, wall_seconds=60)  # time for honest ones, however busy the machine is
    with ThreadPoolExecutor(3) as pool:
        judged = pool.map(lambda program: sandbox.judge(program, "", DOUBLE, limits), [*hostile, *[DOUBLING] * 4])
        verdicts = [each.verdict for each in judged]
    assert len(hostile) == len(names)
    assert "correct" not in verdicts[: len(hostile)]
    assert verdicts[len(hostile) :] == ["correct"] * 4


CASES = [json.loads(line) for line in (PROJECT / "tests" / "cases" / "code.jsonl").read_text().splitlines()]


@needs_sandbox
@pytest.mark.parametrize("case", CASES, ids=range(1, len(CASES) + 1))
def test_case(case: dict[str, Any]) -> None:
    row = {name: value for name, value in case.items() if name not in ("verdict", "answer", "source")}
    (judged,) = verify.function(Rows.of([{"id": "1", **row}]), find("code"), limit=1.0)
    assert (judged["verdict"], judged["answer"]) == (case["verdict"], case["answer"]), case["source"]


def test_there_are_cases_of_each_verdict() -> None:
    assert len(CASES) >= 30
    assert {case["verdict"] for case in CASES} == {"correct", "wrong", "unparseable", "error"}
    assert all(case["source"] for case in CASES)


HONEST = {
    "tuple, set and nested values": (
        "def f(x):\n    return {'a': (1, {2, 3}, [x, None]), 4: frozenset([5])}",
        "assert f(1.5) == {'a': (1, {2, 3}, [1.5, None]), 4: frozenset([5])}\nassert isinstance(f(0)['a'], tuple)",
    ),
    "big and special numbers": (
        "def f(x):\n    return [2**x, -(2**x), float('inf'), 1e-300, 3+4j, float('nan')]",
        "v = f(5000)\nassert v[:5] == [2**5000, -(2**5000), float('inf'), 1e-300, 3+4j] and v[5] != v[5]",
    ),
    "bytes and text": (
        "def f(x):\n    return x + b'\\xff', bytearray(x), 'ünï \\ud800 \\x00'",
        "assert f(b'a') == (b'a\\xff', bytearray(b'a'), 'ünï \\ud800 \\x00')",
    ),
    "a generator and a map": (
        "def f(n):\n    yield from range(n)\ndef g(n):\n    return map(str, range(n))",
        "assert list(f(3)) == [0, 1, 2] and tuple(g(2)) == ('0', '1') and f(1) != [0]\nassert next(iter(f(5))) == 0",
    ),
    "an exception the tests expect": (
        "def f(x):\n    raise KeyError(x)",
        "try:\n    f(1)\n    raise SystemError\nexcept LookupError as error:\n    assert '1' in str(error)",
    ),
    "an exception class of its own": (
        "class Mine(ValueError):\n    pass\ndef f(x):\n    raise Mine('no')",
        "try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    raise SystemError",
    ),
    "objects of its own, as in MBPP 927": (
        "class Node:\n    def __init__(self, v):\n        self.v, self.left = v, None\n"
        "def f(n):\n    return n.v if n is not None and n.left is None else f(n.left)",
        "root = Node(1)\nroot.left = Node(2)\nassert f(root) == 2 and f([root][0].left) == 2 and root.v == 1",
    ),
    "types and functions as arguments": (
        "def f(x, kind, g):\n    return kind(g(x))\ndef g(x):\n    return x + 1",
        "assert f(1, str, g) == '2'",
    ),
    "arguments are copies": ("def f(x):\n    x.clear()\n    return 0", "v = [1]\nassert f(v) == 0 and v == [1]"),
    "a result that is a subclass": (
        "from collections import Counter, OrderedDict, namedtuple\nP = namedtuple('P', 'x')\n"
        "def f():\n    return Counter('aab'), P(1)",
        "assert f() == ({'a': 2, 'b': 1}, (1,))",
    ),
    "a program that prints and reads nothing": (
        "print('hello')\ndef f():\n    print('x' * 10**6)\n    try:\n        input()\n"
        "    except EOFError:\n        return 1",
        "assert f() == 1",
    ),
    "a file in /tmp and a thread": (
        "import threading\ndef f():\n    t = threading.Thread(target=lambda: open('/tmp/x', 'w').write('1'))\n"
        "    t.start()\n    t.join()\n    return open('/tmp/x').read()",
        "assert f() == '1'",
    ),
}


@needs_sandbox
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program_is_judged_by_what_it_returns(name: str) -> None:
    program, tests = HONEST[name]
    found = sandbox.judge(f"```python\n{program}\n```", "", tests)
    assert found.verdict == "correct", found.reason
    assert sandbox.judge(f"```python\n{program}\n```", "", f"{tests}\nassert False").verdict == "wrong"


@needs_sandbox
def test_tests_that_are_none_are_an_error_not_a_wrong_answer() -> None:
    for tests, why in (
        ("assert f(", "no Python"),
        ("assert 1 == 1", "test nothing"),
        ("f = 1\nassert f", "test nothing"),
        ("from program import f\nf(lambda x: x)", "cannot be run here"),
    ):
        found = sandbox.judge("def f(x):\n    return 1", "", tests)
        assert found.verdict == "error"
        assert why in found.reason


@needs_sandbox
def test_the_same_program_gets_the_same_verdict_each_time() -> None:
    """Hashes of text and random numbers differ between interpreters, but not here."""
    program = "import random\ndef f():\n    return [hash('a'), random.random(), list({'a', 'b', 'c'})]"
    first = sandbox.judge(program, "", "import sys\nfrom program import f\nsys.exit(repr(f()))").reason
    assert "SystemExit" in first
    assert first == sandbox.judge(program, "", "import sys\nfrom program import f\nsys.exit(repr(f()))").reason


def test_without_bubblewrap_nothing_is_run_and_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.close()
    command.cache_clear()
    monkeypatch.setenv("PATH", "")
    try:
        assert "install bubblewrap" in str(sandbox.problem())
        for needed in (True, False):
            finding = doctor._sandbox(needed)
            assert finding.fine is not needed
            assert "install bubblewrap" in finding.text
        row = {"id": "1", "question": "", "gold": "assert f() == 1", "response": "def f(): return 1"}
        (judged,) = verify.function(Rows.of([row]), find("code"), limit=1.0)
        assert (judged["verdict"], judged["answer"]) == ("error", None)
    finally:
        command.cache_clear()


def test_a_bubblewrap_that_may_not_be_used_is_said_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    sandbox.close()
    command.cache_clear()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    try:
        assert "No permissions to create new namespace; allow user namespaces" in str(sandbox.problem())
    finally:
        command.cache_clear()


@needs_sandbox
def test_everything_ends_with_the_process_that_judges() -> None:
    """Also when that is killed while a program runs."""
    program = """
        import os
        from tasks.sandbox import sandbox
        assert sandbox.problem() is None
        print(os.getpid(), flush=True)
        input()
        sandbox.judge("def f():\\n    while True: pass", "", "from program import f\\nf()")
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        number = int(child.stdout.readline())
        waiting = len(below(number))
        child.stdin.write(b"\n")
        child.stdin.flush()
        while len(mine := below(number)) < waiting + 2:  # the program's process, and that of its tests
            assert child.poll() is None, "it ended before a program was seen to run"
            time.sleep(0.01)
        child.kill()
    until(lambda: not [one for one in mine if Path(f"/proc/{one}").exists()], "a process was left behind")


@needs_sandbox
def test_all_that_runs_inside_is_part_of_the_key() -> None:
    from tasks.pipeline import fingerprint

    code = fingerprint.by_file(fingerprint.root(find("code")))
    inside = {
        f"tasks/sandbox/{name}.py"
        for name in ("answer", "cell", "command", "program", "sandbox", "tests", "values", "worker")
    }
    assert inside | {"tasks/verifiers/code.py"} <= set(code)


def test_the_filter_knows_each_call_once_and_refuses_unknown_machines() -> None:
    for machine, calls in REFUSED.items():
        assert len(set(calls.values())) == len(calls)
        assert len(system_call_filter(machine)) % 8 == 0
    with pytest.raises(OSError, match="does not know the system calls of riscv64; it knows x86_64, aarch64"):
        system_call_filter("riscv64")
