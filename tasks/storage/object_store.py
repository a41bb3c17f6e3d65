"""Objects under one fsspec URL, asked with a time limit; what a store does wrong becomes one clear line.

A store that does not answer is a `Transient` failure: stages are tried again. One that refuses (no access, no bucket, a
wrong URL, a missing package) is an `InputError`: only a person can mend that. Credentials come from the environment or
the client's own files, never from the URL, and no message repeats them.
"""

import asyncio
import errno
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data.errors import InputError
from tasks.resources.errors import Transient

SETTING = "MOTHERTONGUE_STORE"
SLOWEST = 256 * 1024
"""Bytes a second below which a transfer counts as no answer."""
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
"""Where a write is seen whole or not at all. Elsewhere an object is written under another name and moved."""
NO_STORE = frozenset(
    {"memory", "http", "https", "data", "zip", "tar", "cached", "blockcache", "filecache", "simplecache"}
)
"""Protocols that keep nothing, or cannot be written."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""A disk that is full is this machine's (or a shared folder's), not a store that does not answer."""


class Taken(Exception):
    """Somebody else was first: the object is there already, or has changed since it was read."""


@dataclass(frozen=True)
class Entry:
    """One object of a listing: bytes, and a mark that changes when its content does."""

    size: int
    mark: str


class Remote:
    """The objects under a URL; their names are paths relative to it. Use it from any thread.

    Args:
        url: such as s3://bucket/prefix.
        limit: seconds that the store has for one answer; a transfer has as long again for each `SLOWEST` bytes.

    Raises:
        InputError: no store can be at that URL.
    """

    def __init__(self, url: str, limit: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self.limit = limit
        self.protocol = _protocol(self.url)
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
            raise InputError(f"{SETTING}={self.url}: a package is missing ({_one_line(error)}){what}") from None
        except Exception as error:  # whatever a client makes of its settings
            raise InputError(f"{SETTING}={self.url}: {_one_line(error)}") from None

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
        found = self._ask("cat", list(paths), on_error="omit", size=SLOWEST * len(paths) // 4)
        return {paths[path]: bytes(content) for path, content in found.items()}

    def version(self, name: str) -> str | None:
        """What `write` takes as `seen`; None where there is no object. Empty where the store has no versions."""
        try:
            return str(self._ask("info", self.path(name)).get("ETag") or "")
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, seen: str = "") -> str:
        """Put an object there whole; returns its version.

        Args:
            seen: the version that it may replace, where the store tells versions apart.

        Raises:
            Taken: it is another version by now.
        """
        if self._draft:
            self._in_place(name, lambda draft: self._ask("pipe_file", draft, content))
            return ""
        only = {"IfMatch": seen} if seen and self.protocol in ("s3", "s3a") else {}
        try:
            return _etag(self._ask("pipe_file", self.path(name), content, size=len(content), **only))
        except FileNotFoundError as error:
            if only:
                raise Taken(name) from None
            raise InputError(f"{SETTING}={self.url}: nothing can be put there ({_one_line(error)})") from None
        except OSError as error:
            if only and _code(error) in _CHANGED:
                raise Taken(name) from None
            raise

    def create(self, name: str, content: bytes) -> str:
        """Put a new object there; returns its version.

        Raises:
            Taken: there is one already.
        """
        try:
            if self._files.async_impl:
                return _etag(self._ask("pipe_file", self.path(name), content, mode="create"))
            self._ask(self._create_file, self.path(name), content)
        except FileExistsError:
            raise Taken(name) from None
        except OSError as error:
            if _code(error) in _CHANGED:
                raise Taken(name) from None
            raise
        return ""

    def _create_file(self, path: str, content: bytes) -> None:
        self._files.makedirs(self._files._parent(path), exist_ok=True)
        with self._files.open(path, "xb") as file:
            file.write(content)

    def upload(self, source: Path, name: str) -> None:
        size = source.stat().st_size
        if self._draft:
            self._in_place(name, lambda draft: self._ask("put_file", str(source), draft, size=size))
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

    def list(self, folder: str) -> dict[str, Entry]:
        """Every object under a folder, by its name relative to it."""
        below = self.path(folder)
        try:
            found = self._ask("find", below, detail=True)
        except FileNotFoundError:
            return {}
        return {
            path.removeprefix(below).lstrip("/"): Entry(
                int(info.get("size") or 0),
                str(info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("updated") or ""),
            )
            for path, info in found.items()
        }

    def move(self, name: str, target: str) -> None:
        """Nothing happens where somebody else has moved the object already."""
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

    def _in_place(self, name: str, write: Callable[[str], Any]) -> None:
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
            told = self._in_words(error)
            if told is error:
                raise
            raise told from None

    def _in_words(self, error: Exception) -> Exception:
        """What the person reads. Errors that only a wrong call can give are left as they are."""
        code, kind = _code(error), type(error).__name__
        if isinstance(error, PermissionError) or code in _DENIED or kind in _NO_CREDENTIALS:
            return InputError(f"{SETTING}={self.url}: access is denied ({_one_line(error)})")
        if code == "NoSuchBucket":
            return InputError(f"{SETTING}={self.url}: there is no such bucket")
        if kind in ("ParamValidationError", "InvalidRegionError"):
            return InputError(f"{SETTING}={self.url}: {_one_line(error)}")
        if isinstance(error, FileNotFoundError | FileExistsError) or code in _CHANGED:
            return error
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] not in ("builtins", "fsspec", "s3fs"):
            return Transient(f"the store {self.url} does not answer as it should ({_one_line(error)})")
        return error


_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_DENIED = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})
_NO_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"}
)


def is_url(text: str) -> bool:
    return "://" in text or "::" in text


def _protocol(url: str) -> str:
    """The protocol of a URL that a store can be at.

    Raises:
        InputError: it has none, or one that keeps nothing; or the URL holds credentials.
    """
    from fsspec.registry import known_implementations, registry

    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InputError(
            f"{SETTING}: its URL ({parts.scheme}://...) holds credentials; give them in the environment "
            "(such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), where nothing prints them"
        )
    if "::" in url or parts.scheme in NO_STORE or not (parts.netloc or (parts.scheme == "file" and parts.path)):
        raise InputError(f"{SETTING}={url}: allowed are a folder and URLs such as s3://bucket/prefix")
    if parts.scheme not in known_implementations and parts.scheme not in registry:
        raise InputError(
            f"{SETTING}={url}: no protocol is called {parts.scheme!r}; allowed are those of fsspec, such as s3"
        )
    return parts.scheme


def _in_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> "Future[Any]":
    """Run a call that cannot be given up in a thread that can be."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments, **options))
        except BaseException as error:
            with suppress(Exception):  # nobody waits any more
                future.set_exception(error)

    threading.Thread(target=run, name="store", daemon=True).start()
    return future


def _etag(said: Any) -> str:
    return str(said.get("ETag") or "") if isinstance(said, dict) else ""


def _code(error: BaseException) -> str:
    """What an S3 server calls the error."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def _one_line(error: BaseException) -> str:
    """An error's own words, short and without what a URL may hold of credentials: user information and query."""
    text = " ".join((str(error) or type(error).__name__).split())
    return re.sub(r"\?[^\s\"]*", "", re.sub(r"//[^/@\s\"]*@", "//***@", text))[:200]


def seconds(name: str, default: float) -> float:
    """A time from the environment.

    Raises:
        InputError: it is set to something that is no time.
    """
    text = os.environ.get(name)
    if not text:
        return default
    with suppress(ValueError):
        if (value := float(text)) > 0 and value < float("inf"):
            return value
    raise InputError(f"{name}={text}: allowed is a number of seconds above 0")
