"""The bench of a million questions goes through the chain of today, with few of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("where", [[], ["--ray"]])
def test_a_few_questions_go_through_all_steps(tmp_path: Path, where: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.scale", "--questions", "2000", "4000", "--keep", str(tmp_path), *where],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MOTHERTONGUE_SHARD_ROWS": "3000"},
    )
    assert ended.returncode == 0, ended.stderr
    for step in ("questions scale train", "generate self/scale", "score self/scale", "select scale"):
        assert step in ended.stdout
    assert "peak memory at 4,000 questions:" in ended.stdout
