"""Objects under one fsspec URL: every call has a time limit, every error is one line (tasks/storage/store_errors.py).

Credentials come from the environment or the client's own files, never from the URL.
"""

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from data.errors import InputError
from tasks.resources.errors import Transient
from tasks.storage.store_errors import CHANGED, WriteConflict, error_code, for_person, one_line
from tasks.storage.store_files import ObjectInfo
from tasks.storage.store_url import SETTING, protocol

SLOWEST = 256 * 1024
"""Bytes a second below which a transfer counts as no answer."""
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
"""Where a write is seen whole or not at all. Elsewhere an object is written under another name and moved."""


class ObjectStore:
    """The objects under a URL; their names are paths relative to it. Use it from any thread.

    Args:
        url: such as s3://bucket/prefix.
        limit: seconds that the store has for one answer; a transfer has one second more for each `SLOWEST` bytes.

    Raises:
        InputError: no store can be at that URL.
    """

    def __init__(self, url: str, limit: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self.limit = limit
        self.protocol = protocol(self.url)
        self._files = self._connected()
        self._root = str(self._files._strip_protocol(self.url)).rstrip("/")
        self._draft = not OBJECT_STORES & {self.protocol}

    def _connected(self) -> Any:
        import fsspec

        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if self.protocol in ("s3", "s3a"):
            waits = {"connect_timeout": min(self.limit, 10.0), "read_timeout": self.limit}
            options["config_kwargs"] = {**waits, "max_pool_connections": 64}
        try:
            return fsspec.filesystem(self.protocol, **options)
        except ImportError as error:
            what = "; it comes with: pip install 'mothertongue[s3]'" if self.protocol in ("s3", "s3a") else ""
            raise InputError(f"{SETTING}={self.url}: a package is missing ({one_line(error)}){what}") from None
        except Exception as error:  # whatever a client makes of its settings
            raise InputError(f"{SETTING}={self.url}: {one_line(error)}") from None

    def path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def read(self, name: str) -> bytes | None:
        """An object's content; None where there is none."""
        # Without it s3fs asks for the size first.
        whole = {"max_concurrency": 1} if self.protocol in ("s3", "s3a") else {}
        try:
            return bytes(self._ask("cat_file", self.path(name), **whole))
        except FileNotFoundError:
            return None

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of those objects that are there, asked for side by side."""
        paths = {self.path(name): name for name in names}
        if not paths:
            return {}
        contents = self._ask("cat", list(paths), on_error="omit", size=SLOWEST * len(paths) // 4)
        return {paths[path]: bytes(content) for path, content in contents.items()}

    def version(self, name: str) -> str | None:
        """The version that `write` takes as `seen`; None where there is no object, empty where the store has none."""
        try:
            return str(self._ask("info", self.path(name)).get("ETag") or "")
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, seen: str = "") -> str:
        """Write a whole object; returns its version.

        Args:
            seen: the version that it may replace, where the store tells versions apart.

        Raises:
            WriteConflict: there is another version by now.
        """
        if self._draft:
            self._write_and_rename(name, lambda draft: self._ask("pipe_file", draft, content))
            return ""
        only = {"IfMatch": seen} if seen and self.protocol in ("s3", "s3a") else {}
        try:
            return _etag(self._ask("pipe_file", self.path(name), content, size=len(content), **only))
        except FileNotFoundError as error:
            if only:
                raise WriteConflict(name) from None
            raise InputError(f"{SETTING}={self.url}: nothing can be written there ({one_line(error)})") from None
        except OSError as error:
            if only and error_code(error) in CHANGED:
                raise WriteConflict(name) from None
            raise

    def create(self, name: str, content: bytes) -> str:
        """Write a new object; returns its version.

        Raises:
            WriteConflict: there is one already.
        """
        try:
            if self._files.async_impl:
                return _etag(self._ask("pipe_file", self.path(name), content, mode="create"))
            self._ask(self._create_file, self.path(name), content)
        except FileExistsError:
            raise WriteConflict(name) from None
        except OSError as error:
            if error_code(error) in CHANGED:
                raise WriteConflict(name) from None
            raise
        return ""

    def _create_file(self, path: str, content: bytes) -> None:
        self._files.makedirs(self._files._parent(path), exist_ok=True)
        with self._files.open(path, "xb") as file:
            file.write(content)

    def upload(self, source: Path, name: str) -> None:
        size = source.stat().st_size
        if self._draft:
            self._write_and_rename(name, lambda draft: self._ask("put_file", str(source), draft, size=size))
        else:
            self._ask("put_file", str(source), self.path(name), size=size)

    def download(self, name: str, target: Path, size: int) -> bool:
        """Fetch an object of about `size` bytes; False where there is none."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._ask("get_file", self.path(name), str(target), size=size)
        except FileNotFoundError:
            return False
        return True

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder; links are none."""
        try:
            listing = self._ask("ls", self.path(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            str(info["name"]).rstrip("/").rpartition("/")[2]
            for info in listing
            if info["type"] == "directory" and not info.get("islink")
        )

    def list(self, folder: str) -> dict[str, ObjectInfo]:
        """Every object under a folder, by its name relative to it."""
        below = self.path(folder)
        try:
            listing = self._ask("find", below, detail=True)
        except FileNotFoundError:
            return {}
        return {
            path.removeprefix(below).lstrip("/"): ObjectInfo(
                int(info.get("size") or 0),
                str(info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("updated") or ""),
                _modified(info),
            )
            for path, info in listing.items()
        }

    def move(self, name: str, target: str) -> None:
        """Move an object; one that another process has moved already is no error."""
        with suppress(FileNotFoundError):
            if self._draft:
                self._ask("makedirs", self._files._parent(self.path(target)), exist_ok=True)
            self._ask("cp_file", self.path(name), self.path(target))
            self._ask("rm_file", self.path(name))

    def remove(self, *names: str) -> None:
        """Remove objects; one that is not there is no error."""
        for name in names:
            with suppress(FileNotFoundError):
                self._ask("rm_file", self.path(name))

    def remove_folder(self, folder: str) -> None:
        """Remove every object under a folder."""
        with suppress(FileNotFoundError):
            self._ask("rm", self.path(folder), recursive=True)

    def check(self) -> None:
        """Write, read and remove an object.

        Raises:
            InputError: this store cannot be used.
            Transient: it does not answer.
        """
        probe = f"check-{uuid.uuid4().hex}"
        self.write(probe, b"ok")
        if self.read(probe) != b"ok":
            raise InputError(f"{SETTING}={self.url}: what was written there cannot be read")
        self.remove(probe)

    def _write_and_rename(self, name: str, write: Callable[[str], Any]) -> None:
        path = self.path(name)
        folder, _, last = path.rpartition("/")
        draft = f"{folder}/.{last}.{uuid.uuid4().hex[:8]}"
        self._ask("makedirs", folder, exist_ok=True)
        write(draft)
        self._ask("mv", draft, path)

    def _ask(self, method: str | Callable[..., Any], *arguments: Any, size: int = 0, **options: Any) -> Any:
        """Call the file system and wait no longer than is allowed.

        Raises:
            FileNotFoundError, FileExistsError: as the file system says.
            InputError: access is denied, or there is no such bucket.
            Transient: no answer in time, or the connection broke.
        """
        allowed = self.limit + size / SLOWEST
        future: Future[Any]
        if self._files.async_impl and isinstance(method, str):
            call = getattr(self._files, f"_{method}")(*arguments, **options)
            future = asyncio.run_coroutine_threadsafe(call, self._files.loop)
        else:
            function = getattr(self._files, method) if isinstance(method, str) else method
            future = _in_thread(function, *arguments, **options)
        try:
            return future.result(timeout=allowed)
        except WaitedTooLong:
            future.cancel()
            raise Transient(f"the store {self.url} did not answer within {allowed:.0f} s") from None
        except Exception as error:
            reported = for_person(self.url, error)
            if reported is error:
                raise
            raise reported from None


def _in_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> "Future[Any]":
    """Run a call that cannot be cancelled in a thread that nobody has to wait for."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments, **options))
        except BaseException as error:
            with suppress(Exception):  # nobody waits any more
                future.set_exception(error)

    threading.Thread(target=run, name="store", daemon=True).start()
    return future


def _modified(info: Mapping[str, Any]) -> float | None:
    """When an object was written, as far as its store says, in seconds since 1970."""
    for name in ("LastModified", "mtime", "last_modified", "updated"):
        value = info.get(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None


def _etag(reply: Any) -> str:
    return str(reply.get("ETag") or "") if isinstance(reply, dict) else ""
