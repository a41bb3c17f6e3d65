"""Keys and addresses of endpoints: read from the environment, refused in study files, masked in every text."""

import base64
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from data.errors import InputError
from tasks.endpoint.key_shapes import LOOKS_SECRET
from tasks.models.endpoint import Endpoint
from tasks.resources.errors import Transient

DECIDES_NO_RESULT = True

BLOCK = "prefect-block:"
"""What the name of a Prefect `Secret` block follows, where an option names one in place of an environment variable."""
OPENAI = "https://api.openai.com/v1"
MASK = "***"
SHORTEST = 6
"""Characters of the shortest secret worth masking; shorter ones (`none`, `x`) stand in innocent words."""
PLACEHOLDERS = frozenset({"", "EMPTY", "NONE", "DUMMY", "TOKEN-ABC123"})
IN_ADDRESS = re.compile(r"(?<=://)[^/\s@\"']+@")
A_KEY = re.compile(r"(^|_)(api_?key|key|token|secret|password|authorization|base_?url|url)$", re.IGNORECASE)

SURELY_A_KEY = re.compile(r"(^|_)(api_?key|password|authorization)$", re.IGNORECASE)


@dataclass(frozen=True)
class Access:
    """How to reach an endpoint. Its `repr` tells nothing."""

    url: str
    """Of chat completions; without user and password."""
    headers: dict[str, str]
    secrets: tuple[str, ...]
    local: bool
    """Whether the server is on this machine: no proxy is asked then."""

    def __repr__(self) -> str:
        return f"Access({MASK})"

    def masked(self, text: str) -> str:
        """A message without the key, in whatever way it is spelt, without what looks like one, or an address's."""
        return masked(text, self.secrets)

    def without_secrets(self, text: str) -> str:
        """A response without the key, should a server echo it; not another letter is changed."""
        return _without(text, self.secrets)


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret, and whatever looks like one, replaced by `***`."""
    return IN_ADDRESS.sub(f"{MASK}@", LOOKS_SECRET.sub(MASK, _without(text, secrets)))


def access(endpoint: Endpoint) -> Access:
    """Read an endpoint's address and key from the environment.

    Raises:
        InputError: a variable is missing or holds no address or key; names it, never its value.
    """
    settings = endpoint.settings
    address, key = _value(settings.base_url_env), _value(settings.key_env)
    if not address and settings.base_url_env != "OPENAI_BASE_URL":
        raise InputError(f"{endpoint.name} needs {called(settings.base_url_env)}, which is not set")
    if not address and not key:
        raise InputError(
            f"{endpoint.name} needs {called(settings.key_env)} (a key for api.openai.com), or "
            f"{settings.base_url_env} (the address of another server, up to /v1); neither is set"
        )
    try:
        parts = urlsplit(address or OPENAI)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise InputError(
            f"{endpoint.name}: {called(settings.base_url_env)} holds no address. Allowed: "
            "http(s)://host[:port]/v1, without query"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(f"{endpoint.name}: {called(settings.key_env)} holds no key: it has characters that no key has")
    headers = {"accept": "application/json", "content-type": "application/json"}
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode() if user or password else ""
    if pair:  # a proxy that asks for them takes the header that the key would have
        headers["authorization"] = f"Basic {pair}"
    elif key:
        headers["authorization"] = f"Bearer {key}"
    where = f"[{host}]" if ":" in host else host
    url = f"{parts.scheme}://{where}{f':{port}' if port else ''}{parts.path.rstrip('/')}/chat/completions"
    local = host in ("localhost", "::1") or host.startswith("127.")
    return Access(url, headers, _spellings(key, password, pair, parts.password or ""), local)


def _value(name: str) -> str:
    """What an environment variable or a Prefect block holds; "" where the variable is not set.

    Raises:
        InputError: there is no such block, or it holds no text; names it, never its value.
        Transient: the Prefect server does not answer.
    """
    if not name.startswith(BLOCK):
        return os.environ.get(name, "").strip()
    import httpx
    from prefect.blocks.system import Secret
    from prefect.exceptions import PrefectHTTPStatusError

    block = name.removeprefix(BLOCK)
    try:
        held: Any = Secret.load(block, _sync=True)  # type: ignore[call-arg]
        value = held.get()
    except (httpx.TransportError, PrefectHTTPStatusError) as error:
        raise Transient(f"{name}: the Prefect server does not hand it out ({type(error).__name__})") from None
    except ValueError:  # what pydantic says of a value holds the value
        raise InputError(
            f"{name}: the Prefect server has no Secret block of this name. Allowed: one made on its page Blocks, or by "
            f'Secret(value=...).save("{block}")'
        ) from None
    if not isinstance(value, str):
        raise InputError(f"{name}: this block holds no text. Allowed: a Secret block with a text")
    return value.strip()


def called(name: str) -> str:
    """Where a key or an address stands, in words."""
    return f"the Secret block {name}" if name.startswith(BLOCK) else f"the environment variable {name}"


def _spellings(*secrets: str) -> tuple[str, ...]:
    """Each secret as it may stand in a text: plain, percent-encoded, inside JSON; the longest first."""
    real = [text for text in secrets if len(text) >= SHORTEST and text.upper() not in PLACEHOLDERS]
    found = {spelt for text in real for spelt in (text, quote(text, safe=""), json.dumps(text)[1:-1])}
    return tuple(sorted(found, key=len, reverse=True))


def refuse(given: Any) -> None:
    """Stop at a key in a study file: one that looks like it, or one that the environment holds.

    Raises:
        InputError: names the place, never the value.
    """
    endpoints = given.get("endpoints") if isinstance(given, dict) else None
    options = (
        {id: each for id, each in endpoints.items() if isinstance(each, dict)} if isinstance(endpoints, dict) else {}
    )
    named = {"OPENAI_API_KEY", *(str(each["key_env"]) for each in options.values() if each.get("key_env"))}
    known = _spellings(*(os.environ.get(name, "").strip() for name in named))
    for id, each in options.items():
        extra = each.get("extra")
        for name in [*each, *(extra if isinstance(extra, dict) else ())]:
            if (A_KEY if name in each else SURELY_A_KEY).search(str(name)):
                raise InputError(
                    f"{masked(f'endpoints.{id}.{name}', known)}: keys and addresses do not belong into a study file. "
                    "Put them into environment variables and name those: key_env, base_url_env"
                )
    _refuse(given, "", known)


def _refuse(given: Any, where: str, known: tuple[str, ...]) -> None:
    if isinstance(given, dict):
        for name, value in given.items():
            _refuse(str(name), f"a name in {where or 'the file'}", known)
            _refuse(value, f"{where}.{name}".lstrip("."), known)
    elif isinstance(given, list):
        for index, value in enumerate(given):
            _refuse(value, f"{where}.{index}", known)
    elif isinstance(given, str) and masked(given, known) != given:
        raise InputError(
            f"{where}: this looks like a key, or an address with one, which does not belong into a study file. Put it "
            "into an environment variable and name that: endpoints.<model id>.key_env"
        )
