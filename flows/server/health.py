"""Whether a Prefect server answers: checked before a run, and waited for when a run ends."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx

from data.errors import InputError
from tasks.resources import disk
from tasks.resources.errors import StageFailed

TIME_LIMIT = 30.0
"""Seconds that a run waits at its end for a server that has stopped answering."""
SQLITE = "sqlite"
REFUSES = "it refuses"


def check() -> None:
    """Check that a run's server answers, or that the database of its ephemeral server is sound.

    Raises:
        InputError: PREFECT_API_URL names one that does not answer, or the database is damaged.
        StageFailed: there is no room for the database.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME

    address = PREFECT_API_URL.value()
    if not address:
        disk.check(PREFECT_HOME.value())
        _check_database()
        return
    why = problem(address)
    if why is not None:
        raise InputError(f"{_message(address, why)}, or unset PREFECT_API_URL: the run then has a server of its own")


def required_address(why: str) -> str:
    """The address of the server that PREFECT_API_URL names, and that answers.

    Args:
        why: what a server is needed for, in a clause.

    Raises:
        InputError: none is named.
        StageFailed: it does not answer, or not to us.
    """
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    if not address:
        raise InputError(
            f"PREFECT_API_URL is not set: {why}. Start one (prefect server start) and name it "
            "(export PREFECT_API_URL=http://127.0.0.1:4200/api)"
        )
    trouble = problem(address)
    if trouble is not None:
        raise StageFailed(_message(address, trouble))
    return address


def _check_database() -> None:
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    named = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    database = Path(named.partition(":///")[2].partition("?")[0])
    if not named.startswith(SQLITE) or not database.is_file():
        return
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # in use by another server just now
            return
        raise InputError(
            f"Prefect's database {database} is damaged ({error}); move it away and run again: it holds the history of "
            "runs, and nothing of what is finished"
        ) from None


def problem(address: str) -> str | None:
    """Why a server cannot be used with the certificate and key of Prefect's settings; None where it answers."""
    from prefect.client.orchestration import ServerType, SyncPrefectClient
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_KEY,
        PREFECT_API_SSL_CERT_FILE,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            SyncPrefectClient(
                address,
                auth_string=PREFECT_API_AUTH_STRING.value(),
                api_key=PREFECT_API_KEY.value(),
                httpx_settings={"timeout": httpx.Timeout(10, connect=2.5)},  # Prefect connects four times
            ) as client,
        ):
            error = client.api_healthcheck()
            if error is None and client.server_type == ServerType.SERVER:
                client.api_version()  # a health check needs no key, and pages of other servers answer it too
    except FileNotFoundError:
        return f"PREFECT_API_SSL_CERT_FILE={PREFECT_API_SSL_CERT_FILE.value()}: no such file"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as raised:
        error = raised
    return None if error is None else _reason(error)


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return f"{REFUSES}, status {status}: PREFECT_API_AUTH_STRING or PREFECT_API_KEY is missing or wrong"
        return f"status {status}"
    if isinstance(error, httpx.InvalidURL):  # its text may hold a part of the password
        return "it is no address"
    if isinstance(error, json.JSONDecodeError):
        return "what answers is no Prefect API, whose address ends with /api"
    return " ".join(str(error).split()) or type(error).__name__


def _message(address: str, why: str) -> str:
    what = why if why.startswith(REFUSES) else f"no server answers ({why})"
    remedy = "Correct that" if why.startswith(REFUSES) else "Start it (prefect server start)"
    return f"PREFECT_API_URL={without_password(address)}: {what}. {remedy}"


def without_password(address: str) -> str:
    """An address without user name and password."""
    scheme, separator, rest = address.rpartition("://") if "://" in address else ("", "", address)
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def wait_for_server() -> None:
    """Wait for the server of the present flow run to come back, if it does not answer, for a while.

    If it stays away, Prefect gives up at its first try to tell it how the run has ended. By itself it would go on for
    minutes.
    """
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.client is None:
        return
    until = time.monotonic() + TIME_LIMIT
    while problem(str(context.client.api_url)) is not None:
        if time.monotonic() > until:
            # Prefect's client retries only if it has connected before; httpx's own clients have no such attribute.
            setattr(context.client._client, "_has_connected", False)  # noqa: B010
            return
        time.sleep(1)
