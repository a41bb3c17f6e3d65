"""What a study file names is read only where it may be: whoever wrote the file cannot reach the rest of the machine."""

import json
import os
from pathlib import Path

import pytest
import yaml

from data import allowed_paths, variables
from data.errors import InputError
from flows.config.study_file import load
from flows.planning.plan import expand

ROWS = [{"question": f"What is {n} plus {n}?", "gold": str(2 * n), "reference": "so", "model": "m"} for n in range(9)]


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that no study should see, and a current folder beside it."""
    for folder in ("here", "outside", "home"):
        (tmp_path / folder).mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / "outside" / name).write_text("\n".join(map(json.dumps, ROWS)))
    (tmp_path / "outside" / "prompt.jinja").write_text("{{ question }}")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv(allowed_paths.ALLOW, raising=False)
    return tmp_path / "outside"


def study(folder: Path, **changes: object) -> str:
    inside = folder / "in.jsonl"
    inside.write_text("\n".join(map(json.dumps, ROWS)))
    given = {
        "name": "s",
        "student": "abacus-student",
        "benchmarks": {"b": {"train": "in.jsonl", "test": "in.jsonl", "verifier": "number"}},
        "train": ["b"],
        "evaluate": ["b"],
        "questions": {"train": 5, "evaluate": 5},
        "origins": {"self": {}},
    }
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump({**given, **changes}))
    return str(path)


def own(**changes: object) -> dict[str, object]:
    return {"benchmarks": {"b": {"train": "in.jsonl", "test": "in.jsonl", "verifier": "number", **changes}}}


def refused(path: str, key: str, overrides: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        expand(load(path, overrides))
    said = str(caught.value)
    assert "\n" not in said
    assert f"{key}: " in said
    assert "--allow-path" in said
    assert "MOTHERTONGUE_ALLOW_PATHS" in said
    return said


@pytest.mark.parametrize("way", ["absolute", "up", "home", "link", "link to folder", "variable", "in a link's folder"])
def test_no_way_leads_out(outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    here = tmp_path / "here"
    (here / "link.jsonl").symlink_to(outside / "train.jsonl")
    (here / "linked").symlink_to(outside)
    (tmp_path / "home" / "train.jsonl").write_text((outside / "train.jsonl").read_text())
    monkeypatch.setenv("SOMEWHERE", str(outside))
    monkeypatch.setenv(variables.ALLOW, "SOMEWHERE")
    given = {
        "absolute": str(outside / "train.jsonl"),
        "up": "../outside/train.jsonl",
        "home": "~/train.jsonl",
        "link": "link.jsonl",
        "link to folder": "linked/train.jsonl",
        "variable": "${SOMEWHERE}/train.jsonl",
        "in a link's folder": "linked/../outside/train.jsonl",
    }[way]
    expand(load(study(here)))
    said = refused(study(here, **own(train=given)), "benchmarks.b.train")
    shown = str((tmp_path / "home" if way == "home" else outside) / "train.jsonl") in said
    assert shown == (way != "variable"), "a variable's value is not told"


def test_whether_a_file_is_there_is_not_told(outside: Path, tmp_path: Path) -> None:
    there = refused(study(tmp_path / "here", **own(train="../outside/train.jsonl")), "benchmarks.b.train")
    nowhere = refused(study(tmp_path / "here", **own(train="../outside/nowhere.jsonl")), "benchmarks.b.train")
    assert there.replace("train.jsonl", "nowhere.jsonl") == nowhere


def test_every_key_with_a_path_is_kept_in(outside: Path, tmp_path: Path) -> None:
    here, model = tmp_path / "here", tmp_path / "outside" / "model"
    model.mkdir()
    (here / "gsm8k").mkdir()
    (here / "gsm8k" / "train.jsonl").symlink_to(outside / "train.jsonl")
    (here / "gsm8k" / "test.jsonl").symlink_to(outside / "test.jsonl")
    asked = {"train": ["gsm8k"], "evaluate": ["gsm8k"]}
    for changes, key in [
        (own(test=f"{outside}/test.jsonl"), "benchmarks.b.test"),
        (own(prompt=f"{outside}/prompt.jinja"), "benchmarks.b.prompt"),
        ({"benchmarks": {"gsm8k": {"path": str(outside)}}, **asked}, "benchmarks.gsm8k.path"),
        ({"benchmarks": {"gsm8k": {"path": "gsm8k"}}, **asked}, "benchmarks.gsm8k.path"),
        ({"benchmarks": {"gsm8k": {"path": {"train": f"{outside}/train.jsonl"}}}, **asked}, "gsm8k.path.train"),
        ({"origins": {"i": {"kind": "imported", "path": f"{outside}/train.jsonl"}}}, "origins.i.path"),
        ({"origins": {"g": {"kind": "gold_only", "response": f"{outside}/prompt.jinja"}}}, "origins.g.response"),
        (
            {"origins": {"self": {}, "r": {"kind": "rewrite", "model": "abacus-teacher", "of": "self",
                                           "prompt": f"{outside}/prompt.jinja"}}},
            "origins.r.prompt",
        ),
        (
            {"origins": {"self": {}, "f": {"kind": "feedback", "of": "self", "human": f"{outside}/train.jsonl",
                                           "human_share": 1}}},
            "origins.f.human",
        ),
        ({"origins": {"t": {"kind": "teacher", "model": str(model)}}}, "origins.t.model"),
        ({"student": str(model)}, "student"),
        ({"student": "../outside/model"}, "student"),
        ({"student": "../model"}, "student"),
        ({"student": "~/model"}, "student"),
    ]:  # fmt: skip
        refused(study(here, **changes), key)


@pytest.mark.parametrize(
    "given", ["file:///etc/passwd", "s3://bucket/x.jsonl", "http://h/x.jsonl", "hf://x/y", "FILE:/x"]
)
def test_an_address_is_no_path(outside: Path, tmp_path: Path, given: str) -> None:
    with pytest.raises(InputError, match=rf"benchmarks\.b\.train: {given}: an address, not a path"):
        expand(load(study(tmp_path / "here", **own(train=given))))


@pytest.mark.parametrize("given", ["~nobody-of-this-name/x.jsonl", "ring/x.jsonl", "a\0b.jsonl"])
def test_a_path_nobody_can_follow_gets_one_line(outside: Path, tmp_path: Path, given: str) -> None:
    (tmp_path / "here" / "ring").symlink_to("ring")
    with pytest.raises(InputError, match=r"benchmarks\.b\.train: "):
        expand(load(study(tmp_path / "here", **own(train=given))))


def test_hidden_folders_of_an_open_one_stay_closed(outside: Path, tmp_path: Path) -> None:
    secret = tmp_path / "here" / ".ssh"
    secret.mkdir()
    (secret / "x.jsonl").write_text((outside / "train.jsonl").read_text())
    refused(study(tmp_path / "here", **own(train=".ssh/x.jsonl")), "benchmarks.b.train")
    allowed_paths.allow([secret])
    expand(load(study(tmp_path / "here", **own(train=".ssh/x.jsonl"))))


def test_a_whole_disk_is_no_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert not allowed_paths.may_be_read(Path("/etc/hostname"), [Path("/")])


def test_whoever_runs_the_study_opens_more(outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = study(tmp_path / "here", **own(train=f"{outside}/train.jsonl"))
    refused(path, "benchmarks.b.train")
    monkeypatch.setenv(allowed_paths.ALLOW, os.pathsep.join([str(tmp_path / "nowhere"), str(outside)]))
    expand(load(path))
    monkeypatch.delenv(allowed_paths.ALLOW)
    refused(path, "benchmarks.b.train")
    inside = study(tmp_path / "here")
    expand(load(inside, [f"benchmarks.b.train={outside}/train.jsonl"]))  # typed by whoever runs it
    refused(inside, "student", ["student=../outside/model"])  # it does not exist, so nothing is opened


def test_a_variable_of_a_bundled_study_opens_its_folder(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSM8K", str(outside))
    path = study(
        tmp_path / "here",
        benchmarks={"gsm8k": {"path": "${GSM8K}"}},
        train=["gsm8k"],
        evaluate=["gsm8k"],
    )
    expand(load(path))
    monkeypatch.setenv("GSM8K", str(tmp_path / "home"))
    refused(study(tmp_path / "here", **own(train=f"{outside}/train.jsonl")), "benchmarks.b.train")
    monkeypatch.setenv(variables.ALLOW, "HOME")
    refused(study(tmp_path / "here", **own(train="${HOME}/../outside/train.jsonl")), "benchmarks.b.train")


def test_the_store_and_the_project_are_open(outside: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x.jsonl").write_text((outside / "train.jsonl").read_text())
    expand(load(study(tmp_path / "here", **own(train=str(tmp_path / "store" / "x.jsonl")))))
    expand(load(study(tmp_path / "here", **own(prompt=str(allowed_paths.PROJECT / "data/prompts/question.jinja")))))


def test_a_prompts_name_leads_nowhere_else(outside: Path, tmp_path: Path) -> None:
    name = os.path.relpath(outside / "prompt", allowed_paths.PROJECT / "data" / "prompts")
    with pytest.raises(InputError, match="no prompt is called"):
        expand(load(study(tmp_path / "here", **own(prompt=name))))
