"""A stop that arrives more than once ends the run once, and one that comes later ends it at once."""

import signal
import subprocess
import sys
import time

import pytest

ENDING = """
import signal, sys, threading, time
from flows.execution import shutdown
from tasks.pipeline import runtime

class Running:
    lock = threading.Lock()

    def close(self):
        with self.lock:
            print("closing", flush=True)
            time.sleep(float(sys.argv[1]))

runtime.of_run = Running
shutdown.GRACE = float(sys.argv[2])
with shutdown.on_signal(signal.SIGINT), shutdown.on_signal(signal.SIGTERM):
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(("closing", "grace", "again"), [(1, 2, 0), (500, 0, 0.5)])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal(closing: float, grace: float, again: float, second: signal.Signals) -> None:
    # With a long grace the second one belongs to the first, and closing goes on to its end; without, it ends at once.
    argv = [sys.executable, "-c", ENDING, str(closing), str(grace)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "closing\n"
        time.sleep(again)
        child.send_signal(second)
        assert child.wait(timeout=600) == 128 + (signal.SIGINT if grace else second)
        assert child.stdout.read() == ""
