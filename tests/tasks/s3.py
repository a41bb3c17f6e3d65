"""A real S3 server (moto's) on a free port of this machine, and a connection to it that can be slow or broken."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

from tasks.storage.object_store import ObjectStore
from tests.waiting import PATIENCE, until

BUCKET = "studies"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "minio-user", "AWS_SECRET_ACCESS_KEY": "minio-secret-7c1d"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The server as a process of its own. Its objects are gone when it ends."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._listens, "the S3 server did not start")
        self.files().mkdir(BUCKET)

    def _listens(self) -> bool:
        assert self.process.poll() is None
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), PATIENCE):
            return True
        return False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def suspend(self) -> None:
        """It takes connections and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What a user of a server of their own sets."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}"}

    def files(self):  # type: ignore[no-untyped-def]
        """A client of its own, to look at objects and to damage them."""
        import s3fs

        return s3fs.S3FileSystem(
            key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=f"http://127.0.0.1:{self.port}",
            use_listings_cache=False,
            skip_instance_cache=True,
        )


class Line:
    """A line to a server: every chunk takes `delay` seconds; `cut` ends all connections and takes no new one."""

    def __init__(self, server: int) -> None:
        self.delay = 0.0
        self.uploaded = 0
        """Bytes that went to the server."""
        self.impatient: list[ObjectStore] = []
        """Stores that wait only a short time for an answer while the line is cut; else as long as it takes."""
        self._limits: list[float] = []
        self._server = server
        self._open = True
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        if self._open:
            self._limits = [store.limit for store in self.impatient]
        self._open = False
        for store in self.impatient:
            store.limit = 2.0
        for end in self._ends:
            _shut(end)

    def mend(self) -> None:
        self._open = True
        for store, limit in zip(self.impatient, self._limits, strict=True):
            store.limit = limit

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                _shut(near)
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                _shut(near)
                continue
            self._ends += [near, far]
            threading.Thread(target=self._pass_on, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                time.sleep(self.delay)
                self.uploaded += len(chunk) * up
                target.sendall(chunk)
        _shut(source)
        _shut(target)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
