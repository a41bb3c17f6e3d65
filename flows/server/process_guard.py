"""A process that is not to outlive this one, also when this one is killed (Linux)."""

import signal
import subprocess
import sys

WATCH = """
import os, signal, sys
other = os.pidfd_open(int(sys.argv[1]))
sys.stdin.read()
try:
    signal.pidfd_send_signal(other, int(sys.argv[2]))
except ProcessLookupError:
    pass
"""
"""Waits for the end of standard input, whose other end this process alone has, and then ends the other process."""
_watchers: list["subprocess.Popen[bytes]"] = []


def watch(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have a watcher beside a process, that sends it this signal once this one is gone."""
    if sys.platform != "linux":
        return
    _watchers.append(
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WATCH, str(pid), str(int(number))],
            stdin=subprocess.PIPE,
            start_new_session=True,  # what ends this one's whole process group does not end the watcher
        )
    )
