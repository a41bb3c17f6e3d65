"""A model is loaded from safetensors only, and runs no code of its own unless the study says so by name."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from data.errors import InputError
from flows.cli import plan_page
from flows.config.study_file import load
from flows.planning.plan import expand
from tasks.engine.pool import rank_of
from tasks.models.model import BUNDLED, Model, Named, weights
from tasks.models.rendering import Renderer
from tasks.resources.errors import StageFailed
from tasks.score import load as load_network
from tests.tasks.planted import torch_file

MODELLING = """
from transformers import LlamaConfig, LlamaForCausalLM
open({mark!r}, "w").close()
class OddConfig(LlamaConfig):
    model_type = "odd"
class OddModel(LlamaForCausalLM):
    config_class = OddConfig
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled student."""
    return Path(shutil.copytree(BUNDLED / "abacus-student", tmp_path / "model"))


def odd(folder: Path, mark: Path) -> Path:
    """The model with a class that only its own code has."""
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "odd", "architectures": ["OddModel"]}
    config["auto_map"] = {"AutoConfig": "modelling.OddConfig", "AutoModelForCausalLM": "modelling.OddModel"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modelling.py").write_text(MODELLING.format(mark=str(mark)))
    return folder


def study(folder: Path, **changes: object) -> str:
    given = {
        "name": "s",
        "student": "model",
        "train": ["abacus/boxes"],
        "evaluate": ["abacus/boxes"],
        "origins": {"human": {}, "t": {"kind": "teacher", "model": "abacus-teacher"}},
    }
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump({**given, **changes}))
    return str(path)


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.pt", "pytorch_model-00001-of-00002.bin", "x.pth"])
def test_a_model_of_pickles_is_refused(folder: Path, pickle: str) -> None:
    (folder / "model.safetensors").rename(folder / pickle)
    with pytest.raises(InputError, match=rf"its weights are pickles \({pickle}\).*Allowed: \*\.safetensors"):
        weights(str(folder))


def test_a_folder_without_weights_is_no_model(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"no model: it has no config\.json and no \*\.safetensors"):
        weights(str(folder))


@pytest.mark.parametrize("named", ["pytorch_model.bin", "../other/model.safetensors", "/etc/x.safetensors", 3])
def test_an_index_that_leads_elsewhere_is_refused(folder: Path, named: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": named}}))
    with pytest.raises(InputError, match=r"index\.json names .*Allowed: \*\.safetensors files of its folder"):
        weights(str(folder))


def test_an_adapter_is_no_model(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "elsewhere"}))
    with pytest.raises(InputError, match="holds an adapter"):
        weights(str(folder))


def test_an_adapter_in_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 8}')
    (tmp_path / "adapter_model.bin").write_bytes(torch_file(tmp_path / "mark"))
    with pytest.raises(StageFailed, match=r"its weights are a pickle \(adapter_model\.bin\)"):
        rank_of(tmp_path)
    assert not (tmp_path / "mark").exists()


def test_code_of_a_model_runs_only_where_the_study_names_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    mark = tmp_path / "mark"
    odd(folder, mark)
    with pytest.raises(InputError, match=r"needs code of its own \(AutoConfig, .*trust_remote_code: \[model\]"):
        expand(load(study(tmp_path)))
    with pytest.raises(InputError, match="needs code of its own"):
        weights(str(folder))
    plan = expand(load(study(tmp_path, trust_remote_code=["model"])))
    (trusted,) = {node.values["model"] for node in plan.nodes if node.stage.name == "score"}
    assert trusted.remote_code
    plan_page.show(plan.study, as_json=False)
    assert "Code that comes with model will run here with all your rights." in capsys.readouterr().out
    assert not mark.exists()  # a plan loads nothing
    assert Renderer(trusted).context == 2048
    assert type(load_network(trusted)).__name__ == "OddModel"
    assert mark.exists()


def test_a_loader_that_is_handed_an_untrusted_model_runs_nothing(folder: Path, tmp_path: Path) -> None:
    odd(folder, tmp_path / "mark")
    untrusted = Model("model", str(folder), "", "content")
    for loader in (Renderer, load_network):
        with pytest.raises(StageFailed):
            loader(untrusted)
    assert not (tmp_path / "mark").exists()


def test_trust_and_the_code_are_part_of_the_key(folder: Path, tmp_path: Path) -> None:
    odd(folder, tmp_path / "mark")
    by = Named("student", (tmp_path,), frozenset(["model"]))
    first = weights("model", by)
    shutil.copytree(folder, tmp_path / "other" / "model")
    (tmp_path / "other" / "model" / "modelling.py").write_text("changed = 1\n")
    other = weights("model", Named("student", (tmp_path / "other",), frozenset(["model"])))
    assert first.identity() != other.identity()
    assert first.identity() == {"content": first.content, "remote_code": True}


def test_code_in_another_repository_is_refused(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "odd", "auto_map": {"AutoConfig": "owner/other--modelling.OddConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="its code lies in another repository"):
        expand(load(study(tmp_path, trust_remote_code=["model"])))


def test_a_model_with_code_that_transformers_does_not_need_is_loaded_without(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modelling.OddModel"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modelling.py").write_text(MODELLING.format(mark=str(tmp_path / "mark")))
    assert type(load_network(weights(str(folder)))).__name__ == "LlamaForCausalLM"
    assert not (tmp_path / "mark").exists()


def test_a_name_that_no_model_of_the_study_has_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trust_remote_code\.0: no model of this study is called 'modle'"):
        load(study(tmp_path, trust_remote_code=["modle"]))
    load(study(tmp_path, trust_remote_code=["model", "abacus-teacher"]))


def test_a_model_folder_is_looked_up_from_the_study_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (model,) = load(study(tmp_path)).models
    assert model.path == str(folder)


def test_a_file_of_the_model_that_links_out_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "vocab.txt").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match=r"student: model: vocab\.txt: leads to /etc/hostname"):
        expand(load(study(tmp_path)))


def test_the_hubs_cache_keeps_files_as_links(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--o--m" / "snapshots" / ("0" * 40)
    blobs = tmp_path / "models--o--m" / "blobs"
    snapshot.mkdir(parents=True)
    folder.rename(blobs)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(path)
    found = weights(str(snapshot), Named("student", (snapshot,)))
    assert found.path == str(snapshot)
