"""The verdict on one response, whatever its verifier does."""

from types import FunctionType

from tasks.kinds.verifiers import Verdict
from tasks.storage.rows import Row
from tasks.verification.missing_response import is_missing

VERDICT = ("verdict", "answer", "score")
"""Columns of a response that was judged."""


def judged(row: Row, verifier: FunctionType) -> Verdict:
    """The verdict on one row's `response`; whatever the verifier raises is an error, never a wrong answer."""
    if is_missing(row):
        return Verdict("missing", None, "there is no response")
    response = row["response"]
    if not isinstance(response, str):
        return Verdict("error", None, f"the response is {type(response).__name__}, not text")
    try:
        verdict = verifier(response, row)
    except Exception as error:
        return Verdict("error", None, f"{type(error).__name__}: {error}")
    assert isinstance(verdict, Verdict), f"{verifier.__module__} gave {verdict!r}, not a Verdict"
    return verdict
