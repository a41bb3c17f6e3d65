"""`make audit` fails when something is found, and when it cannot know."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployments import audit


@pytest.fixture
def advisories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pip-audit that says what stands in a file, as no test can choose what the real service knows today."""
    said = tmp_path / "said.json"
    (tmp_path / "pip_audit.py").write_text(
        f"import sys\ntext = open({str(said)!r}).read()\nprint(text)\n"
        "sys.exit('no network' if not text else 'vulns\": [{' in text)\n"
    )
    lock = tmp_path / "requirements-x.txt"
    lock.write_text("# comment\naiohttp==3.14.5\ntorch==2.13.0+cpu\nzipp==4.1.2 ; python_version > '3'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(audit, "LOCKS", (lock,))
    return said


def answer(*skipped: str, **vulnerable: str) -> str:
    def of(name: str) -> dict[str, Any]:
        if name in skipped:
            return {"name": name, "skip_reason": "not found"}
        ids = [{"id": vulnerable[name], "fix_versions": ["9.9"]}] if name in vulnerable else []
        return {"name": name, "version": "1", "vulns": ids}

    return json.dumps({"dependencies": [of(name) for name in ("aiohttp", "torch", "zipp")], "fixes": []})


def test_every_pin_of_the_locks_is_read() -> None:
    for lock in sorted(Path(audit.__file__).parent.glob("requirements-*.txt")):
        lines = [line for line in lock.read_text().splitlines() if line and not line.startswith(("#", " "))]
        assert len(audit.pins(lock)) == len(lines) > 200
        assert not any("+" in pin for pin in audit.pins(lock))


def test_nothing_known_is_well(advisories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    advisories.write_text(answer())
    assert audit.main() == 0
    assert capsys.readouterr().out == "requirements-x.txt: 3 of 3 packages audited, 0 known vulnerabilities\n"


def test_what_is_known_is_named_and_fails(advisories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    advisories.write_text(answer(torch="CVE-2026-1"))
    assert audit.main() == 1
    assert "torch 1: CVE-2026-1, fixed in 9.9" in capsys.readouterr().out


def test_a_package_that_is_not_looked_up_fails(advisories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    advisories.write_text(answer("torch"))
    assert audit.main() == 1
    assert "NOT audited, since the service of advisories does not know them: torch" in capsys.readouterr().out


@pytest.mark.parametrize("said", [answer("aiohttp", "torch", "zipp"), ""])
def test_without_advisories_one_line_says_so_and_it_fails(
    advisories: Path, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    advisories.write_text(said)
    assert audit.main() == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.startswith("requirements-x.txt: not audited: ")
