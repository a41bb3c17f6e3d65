"""URLs that a store can be at: any protocol of fsspec that keeps what is written."""

from urllib.parse import urlsplit

from data.errors import InputError

SETTING = "MOTHERTONGUE_STORE"
"""The environment variable that names the store."""
NO_STORE = frozenset(
    {"memory", "http", "https", "data", "zip", "tar", "cached", "blockcache", "filecache", "simplecache"}
)
"""Protocols that keep nothing, or cannot be written."""


def protocol(url: str) -> str:
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
