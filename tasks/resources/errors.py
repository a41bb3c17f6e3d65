"""Failures a stage may report; anything else is a bug and keeps its traceback."""


class StageFailed(RuntimeError):
    """A stage cannot give a result that could be believed; trying again would not help. Its text says why."""


class StagesDisagree(Exception):
    """A stage was handed rows that one before it must have left out, or did not use all it was handed: a bug."""


class Transient(RuntimeError):
    """A failure that may pass (lost engine, out of memory, HTTP 429/5xx): the stage is tried again with back-off."""
