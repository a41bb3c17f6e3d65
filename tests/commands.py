"""`mothertongue …` as a person gives it, in a process of its own that is forked from one with the imports done.

To import the command's modules anew takes most of the time of a command that does little. What is forked has nothing
else of an earlier command: Prefect, which reads its settings when it is imported, is not among the modules, nor is
anything that starts a thread. Tests that are about a process itself (stopped, killed, left behind) start one.
"""

import atexit
import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 600.0
"""Seconds a command may take."""


class _Server:
    """The client's side: one server for all commands of this process, started with the first."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.commands", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])},
            )
        self.control = ours
        self.control.settimeout(PATIENCE)
        self._finalizer = weakref.finalize(self, _end, self.control, self.process)


def _end(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    control.close()
    process.wait()


_lock = threading.Lock()
_servers: list[_Server] = []


def run(folder: Path, environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with these arguments in a folder, in no other environment than this, and wait for it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, _lock:
        server = _servers[0] if _servers else _Server()
        _servers[:] = [server]
        request = {"arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        message = json.dumps(request).encode()
        with tempfile.TemporaryFile() as given:  # an environment may be larger than a packet
            given.write(message)
            given.flush()
            socket.send_fds(server.control, [b"run"], [given.fileno(), out.fileno(), err.fileno()])
        try:
            code = int(server.control.recv(64))
        except (ValueError, TimeoutError):
            _servers.clear()
            server.process.kill()
            raise
        said = [_text(file.fileno()) for file in (out, err)]
    return subprocess.CompletedProcess(["mothertongue", *arguments], code, *said)


def _text(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, encoding="utf-8", newline="", closefd=False) as opened:
        return opened.read()


def _serve(control: socket.socket) -> None:
    """Fork a process for each command and say how it ended; returns in each forked process, when it is to begin."""
    while True:
        data, files, _, _ = socket.recv_fds(control, 64, 3)
        if not data:
            sys.exit()
        given, out, err = files
        os.lseek(given, 0, os.SEEK_SET)
        with open(given, "rb") as opened:
            request = json.load(opened)
        child = os.fork()
        if child == 0:
            control.close()
            for file, standard in ((out, 1), (err, 2)):
                os.dup2(file, standard)
                os.close(file)
            os.environ.clear()
            os.environ.update(request["environment"])
            os.chdir(request["folder"])
            sys.argv = ["mothertongue", *request["arguments"]]
            return
        for file in (out, err):
            os.close(file)
        _, status = os.waitpid(child, 0)
        control.send(str(os.waitstatus_to_exitcode(status)).encode())


def _preload() -> None:
    """Import what commands need, but for Prefect and what starts threads; and read the code that keys are made of."""
    import flows.cli.plan_page
    import flows.cli.result_file
    import flows.cli.terminal
    import flows.main
    import flows.server.library_environment  # noqa: F401
    from tasks.kinds import stages
    from tasks.pipeline import fingerprint

    for stage in stages.chain():
        fingerprint.content(*stage.roots)
    assert not {"prefect", "torch", "vllm", "transformers"} & sys.modules.keys()
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()  # forked processes neither walk nor copy what all of them share


def _do() -> None:
    """Be the command, and end as Python does, but leave what is in memory to the kernel: to clear it takes longest."""
    code: object = 0
    try:
        del sys.modules["flows.main"]
        runpy.run_module("flows.main", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _preload()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    _do()
