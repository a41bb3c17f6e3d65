"""What tests share: a small random model, adapters of it, one engine and one Prefect server for all that need one."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

os.environ.update(PREFECT_SERVER_ANALYTICS_ENABLED="false", HF_HUB_OFFLINE="1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # on small models, threads that wait for each other are all the time

from tasks.models import model as models
from tasks.models.model import Model
from tasks.pipeline.runtime import Runtime
from tasks.resources.placement import Placement
from tasks.storage.artifacts import Store
from tests.bench.models import build

if TYPE_CHECKING:
    from tests.deployments.places import Place

TOGETHER = {
    "engine": (
        *("tasks/test_attest.py", "tasks/test_engine.py", "tasks/test_evaluate.py", "tasks/test_generate.py"),
        "tasks/test_step_values.py",
    ),
    "server": (
        *("deployments/test_deploy.py", "deployments/test_every_kind.py"),
        *("flows/test_inspection.py", "flows/test_planted_secret.py", "flows/test_study.py"),
    ),
}
"""Files whose tests run in one worker (`--dist loadgroup`), for what they share takes seconds to start."""

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
_slots = tempfile.TemporaryDirectory(prefix="slots-")
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs that a shell puts in the background ignore Ctrl-C
os.environ["MOTHERTONGUE_SLOTS"] = _slots.name  # tests wait for no study of this machine, nor for each other


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each file's tests run in one worker, and those of files that share something, too."""
    groups = {f"tests/{file}": group for group, files in TOGETHER.items() for file in files}
    for item in items:
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(groups.get(file, file)))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Place"]:
    """A Prefect server for the tests that only talk to it, or whose runs have names of their own."""
    from tests.deployments.places import server

    with server(tmp_path_factory.mktemp("place")) as found:
        yield found


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama (1 M parameters) and a byte-level tokenizer with a chat template."""
    return build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> Model:
    return models.resolve(str(tiny_model))


@pytest.fixture(scope="session")
def make_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_adapter(seed, size, rank)`: a folder with a LoRA adapter whose B is random with deviation `size`."""

    def make(seed: int, size: float = 0.05, rank: int = 8) -> Path:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import LlamaForCausalLM

        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        adapted = get_peft_model(LlamaForCausalLM.from_pretrained(tiny_model), config)
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=size) if size else torch.nn.init.zeros_(weight)
        folder = tmp_path_factory.mktemp("adapter") / "adapter"
        adapted.save_pretrained(str(folder))
        return folder

    return make


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime with an empty store. Its engine starts when a test first needs it and serves all that follow."""
    made = Runtime(Store(tmp_path_factory.mktemp("store")), Placement(trainers=1, kv_cache_gib=0.125))
    yield made
    made.close()
