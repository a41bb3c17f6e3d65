"""A study of several arms that is killed while one of them writes for the next, and gone on with."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from tests.flows.test_study import environment
from tests.waiting import until

pytestmark = pytest.mark.slow

STUDY = {
    "name": "arms",
    "student": "abacus-student",
    "train": ["abacus/boxes"],
    "evaluate": ["abacus/boxes", "abacus/ledger"],
    "questions": {"train": 120, "evaluate": 60},
    "origins": {
        "teacher": {"model": "abacus-teacher", "samples": 2},
        "resampled": {"kind": "self", "by": "sft", "samples": 16, "keep": 2, "temperature": 1.0},
        "any_pairs": {"kind": "pairs", "of": "resampled", "keep": 2},
    },
    "arms": {
        "sft": {"on": "teacher"},
        "masked": {"on": "teacher", "method": {"kind": "sft", "mask_above": 2.5}},
        "rft": {"on": "resampled"},
        "dpo": {"on": "any_pairs", "method": "dpo", "after": "sft"},
    },
    "match": {"questions": False, "count": False, "minimum": 3},
    "sizes": [60, 120],
    "seeds": [0, 1],
    "contrasts": [{"claim": "Pairs teach more than right responses alone.", "better": "dpo", "than": "rft"}],
}


def begun(folder: Path) -> "subprocess.Popen[bytes]":
    folder.mkdir(exist_ok=True)
    (folder / "arms.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.main", "run", "arms.yaml"],
            cwd=folder,
            env={**environment(folder), "MOTHERTONGUE_STORE": str(folder / "store")},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )


def kept(folder: Path) -> dict[Path, int]:
    """Finished questions of each unfinished resampling: the stage whose responses are 16 a question."""
    found: dict[Path, set[str]] = {}
    for part in folder.glob("store/generate/*/parts/*.parquet"):
        if not (part.parents[1] / "manifest.json").exists():
            ids = pq.read_table(part, columns=["id"]).column("id").to_pylist()
            found.setdefault(part.parents[1], set()).update(ids)
    return {path: len(ids) for path, ids in found.items()}


def test_a_study_killed_while_a_trained_student_writes_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    peace, killed = tmp_path / "peace", tmp_path / "killed"
    undisturbed = begun(peace)
    assert undisturbed.wait(1800) == 0, (peace / "said").read_text()

    process = begun(killed)
    attested = killed / "store" / "attest"
    until(lambda: list(attested.glob("*/manifest.json")) and kept(killed), "no arm wrote", pause=0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = kept(killed)
    assert before, "the writing was over before it could be stopped"
    again = begun(killed)
    assert again.wait(1800) == 0, (killed / "said").read_text()
    for folder, questions in before.items():
        manifest = json.loads((folder / "manifest.json").read_text())
        assert questions > 0
        assert manifest["facts"]["prompts"] == manifest["rows"] // 16 - questions

    for name in ("summary.csv", "scaling.csv", "perplexity.csv"):
        one, other = (pd.read_csv(folder / "runs" / "arms" / name) for folder in (peace, killed))
        pd.testing.assert_frame_equal(one, other)
    items = [pd.read_parquet(folder / "runs" / "arms" / "items.parquet") for folder in (peace, killed)]
    pd.testing.assert_frame_equal(*items)
    assert set(items[0]["arm"].astype(str)) == {"base", "sft", "masked", "rft", "dpo"}
