"""The value of a variable that a study names is in nothing that the study leaves or says, also where a step fails."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from tasks.models.model import BUNDLED
from tests.deployments.every_kind import OWN, TICKETS, TRAIN, write_files
from tests.flows.prefect_server import prefect_server

VALUE = "planted-value"
STUDY: dict[str, Any] = {
    **TICKETS,
    "name": "variables",
    "about": "Is ${PLACE} in it?",
    "notes": "${PLACE} and ${HOME} stay.",
    "student": "${STUDENT}",
    "benchmarks": {"tickets": {**OWN, "train": "${PLACE}/train.jsonl", "test": "${PLACE}/test.jsonl"}},
    "origins": {
        "human": {},
        "old": {"kind": "imported", "path": "${PLACE}/old.jsonl"},
        "broken": {"kind": "imported", "path": "${PLACE}/broken.jsonl"},
    },
}


@pytest.mark.slow
def test_nothing_holds_the_value_of_a_variable(tmp_path: Path) -> None:
    place = tmp_path / VALUE
    place.mkdir()
    write_files(place)
    answers = [{"question": row["q"], "response": row["said"], "model": "m"} for row in TRAIN]
    (place / "old.jsonl").write_text("\n".join(map(json.dumps, answers)))
    (place / "broken.jsonl").write_text(json.dumps(answers[0]) + "\n{")
    shutil.copytree(BUNDLED / "abacus-student", place / "the-student")
    here = tmp_path / "here"
    here.mkdir()
    (here / "variables.yaml").write_text(yaml.safe_dump(STUDY))
    said: list[str] = []
    with prefect_server(tmp_path / "server") as environment:
        environment |= {
            "PYTHONPATH": ":".join(sys.path),
            "MOTHERTONGUE_STORE": str(tmp_path / "store"),
            "MOTHERTONGUE_ALLOW_ENV": "PLACE,STUDENT",
            "MOTHERTONGUE_ALLOW_PATHS": str(place),
            "PLACE": str(place),
            "STUDENT": str(place / "the-student"),
        }

        def mothertongue(*arguments: str) -> int:
            command = [sys.executable, "-m", "flows.main", *arguments]
            ended = subprocess.run(
                command, cwd=here, env=environment, capture_output=True, text=True, check=False, timeout=900
            )
            said.extend([ended.stdout, ended.stderr])
            return ended.returncode

        assert mothertongue("plan", "variables.yaml") == 0, said
        assert mothertongue("run", "variables.yaml") == 1, said
        assert "broken/tickets: ${PLACE}/broken.jsonl, row 2" in said[-1], said[-1][-1500:]
        assert mothertongue("report", "variables.yaml", "--json") in (0, 2)
        assert mothertongue("history", "variables") == 0
        assert mothertongue("deploy", "variables.yaml") == 0
    found: dict[str, bytes] = {"what was said": "".join(said).encode()}
    for path in (path for path in tmp_path.rglob("*") if path.is_file() and place not in path.parents):
        found[str(path)] = path.read_bytes()
        if path.suffix == ".parquet":
            found[f"{path} read"] = str(pq.read_table(path).to_pydict()).encode()
    assert {"prefect.db", "report.html", "manifest.json"} <= {Path(name).name for name in found}
    allowed = {"ALLOW_PATHS": str(place).encode()}  # what `deploy` hands to the worker, by name
    for name, text in found.items():
        if name.endswith("prefect.db") or "prefect.db-" in name:
            text = text.replace(b'"MOTHERTONGUE_ALLOW_PATHS": "' + allowed["ALLOW_PATHS"], b"")
        assert VALUE.encode() not in text, (name, text[max(0, text.find(VALUE.encode()) - 300) :][:600])
