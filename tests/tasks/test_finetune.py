"""Fine-tuning: the loss is the responses', the seed decides every byte, and a trainer's end is never silent."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data.errors import InputError
from tasks.finetune import finetune
from tasks.fork_server.client import ForkServer
from tasks.kinds.methods import Method, kinds_by_name
from tasks.methods.dpo import Dpo
from tasks.methods.sft import Sft
from tasks.models.model import Model, resolve
from tasks.models.rendering import Rendered, renderer
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed, Transient
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Row, Rows
from tasks.training import loop
from tasks.training.batches import epoch_steps
from tasks.training.examples import write
from tasks.training.training import Training
from tests.waiting import PATIENCE, until

PROMPT = "{{ question }}"
METHOD = Sft(epochs=1, learning_rate=1e-3, batch=8, rank=4, alpha=8, warmup=0.0)


def rows(count: int, origin: str = "self") -> list[Row]:
    rng = random.Random(origin)
    return [
        {
            "id": f"q{i}",
            "origin": origin,
            "question": f"Ann has {i} apples and buys {rng.randint(1, 9)} more.",
            "response": " ".join(f"She has {rng.randint(0, 99)}." for _ in range(rng.randint(1, 6))),
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return resolve(str(tiny_model))


FORK_SERVER = ForkServer()
"""One for all trainings here: starting one takes seconds."""


def work_in(folder: Path, listener: Any = lambda event, run, facts: None) -> Work:
    folder.mkdir(parents=True, exist_ok=True)
    return Work(folder, Runtime(Store(folder), listener=listener, fork_server=FORK_SERVER), "finetune", {})


def trained(
    folder: Path, model: Model, given: list[Row], method: Method, seed: int = 0, start: Artifact | None = None
) -> Work:
    work = work_in(folder)
    finetune.function(Rows.of(given), model, PROMPT, method, seed, start, work=work)
    return work


def digests(folder: Path) -> dict[str, str]:
    files = [*sorted((folder / "adapter").iterdir()), folder / "probe.json"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def nll_by_hand(model: Model, examples: list[Rendered], adapter: Path | None = None) -> list[list[float]]:
    """Negative log-likelihood of each response token from the full logits of one row at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    network = (PeftModel.from_pretrained(network, str(adapter)) if adapter else network).eval()
    found = []
    for example in examples:
        ids = torch.tensor([example.ids])
        with torch.no_grad():
            each = -network(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        found.append(each[example.prompt_length - 1 :].tolist())
    return found


def test_an_adapter_its_probe_and_its_facts(model: Model, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    logged: list[str] = []

    def listener(event: str, run: str, facts: dict[str, Any]) -> None:
        if event == "log":
            logged.append(facts["text"])
        else:
            told.append((facts["done"], facts["total"]))

    work = work_in(tmp_path, listener)
    method = Sft(learning_rate=1e-2, batch=8, epochs=2)
    finetune.function(Rows.of(rows(20)), model, PROMPT, method, 0, work=work)

    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["r"] == 16
    assert set(config["target_modules"]) >= {"q_proj", "down_proj"}
    assert str(tmp_path) not in json.dumps(config)
    assert str(model.path) not in json.dumps(config) or model.name == model.path
    assert told == [(step, 6) for step in range(1, 7)]
    assert logged == [f"step {step} of 6: loss {loss:.4g}" for step, loss in enumerate(work.facts["loss"], 1)]
    assert work.facts["rows"] == 20
    assert work.facts["longest"] == renderer(model).context
    assert work.facts["steps"] == 6
    assert work.facts["loss_last"] < work.facts["loss_first"]
    assert work.facts["template"] == renderer(model).hash
    assert work.facts["tokens_per_second"] > 0

    probe = json.loads((tmp_path / "probe.json").read_text())["rows"]
    examples = [Rendered(row["prompt_ids"] + row["response_ids"], len(row["prompt_ids"])) for row in probe]
    assert examples == renderer(model).rows(PROMPT, rows(20)[:4])
    for name, adapter in (("base", None), ("adapted", tmp_path / "adapter")):
        expected = nll_by_hand(model, examples, adapter)
        for row, each in zip(probe, expected, strict=True):
            assert row[name] == pytest.approx([-value for value in each], abs=1e-4)
    assert probe[0]["base"] != pytest.approx(probe[0]["adapted"], abs=1e-3)


def test_the_loss_counts_response_tokens_only(model: Model, tmp_path: Path) -> None:
    work = trained(tmp_path, model, rows(8), Sft(batch=8, epochs=1, warmup=0.0))
    by_hand = nll_by_hand(model, renderer(model).rows(PROMPT, rows(8)))
    each = [value for row in by_hand for value in row]
    # A new adapter starts as nothing, so the first step's loss is the base model's mean over response tokens.
    assert work.facts["loss_first"] == pytest.approx(sum(each) / len(each), abs=1e-4)
    assert len(by_hand[0]) == len(renderer(model).response(rows(8)[0]["response"])), "the end of the turn was left out"


def test_the_seed_decides_every_byte(model: Model, tmp_path: Path) -> None:
    method = Sft(learning_rate=1e-2, batch=4, epochs=1, dropout=0.1)
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        trained(tmp_path / name, model, rows(12), method, seed)
    assert digests(tmp_path / "first") == digests(tmp_path / "again")
    assert (
        digests(tmp_path / "first")["adapter_model.safetensors"]
        != (digests(tmp_path / "other")["adapter_model.safetensors"])
    )


def test_trainers_at_once_give_what_each_alone_gives(model: Model, tmp_path: Path) -> None:
    method = Sft(batch=4, epochs=1)
    trained(tmp_path / "alone", model, rows(12), method, 1)
    threads = [
        threading.Thread(target=trained, args=(tmp_path / str(seed), model, rows(12), method, seed))
        for seed in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests(tmp_path / "1") == digests(tmp_path / "alone")
    assert len({digests(tmp_path / str(seed))["adapter_model.safetensors"] for seed in range(3)}) == 3


def test_steps_depend_on_seed_and_epoch_and_hold_every_row_once() -> None:
    lengths = [n % 7 + 3 for n in range(37)]
    first = epoch_steps(lengths, 8, seed=0, epoch=0)
    assert sorted(index for step in first for index in step) == list(range(37))
    assert [len(step) for step in first] == [8, 8, 8, 8, 5]
    assert epoch_steps(lengths, 8, seed=0, epoch=1) != first
    assert epoch_steps(lengths, 8, seed=1, epoch=0) != first


def here(model: Model, folder: Path, given: list[Row], method: Method, **settings: Any) -> dict[str, Any]:
    """Train in this process."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    write(method.examples(given, renderer(model), PROMPT), folder / "examples.parquet")
    return loop.train(Training(method, model, folder / "examples.parquet", folder, folder / "scratch", 0, **settings))


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_effective_one(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    whole = here(model, tmp_path / "whole", rows(20), METHOD)
    nll = loop.Likelihood.nll

    def small_memory(self: Any, batch: Any) -> Any:
        if len(batch.counts) > 3:
            raise torch.OutOfMemoryError("no memory")
        return nll(self, batch)

    monkeypatch.setattr(loop.Likelihood, "nll", small_memory)
    halved = here(model, tmp_path / "halved", rows(20), METHOD)
    assert (halved["micro_batch"], halved["accumulation"]) == (2, 4)
    assert halved["steps"] == whole["steps"] == 3
    assert halved["loss"] == pytest.approx(whole["loss"], abs=1e-4)

    def no_memory(self: Any, batch: Any) -> Any:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(loop.Likelihood, "nll", no_memory)
    with pytest.raises(Transient, match="one row at a time"):
        here(model, tmp_path / "none", rows(4), METHOD)


def test_a_diverging_training_fails(model: Model, tmp_path: Path) -> None:
    far = METHOD.model_copy(update={"batch": 2, "epochs": 3, "learning_rate": 1e30})  # more than a study may ask for
    with pytest.raises(StageFailed, match="the training loss is nan"):
        here(model, tmp_path / "far", rows(12), far)


def test_bad_input_is_named(model: Model, tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="no rows to train on"):
        trained(tmp_path, model, [], Sft())
    with pytest.raises(InputError, match="needs qestion"):
        finetune.function(Rows.of(rows(3)), model, "{{ qestion }}", Sft(), 0, work=work_in(tmp_path))
    with pytest.raises(ValidationError, match="rnk"):
        Sft(rnk=3)  # type: ignore[call-arg]


def test_settings_and_code_of_method_and_loop_are_part_of_the_key(model: Model) -> None:
    @stage()
    def training_rows() -> list[Row]:
        return rows(3)

    def node(method: Method) -> Node:
        return finetune(training_rows(), model, PROMPT, method, 0)

    assert node(Sft()).recipe == node(Sft()).recipe
    assert len({node(method).recipe for method in (Sft(), Sft(rank=8), Sft(mask_above=2.5), Dpo(), Dpo(beta=0.2))}) == 5
    code = set(node(Sft()).described["code"])
    assert {"tasks/methods/sft.py", "tasks/scoring/likelihood.py", "tasks/models/rendering.py"} <= code
    assert "tasks/methods/dpo.py" not in code
    files = {Path(name).stem for name in code if name.startswith("tasks/training/")}
    common = {"entry", "loop", "trainer", "training", "adapter", "folded_lora"}
    assert files == common | {"batches", "examples", "measuring", "probe"}
    assert {"sft": Sft, "dpo": Dpo}.items() <= kinds_by_name().items()


def children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except FileNotFoundError:
        return []


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("target", ["trainer", "server"])
def test_a_killed_trainer_is_a_failure_that_may_pass(model: Model, tmp_path: Path, target: str) -> None:
    trained(tmp_path / "before", model, rows(4), Sft(batch=4, epochs=1, warmup=0.0))
    server = FORK_SERVER.pid
    assert server is not None
    caught: list[BaseException] = []

    def run() -> None:
        try:
            trained(tmp_path, model, rows(200), Sft(batch=2, epochs=50))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    trainer = until(lambda: children(server))[0]
    time.sleep(0.3)
    os.kill(trainer if target == "trainer" else server, signal.SIGKILL)
    thread.join(timeout=PATIENCE)
    assert isinstance(caught[0], Transient)
    assert ("SIGKILL" in str(caught[0])) == (target == "trainer")
    until(lambda: gone(trainer))
    trained(tmp_path / "next", model, rows(4), Sft(batch=4, epochs=1, warmup=0.0))


def test_no_trainer_outlives_the_study(model: Model, tmp_path: Path) -> None:
    """kill -9 of the study's process; Ctrl-C, which reaches the whole process group."""
    given = tmp_path / "rows.json"
    given.write_text(json.dumps(rows(200)))
    script = (
        "import json, sys, pathlib\n"
        "from tests.tasks.test_finetune import trained, Sft, resolve\n"
        "folder, model, given = map(pathlib.Path, sys.argv[1:])\n"
        "trained(folder, resolve(str(model)), json.loads(given.read_text()), Sft(batch=2, epochs=200))\n"
    )
    studies = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / name), model.path, str(given)],
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stderr=subprocess.DEVNULL,
        )
        for name in ("killed", "interrupted")
    ]
    servers = [until(lambda study=study: children(study.pid))[0] for study in studies]
    trainers = [until(lambda server=server: children(server))[0] for server in servers]
    time.sleep(0.3)
    os.kill(studies[0].pid, signal.SIGKILL)
    os.killpg(studies[1].pid, signal.SIGINT)
    for study in studies:
        assert study.wait(timeout=PATIENCE) != 0
    until(lambda: all(gone(pid) for pid in [*servers, *trainers]))
