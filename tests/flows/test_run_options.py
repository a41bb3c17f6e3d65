"""Options of a run: what a command says comes first, then the environment; nothing is left for the next run."""

import os

import pytest

from data.errors import InputError
from flows.execution.options import RunOptions


def test_the_environment_says_what_a_command_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTHERTONGUE_RUNNER", raising=False)
    monkeypatch.delenv("MOTHERTONGUE_TRACK", raising=False)
    assert RunOptions.of(strict=True) == RunOptions(strict=True, runner="threads", tracker="")
    monkeypatch.setenv("MOTHERTONGUE_RUNNER", "ray")
    monkeypatch.setenv("MOTHERTONGUE_TRACK", " mlflow ")
    assert RunOptions.of(strict=False) == RunOptions(strict=False, runner="ray", tracker="mlflow")
    before = dict(os.environ)
    assert RunOptions.of(False, runner="threads", tracker="other") == RunOptions(False, "threads", "other")
    assert dict(os.environ) == before


def test_an_unknown_runner_names_the_variable_that_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERTONGUE_RUNNER", "threds")
    with pytest.raises(InputError, match=r"^MOTHERTONGUE_RUNNER=threds: no runner .*did you mean threads"):
        RunOptions.of(strict=False)
    assert RunOptions.of(strict=False, runner="threads").runner == "threads"
