"""A method is one new file: nothing else is edited for it to be found, trained with and resumed."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.models.model import Model
from tasks.models.rendering import renderer
from tests.tasks.test_finetune import PROMPT, model, nll_by_hand, rows

__all__ = ["model"]  # a fixture
PROJECT = Path(__file__).resolve().parents[2]
FOCAL = '''
"""The focal loss (Lin et al. 2017, equation 4, gamma 2): tokens that are well known already count less."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from tasks.kinds.methods import Example, Loss, Method, Predicted
from tasks.models.rendering import Renderer
from tasks.storage.rows import Row


class Focal(Method):
    takes: ClassVar[Literal["responses", "pairs"]] = "responses"

    kind: Literal["focal"] = "focal"
    gamma: float = 2.0

    def examples(self, rows: Sequence[Row], renderer: Renderer, prompt: str) -> list[Example]:
        return [Example(row["id"], [renderer.row(prompt, row)]) for row in rows]

    def denominator(self, example: Example) -> float:
        return float(len(example.sequences[0].response_ids))

    def loss(self, predicted: Predicted) -> Loss:
        likelihood = (-predicted.nll).exp()
        return Loss(((1 - likelihood) ** self.gamma * predicted.nll).sum(), {"likelihood": likelihood.detach().sum()})
'''
STUDY = """
import json, pathlib, sys

from tasks.finetune import finetune
from tasks.kinds.methods import kinds_by_name
from tasks.models.model import resolve
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows

folder, model, rows, prompt = sys.argv[1:]
method = kinds_by_name()["focal"](batch=8, epochs=2, warmup=0.0, learning_rate=1e-3)
work = Work(pathlib.Path(folder), Runtime(Store(pathlib.Path(folder))), "finetune", {})
finetune.function(Rows.of(json.loads(rows)), resolve(model), prompt, method, 0, work=work)
print(json.dumps(work.facts))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project with one more file."""
    copy = tmp_path / "project"
    copy.mkdir()
    shutil.copytree(PROJECT / "tasks", copy / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "data").symlink_to(PROJECT / "data")
    (copy / "tasks" / "methods" / "focal.py").write_text(FOCAL.lstrip())
    return copy


def test_a_method_is_one_new_file(project: Path, model: Model, tmp_path: Path) -> None:
    """Trained by the fork server, as in a study; the first loss is the focal loss of the base model, by hand."""
    given = rows(8)
    folder = tmp_path / "adapter"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STUDY, str(folder), model.path, json.dumps(given), PROMPT],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    each = [value for row in nll_by_hand(model, renderer(model).rows(PROMPT, given)) for value in row]
    expected = sum((1 - math.exp(-value)) ** 2 * value for value in each) / len(each)
    assert facts["loss_first"] == pytest.approx(expected, abs=1e-4)
    likelihood = sum(math.exp(-value) for value in each) / len(each)
    assert facts["watched"]["likelihood"][0] == pytest.approx(likelihood, abs=1e-4)
    assert facts["steps"] == 2
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
