"""A damaged artifact, manifest, Prefect result and Prefect database."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disturbed import Disturbed
from tests.waiting import until

pytestmark = pytest.mark.slow


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_what_is_damaged_is_set_aside_and_made_again_and_nothing_else_is(study: Callable[..., Disturbed]) -> None:
    disturbed = study("compare", "report")
    generated = max(disturbed.store.glob("generate/*/rows.parquet"), key=lambda path: path.stat().st_size)
    references = next(disturbed.store.glob("references/*/manifest.json"))
    adapter = next(disturbed.store.glob("finetune/*/**/adapter_model.safetensors"))
    flip(generated)
    references.write_text(references.read_text(encoding="utf-8")[:100], encoding="utf-8")
    adapter.unlink()
    for name in ("storage/0123456789abcdef", "prefect-results"):
        result = disturbed.folder / "prefect" / name
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_bytes(b"\x80\x04no result at all")
    before = disturbed.finished

    disturbed.begin()
    until(lambda: list(disturbed.store.glob("generate/*/parts/*.parquet")), "nothing was made again")
    evaluated = next(disturbed.store.glob("evaluate/*/rows.parquet"))
    flip(evaluated)  # its own step has passed
    disturbed.ends(0)
    print(disturbed.said)

    again = {
        str(
            (path.parent if path.parent.parent.parent == disturbed.store else path.parent.parent).relative_to(
                disturbed.store
            )
        )
        for path in (generated, references, adapter, evaluated)
    }
    set_aside = {path.name.rsplit("-", 1)[0].replace("-", "/") for path in (disturbed.store / "damaged").iterdir()}
    assert set_aside == again
    for name in again:
        assert f"damaged artifact {disturbed.store / name}" in disturbed.said
        before.pop(f"{name}/manifest.json", None)
    disturbed.ended_well(before)


def test_a_damaged_prefect_database_is_one_line(study: Callable[..., Disturbed]) -> None:
    disturbed = study("report")
    before = disturbed.finished
    database = disturbed.folder / "prefect" / "prefect.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    database.write_bytes(b"rubbish " * 4096)
    disturbed.begin()
    disturbed.ends(2)
    (line,) = disturbed.said.splitlines()
    assert line.startswith(f"error: Prefect's database {database} is damaged"), line
    assert "move it away and run again" in line
    disturbed.nothing_is_left()
    database.rename(database.with_suffix(".damaged"))
    disturbed.go_on()
    disturbed.ended_well(before)
