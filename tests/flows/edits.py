"""Edits of a study and of the project's code, and what a run does again after each: a copy of both, edited and run."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tasks
from tests.flows.test_study import environment

PROJECT = Path(tasks.__file__).parents[1]
ROOMS = ("data", "tasks", "flows", "deployments")
STUDY = """
name: edited
student: abacus-student
train: [abacus/boxes]
evaluate: [abacus/boxes, abacus/clock]
questions: {train: 60, evaluate: 20}
origins:
  human: {}
  teacher: {model: abacus-teacher, samples: 2, temperature: 0.7, max_tokens: 160}
  self: {samples: 4, temperature: 0.7, max_tokens: 160}
match: {questions: true, correct: only}
method: {kind: sft, epochs: 1, learning_rate: 0.001}
seeds: [0, 1]
decoding: {temperature: 0, max_tokens: 160}
"""
"""Of the abacus study, what a run makes in half a minute."""


@dataclass
class Place:
    """A copy of the project with a store and a study of its own."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def replace(self, file: str, old: str, new: str) -> None:
        """Edit one of the copy's files."""
        path = self.source / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def study(self, old: str, new: str) -> None:
        """Edit the study."""
        path = self.folder / "edited.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "flows.main", *arguments],
            cwd=self.folder,
            env=environment(self.folder) | {"PYTHONPATH": str(self.source)},
            capture_output=True,
            text=True,
            check=False,
        )

    def plan(self) -> Counter[str]:
        """How many steps of each stage run, and of each that wait: `finetune`, `finetune?`."""
        said = json.loads(self.command("plan", "edited.yaml", "--json").stdout)
        marks = {"miss": "", "waits": "?"}
        return Counter(one["stage"] + marks[one["state"]] for one in said["stages"] if one["state"] in marks)

    def run(self) -> tuple[Counter[str], Counter[str]]:
        """Run the study; returns how many artifacts of each stage were made, and rows taken over, by stage."""
        before = set(self.store.glob("*/*/manifest.json"))
        ended = self.command("run", "edited.yaml")
        assert ended.returncode == 0, ended.stderr[-3000:]
        made, taken = Counter[str](), Counter[str]()
        for path in set(self.store.glob("*/*/manifest.json")) - before:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            made[manifest["stage"]] += 1
            taken[manifest["stage"]] += sum(manifest.get("taken", {}).values())
        return made, +taken

    def copied(self, folder: Path) -> "Place":
        """The same in another folder, to edit and run."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("runs", "prefect", "slots", "__pycache__"))
        return Place(folder)


def beginning(folder: Path) -> Place:
    """The study as it is before any edit, run once."""
    place = Place(folder)
    place.source.mkdir(parents=True)
    for name in ROOMS:
        shutil.copytree(PROJECT / name, place.source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "edited.yaml").write_text(STUDY, encoding="utf-8")
    place.run()
    return place
