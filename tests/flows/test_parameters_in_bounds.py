"""A deployment's parameters can be written by whoever reaches the server: they open no folder on the worker."""

from pathlib import Path
from typing import Any

import pytest

from data import allowed_paths
from data.errors import InputError
from flows.study import _of_parameters
from tests.data.test_allowed_paths import ROWS, own

GIVEN: dict[str, Any] = {
    "name": "s",
    "student": "abacus-student",
    "train": ["b"],
    "evaluate": ["b"],
    "questions": {"train": 5, "evaluate": 5},
    "origins": {"self": {}},
    "match": {"minimum": 1},
    **own(),
}


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import json

    (tmp_path / "here").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "in.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv(allowed_paths.ALLOW, raising=False)
    return tmp_path / "outside"


@pytest.mark.parametrize("folder", ["{outside}", "/", "../outside"])
def test_the_folder_is_one_that_the_worker_may_read(outside: Path, folder: str) -> None:
    with pytest.raises(InputError, match=r"^folder: .*MOTHERTONGUE_ALLOW_PATHS"):
        _of_parameters(GIVEN, folder.format(outside=outside))


def test_the_workers_environment_opens_it(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(allowed_paths.ALLOW, str(outside))
    assert _of_parameters(GIVEN, str(outside)).models
    monkeypatch.delenv(allowed_paths.ALLOW)
    monkeypatch.chdir(outside)
    assert _of_parameters(GIVEN, "").models


def test_a_secret_of_the_workers_environment_is_not_read(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(outside)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-in-the-environment")
    with pytest.raises(
        InputError, match=r"^study\.notes: this looks like a key \(\$\{AWS_SECRET_ACCESS_KEY\}\)"
    ) as said:
        _of_parameters({**GIVEN, "notes": "${AWS_SECRET_ACCESS_KEY}"}, "")
    assert "planted" not in str(said.value)
