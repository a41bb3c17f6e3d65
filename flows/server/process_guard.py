"""A process guard: ends another process when this one has ended, also by SIGKILL (Linux)."""

import signal
import subprocess
import sys

GUARD = """
import os, signal, sys
other = os.pidfd_open(int(sys.argv[1]))
sys.stdin.read()
try:
    signal.pidfd_send_signal(other, int(sys.argv[2]))
except ProcessLookupError:
    pass
"""
"""Waits for the end of its standard input, whose other end only this process has open, then signals the other one."""
_guards: list["subprocess.Popen[bytes]"] = []
"""Kept, since a guard acts when its pipe closes: with this process, and no sooner."""


def end_with_this_process(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Start a guard that sends a process this signal once this process has ended."""
    if sys.platform != "linux":
        return
    _guards.append(
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", GUARD, str(pid), str(int(number))],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a signal to this process's group does not end the guard
        )
    )
