"""Two real studies at once on one machine and one store: both end, they take turns, and no artifact is made twice."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.left_behind import nothing_is_left
from tests.flows.test_study import environment

COMMON = [
    *("--set", "train=[abacus/boxes]"),
    *("--set", "evaluate=[abacus/boxes, abacus/ledger]"),
    *("--set", "match.correct=any"),
    *("--set", "questions={train: 200, evaluate: 60}"),
    *("--set", "method.epochs=1"),
]
SELF = "self: {samples: 4, temperature: 0.7, max_tokens: 120}"
STUDIES = {
    "one": ["--set", f"origins={{human: {{}}, {SELF}}}", "--set", "seeds=[0, 1]"],
    "two": ["--set", f"origins={{{SELF}, teacher: {{model: abacus-teacher, max_tokens: 120}}}}", "--set", "seeds=[0]"],
}


@pytest.mark.slow
def test_two_studies_share_a_machine_and_a_store(tmp_path: Path) -> None:
    running = {}
    for name, options in STUDIES.items():
        own = {
            **environment(tmp_path),
            "PREFECT_HOME": str(tmp_path / f"prefect-{name}"),
            "MOTHERTONGUE_TURN": "1",
        }
        (tmp_path / name).mkdir()
        running[name] = subprocess.Popen(
            [sys.executable, "-m", "flows.main", "run", "abacus", *COMMON, *options, "--set", f"name={name}"],
            cwd=tmp_path / name,
            env=own,
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / f"{name}.err").open("w"),
        )
    turns = 0
    deadline = time.monotonic() + 900
    while any(process.poll() is None for process in running.values()):
        assert time.monotonic() < deadline
        turns += any(Path(tmp_path, "slots").glob("*/waiting/*"))
        time.sleep(0.05)
    for name, process in running.items():
        assert process.returncode == 0, (tmp_path / f"{name}.err").read_text()
    assert turns, "neither has ever waited for the other"
    manifests = list((tmp_path / "store").glob("*/*/manifest.json"))
    made = (tmp_path / "store" / "timings.jsonl").read_text().splitlines()
    assert len(made) == len(manifests), "an artifact was made twice"
    for name in STUDIES:
        manifest = json.loads((tmp_path / name / "runs" / name / "manifest.json").read_text())
        assert manifest["failed"] == {}
    nothing_is_left(tmp_path)
