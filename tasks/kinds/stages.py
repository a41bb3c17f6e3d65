"""The stages of the chain, one file each in `tasks`, and what they ask together of a benchmark's rows."""

import functools
import importlib
import pkgutil

import tasks
from data.row_contract import RowContract
from tasks.kinds import verifiers
from tasks.pipeline.stage import Stage


@functools.cache
def chain() -> tuple[Stage, ...]:
    """Every stage that has a file of its name in `tasks`, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(tasks.__path__) if not module.ispkg)
    found = (getattr(importlib.import_module(f"tasks.{name}"), name) for name in names)
    return tuple(stage for stage in found if isinstance(stage, Stage))


def contract(verifier: str) -> RowContract:
    """What is asked of the rows of a benchmark whose answers this verifier judges.

    Raises:
        InputError: there is no such verifier.
    """
    added = {column for stage in chain() for column in stage.adds}
    return RowContract(verifiers.column(verifier), tuple(sorted(added)))
