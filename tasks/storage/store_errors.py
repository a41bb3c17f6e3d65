"""What a store's errors mean to the person who runs a study, whichever client raised them.

A store that does not answer is a `Transient` failure: stages are tried again. One that refuses (no access, no bucket, a
wrong URL, a missing package) is an `InputError`: only a person can correct that. No message repeats credentials.
"""

import errno
import re

from data.errors import InputError
from tasks.resources.errors import Transient
from tasks.storage.store_url import SETTING

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""A full disk is this machine's (or a shared folder's), not a store that does not answer."""
CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
"""Codes of a conditional write whose condition did not hold."""
DENIED = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})
NO_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"}
)


class WriteConflict(Exception):
    """Another process was first: the object is there already, or has changed since it was read."""


def for_person(url: str, error: Exception) -> Exception:
    """The error that is reported. Those that only a wrong call can give are left as they are."""
    code, kind = error_code(error), type(error).__name__
    if isinstance(error, PermissionError) or code in DENIED or kind in NO_CREDENTIALS:
        return InputError(f"{SETTING}={url}: access is denied ({one_line(error)})")
    if code == "NoSuchBucket":
        return InputError(f"{SETTING}={url}: there is no such bucket")
    if kind in ("ParamValidationError", "InvalidRegionError"):
        return InputError(f"{SETTING}={url}: {one_line(error)}")
    if isinstance(error, FileNotFoundError | FileExistsError) or code in CHANGED:
        return error
    if isinstance(error, OSError) and error.errno in FULL:
        return error
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] not in ("builtins", "fsspec", "s3fs"):
        return Transient(f"the store {url} does not answer as it should ({one_line(error)})")
    return error


def error_code(error: BaseException) -> str:
    """What an S3 server calls the error."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def one_line(error: BaseException) -> str:
    """An error's own words, short and without what a URL may hold of credentials: user information and query."""
    text = " ".join((str(error) or type(error).__name__).split())
    return re.sub(r"\?[^\s\"]*", "", re.sub(r"//[^/@\s\"]*@", "//***@", text))[:200]
