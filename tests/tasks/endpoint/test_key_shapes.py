"""Pasted secrets are refused wherever they stand in a study file, and innocent texts are not."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from flows.config import study_file

ROWS = [json.loads(line) for line in Path(__file__).with_name("key_shapes.jsonl").read_text().splitlines()]
"""What it is, its text in parts (so that no scanner takes this repository's for a real one), whether it is a secret."""


def text(row: dict[str, Any]) -> str:
    return "".join(row["parts"])


def study(**changes: Any) -> dict[str, Any]:
    return {**study_file.read("abacus"), **changes}


@pytest.mark.parametrize("row", [row for row in ROWS if row["secret"]], ids=lambda row: str(row["what"]))
def test_a_secret_is_refused_and_not_shown(row: dict[str, Any]) -> None:
    secret = text(row)
    places: dict[str, dict[str, Any]] = {
        "notes": {"notes": f"See ({secret}), said she."},
        "about": {"about": secret},
        "contrasts.0.claim": {"contrasts": [{"claim": f'"{secret}"', "better": "self", "than": "human"}]},
        "benchmarks.0": {"benchmarks": [secret.partition("\n")[0]]},
        "a name in endpoints": {"endpoints": {secret.partition("\n")[0]: {}}},
        "a name in the file": {secret.partition("\n")[0]: 1},
    }
    for place, changes in places.items():
        with pytest.raises(InputError) as refused:
            study_file.raw(study(**changes))
        said = str(refused.value)
        assert said.startswith(f"{place}: this looks like a key"), said
        assert "\n" not in said
        assert row["parts"][-1] not in said


@pytest.mark.parametrize("row", [row for row in ROWS if not row["secret"]], ids=lambda row: str(row["what"]))
def test_an_innocent_text_is_taken(row: dict[str, Any]) -> None:
    assert study_file.raw(study(notes=text(row))).notes == text(row)
    assert study_file.raw(study(notes=f"({text(row)}).")).notes == f"({text(row)})."
