"""A training that was killed goes on from what was kept of it, and gives the same bytes."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.finetune import finetune
from tasks.methods.sft import Sft
from tasks.models.model import Model
from tasks.resources.errors import Transient
from tasks.storage.rows import Rows
from tasks.training import checkpoint, loop
from tests.tasks.test_finetune import (
    FORK_SERVER,
    PROMPT,
    children,
    digests,
    here,
    model,
    rows,
    trained,
    work_in,
)
from tests.waiting import PATIENCE, until

__all__ = ["model"]  # a fixture
METHOD = Sft(learning_rate=1e-2, batch=4, epochs=3, dropout=0.1)
STEPS = 15
"""5 an epoch."""


class Killed(Exception):
    pass


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is kept."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


@pytest.fixture
def train(model: Model) -> Callable[..., dict[str, Any]]:
    """Train in this process, up to a step."""

    def train(
        folder: Path, to: int = STEPS, method: Sft = METHOD, log: Callable[[str], None] = lambda text: None
    ) -> dict[str, Any]:
        def progress(done: int, total: int) -> None:
            assert total == STEPS
            if done > to:
                raise Killed

        return here(model, folder, rows(18), method, progress=progress, log=log)

    return train


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "scratch").iterdir())


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("micro", [4, 3])
def test_a_training_that_was_cut_short_anywhere_gives_the_same_bytes(
    train: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, micro: int
) -> None:
    """At the start of an epoch, within it, twice; with rows that do not fill the last step, and steps in two pieces."""
    nll = loop.Likelihood.nll

    def memory(self: Any, batch: Any) -> Any:
        if len(batch.counts) > micro:
            raise MemoryError
        return nll(self, batch)

    monkeypatch.setattr(loop, "out_of_memory", lambda error: isinstance(error, MemoryError))
    monkeypatch.setattr(loop.Likelihood, "nll", memory)
    whole = train(tmp_path / "whole")
    assert whole["micro_batch"] == (4 if micro == 4 else 2)
    for number, ends in enumerate(([5], [7], [1], [3, 11], [9, 10, 14])):
        folder = tmp_path / str(number)
        for end in ends:
            with pytest.raises(Killed):
                train(folder, to=end)
            assert kept(folder) == [f"checkpoint-{end:09d}"]
        said: list[str] = []
        facts = train(folder, log=said.append)
        assert said[0] == f"goes on after step {ends[-1]} of {STEPS}"
        assert digests(folder) == digests(tmp_path / "whole"), ends
        assert {name: facts[name] for name in ("loss", "steps", "micro_batch")} == {
            name: whole[name] for name in ("loss", "steps", "micro_batch")
        }


@pytest.mark.usefixtures("often")
def test_time_is_that_of_all_tries(train: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, to=8)
    (found,) = (tmp_path / "scratch").iterdir()
    facts = json.loads((found / "training.json").read_text())
    assert 0 < facts["seconds"] < 60
    facts["seconds"] += 1000
    (found / "training.json").write_text(json.dumps(facts))
    assert 1000 < train(tmp_path)["train_seconds"] < 1060


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("damage", ["cut off", "flipped", "lost", "no facts", "unfinished"])
def test_a_damaged_checkpoint_is_not_gone_on_with(
    train: Callable[..., dict[str, Any]], tmp_path: Path, damage: str
) -> None:
    train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path, to=8)
    (found,) = (tmp_path / "scratch").iterdir()
    weights = found / "training.safetensors"
    if damage == "cut off":
        os.truncate(weights, weights.stat().st_size // 2)
    elif damage == "flipped":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "lost":
        weights.unlink()
    elif damage == "no facts":
        (found / "training.json").write_text("")
    else:
        found.rename(found.with_name("unfinished"))
    said: list[str] = []
    train(tmp_path, log=said.append)
    assert not [line for line in said if "goes on" in line]
    assert digests(tmp_path) == digests(tmp_path / "whole")


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("other", [{"device": "NVIDIA H200"}, {"torch": "0.1"}, {"format": 0}])
def test_what_was_kept_by_another_device_or_version_is_not_gone_on_with(
    train: Callable[..., dict[str, Any]], tmp_path: Path, other: dict[str, Any]
) -> None:
    with pytest.raises(Killed):
        train(tmp_path, to=3)
    (found,) = (tmp_path / "scratch").iterdir()
    facts = json.loads((found / "training.json").read_text())
    assert set(facts["made_by"]) >= {"device", "torch", "format", "peft"}
    facts["made_by"] |= other
    (found / "training.json").write_text(json.dumps(facts))
    said: list[str] = []
    train(tmp_path, log=said.append)
    assert not [line for line in said if "goes on" in line]


@pytest.mark.usefixtures("often")
def test_only_safetensors_and_json_are_written(train: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, to=3)
    (found,) = (tmp_path / "scratch").iterdir()
    assert sorted(path.name for path in found.iterdir()) == ["training.json", "training.safetensors"]


@pytest.mark.usefixtures("often")
def test_a_full_disk_stops_no_training(
    train: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept before stays."""
    train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path, to=6)
    said: list[str] = []
    with monkeypatch.context() as full:
        full.setattr("safetensors.torch.save_file", no_room)
        with pytest.raises(Killed):
            train(tmp_path, to=9, log=said.append)
    assert f"step 8 of {STEPS} is not kept: No space left on device ({tmp_path / 'scratch'})" in said
    assert kept(tmp_path) == ["checkpoint-000000006"], "half a checkpoint takes room"
    train(tmp_path, log=said.append)
    assert said.count(f"goes on after step 6 of {STEPS}") == 2
    assert digests(tmp_path) == digests(tmp_path / "whole")


def no_room(tensors: Any, path: Path) -> None:
    path.write_bytes(bytes(1000))
    raise OSError(28, "No space left on device")


@pytest.mark.slow
def test_a_killed_trainer_does_at_most_half_a_minute_again(model: Model, tmp_path: Path) -> None:
    """kill -9, in a process of its own, with the time between checkpoints that users have."""
    method = Sft(batch=2, epochs=40, dropout=0.1)
    alone = trained(tmp_path / "alone", model, rows(200), method)
    assert alone.facts["train_seconds"] > 1.5 * checkpoint.SECONDS, "too short to be kept"
    server = FORK_SERVER.pid
    assert server is not None
    caught: list[BaseException] = []
    folder = tmp_path / "killed"

    def run() -> None:
        try:
            trained(folder, model, rows(200), method)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    (trainer,) = until(lambda: children(server))
    (found,) = until(lambda: list(folder.glob("scratch/checkpoint-*")))
    assert not list(folder.glob("adapter"))
    time.sleep(2)
    os.kill(trainer, signal.SIGKILL)
    thread.join(timeout=PATIENCE)
    assert isinstance(caught[0], Transient)
    said: list[str] = []
    work = work_in(folder, lambda event, run, facts: said.append(facts["text"]) if event == "log" else None)
    finetune.function(Rows.of(rows(200)), model, PROMPT, method, 0, work=work)
    step = int(found.name.removeprefix(checkpoint.NAME))
    assert said[0] == f"goes on after step {step:,} of {alone.facts['steps']:,}"
    assert digests(folder) == digests(tmp_path / "alone")
