"""A wrong study file gets one line: the key, the value, and what is allowed."""

from pathlib import Path

import pytest
import yaml

from data.errors import InputError
from flows.schema import Study
from flows.study_file import load

RIGHT = {
    "name": "small",
    "student": "abacus-student",
    "train": ["abacus/ledger"],
    "evaluate": ["abacus/*"],
    "origins": {"human": {}, "self": {"samples": 2}},
}


def written(folder: Path, **changes: object) -> str:
    study = {**RIGHT, **changes}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in study.items() if value is not None}))
    return str(path)


def test_a_right_file_is_read(tmp_path: Path) -> None:
    study = load(written(tmp_path))
    assert isinstance(study, Study)
    assert [origin.kind for origin in study.origins.values()] == ["human", "self"]
    assert study.seeds == [0]


def test_set_lays_values_over_the_file(tmp_path: Path) -> None:
    study = load(written(tmp_path), ["seeds=[3, 4]", "questions.train=20", "origins.self.samples=7"])
    assert study.seeds == [3, 4]
    assert study.questions.train == 20
    assert study.origins["self"].samples == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": [1]}, "sedes: unknown key; allowed: about, benchmarks, contrasts, controls, decoding"),
        ({"student": None}, "student: missing; it is required"),
        ({"student": []}, "student: [] is not allowed: allowed are one or more models of different names"),
        ({"student": ["a/m", "b/m@c"]}, "allowed are one or more models of different names"),
        ({"questions": {"train_each": {"nonsense": 5}}}, "questions.train_each: no benchmark of this study is called"),
        ({"train": []}, "train: [] is not allowed: list should have at least 1 item"),
        ({"train": ["abacus/leger"]}, "abacus/leger"),
        (
            {"origins": {"teecher": {}}},
            "origins.teecher: no origin is called 'teecher' (did you mean teacher?). Allowed: ",
        ),
        (
            {"origins": {"t": {"kind": "teecher"}}},
            "origins.t.kind: no origin is called 'teecher' (did you mean teacher?). Allowed: ",
        ),
        ({"origins": {"self": {"sampels": 3}}}, "origins.self.sampels: unknown key; allowed: "),
        ({"origins": {"self": {"samples": 0}}}, "origins.self.samples: 0 is not allowed: "),
        ({"method": {"kind": "sft", "rank": "big"}}, "method.rank: 'big' is not allowed: "),
        ({"method": "dqo"}, "method.kind: no method is called 'dqo'. Allowed: sft"),
        ({"questions": {"train": -1}}, "questions.train: -1 is not allowed: "),
        ({"seeds": [1, 1]}, "seeds: [1, 1] is not allowed: allowed are distinct numbers"),
        ({"name": "../x"}, "name: '../x' is not allowed: allowed are lower-case letters"),
    ],
)
def test_a_wrong_value_gets_one_line(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    assert said in text


def test_an_unknown_family_names_near_ones_and_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"abacus/leger.*abacus/ledger"):
        load(written(tmp_path, train=["abacus/leger"]))


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\ntrain: [a\nb: c\n")
    with pytest.raises(InputError, match=r"x\.yaml, line 3: not valid YAML"):
        load(str(tmp_path / "x.yaml"))


def test_no_such_file_names_the_bundled_studies() -> None:
    with pytest.raises(InputError, match=r"nowhere: no such study file\. Allowed: .*abacus"):
        load("nowhere")
