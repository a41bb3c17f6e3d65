"""Finished runs whose truth is known: results folders and their history, made of simulated answers."""

import json
from pathlib import Path
from typing import Any

from flows.results import history
from flows.results.publishing import TABLES
from tests.tasks.simulated import CHANCES, simulate
from tests.tasks.test_compare import run as compared


def finish(runs: Path, named: str, number: int, items: int = 60, **changes: Any) -> Path:
    """A results folder as `results.publish` leaves it, and its entry in the study's history.

    Args:
        number: tells these results from others; the run finished in this minute.
        changes: `chances` by origin, `shape` of the simulated study, `contrasts`, and anything of the manifest.
    """
    folder = runs / named
    folder.mkdir(parents=True, exist_ok=True)
    chances = {**CHANCES, **changes.pop("chances", {})}
    study_values = {"name": named, "seeds": [0, 1, 2], "questions": {"evaluate": items}}
    shape = {"train": ("abacus/ledger",), "seeds": (0, 1, 2), "items": items, "chances": chances}
    compared(simulate(**{**shape, **changes.pop("shape", {})}), folder, contrasts=changes.pop("contrasts", ()))
    manifest = {
        "study": study_values,
        "students": {"abacus-student": "content"},
        "finished": f"2026-11-21T12:{number:02d}:00Z",
        "report": {"stage": "report", "key": f"{number:08d}" * 4},
        "compare": {"stage": "compare", "key": f"{number:032d}"},
        "stages": {},
        "code": {
            "evaluate": {"tasks/evaluate.py": "a", "tasks/models/rendering.py": "b"},
            "compare": {"tasks/compare.py": "c"},
        },
        "data": {"questions abacus/ledger test": "d"},
        "models": {"abacus-student": "content", "api:big": "e"},
        "failed": {},
        "versions": {"torch": "2.13.0", "vllm": "0.32.0"},
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "report.html").write_text("<html></html>")
    history.keep(folder, manifest, TABLES)
    return folder
