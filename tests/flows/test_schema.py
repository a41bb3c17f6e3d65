"""A wrong study file gets one line: the key, the value, and what is allowed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.errors import InputError
from flows.config.schema import Study
from flows.config.study_file import load, read

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


def test_set_keeps_a_kind_that_is_given_bare(tmp_path: Path) -> None:
    path = written(tmp_path, method="dpo", origins={"self": "human", "any_pairs": {"kind": "pairs", "of": "self"}})
    given = read(path, ["method.beta=0.5", "origins.self.column=why"])
    assert given["method"] == {"kind": "dpo", "beta": 0.5}
    assert given["origins"]["self"] == {"kind": "human", "column": "why"}


def test_set_replaces_no_list_by_a_map(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^--set arms\.sft\.on=self: arms is a list; allowed is a value for all of it"
    ):
        load(written(tmp_path, arms=[{"name": "sft", "on": "human"}]), ["arms.sft.on=self"])


def test_the_command_that_goes_on_with_a_study_can_be_pasted(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert load(path, ["seeds=[3, 4]", "questions.train=20"]).command == (
        f"mothertongue run {path} --set 'seeds=[3, 4]' --set questions.train=20"
    )
    assert load("abacus").command == "mothertongue run abacus"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": [1]}, "sedes: unknown key; allowed: about, arms, benchmarks, contrasts, controls, decoding"),
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
        ({"method": "dqo"}, "method.kind: no method is called 'dqo' (did you mean dpo?). Allowed: dpo, sft"),
        ({"questions": {"train": -1}}, "questions.train: -1 is not allowed: "),
        ({"seeds": [1, 1]}, "seeds: [1, 1] is not allowed: allowed are distinct numbers"),
        ({"name": "../x"}, "name: '../x' is not allowed: allowed are lower-case letters"),
        ({"name": "abc\n"}, r"name: 'abc\n' is not allowed: allowed are lower-case letters"),
        ({"name": "store"}, "name: 'store' is not allowed: allowed are other names than latest, previous, store"),
        ({"name": "latest"}, "name: 'latest' is not allowed: allowed are other names"),
        ({"name": "a" * 300}, "is not allowed: string should have at most 64 characters"),
        (
            {"origins": {"a" * 300: {"kind": "human"}}},
            "allowed are letters, digits, dot, dash and underscore, at most 64",
        ),
        (
            {"origins": {"a\n": {"kind": "human"}}},
            r"origins.a\n: allowed are letters, digits",
        ),
        ({"seeds": [2**32]}, "seeds.0: 4294967296 is not allowed: input should be less than 4294967296"),
        ({"seeds": [202411271530]}, "seeds.0: 202411271530 is not allowed: input should be less than 4294967296"),
        ({"seeds": [2**70]}, "seeds.0: 1180591620717411303424 is not allowed: whole numbers of at most 64 bits are"),
        ({"seeds": [True]}, "seeds.0: True is not allowed: input should be a valid integer"),
        ({"seeds": ["1"]}, "seeds.0: '1' is not allowed: input should be a valid integer"),
        ({"seeds": [1.0]}, "seeds.0: 1.0 is not allowed: input should be a valid integer"),
        ({"seeds": list(range(101))}, "seeds: a list of 101 is not allowed: list should have at most 100 items"),
        (
            {"questions": {"seed": 2**70}},
            "questions.seed: 1180591620717411303424 is not allowed: whole numbers of at most",
        ),
        ({"questions": {"seed": -1}}, "questions.seed: -1 is not allowed: input should be greater than or equal to 0"),
        ({"questions": {"train": True}}, "questions.train: True is not allowed: input should be a valid integer"),
        (
            {"questions": {"train": 10**9}},
            "questions.train: 1000000000 is not allowed: input should be less than or equal",
        ),
        (
            {"questions": {"train_each": {"abacus/ledger": True}}},
            "questions.train_each.abacus/ledger: True is not allowed",
        ),
        ({"method": {"learning_rate": float("inf")}}, "method.learning_rate: inf is not allowed: finite numbers are"),
        ({"method": {"learning_rate": float("nan")}}, "method.learning_rate: nan is not allowed: finite numbers are"),
        (
            {"method": {"learning_rate": 1e30}},
            "method.learning_rate: 1e+30 is not allowed: input should be less than or",
        ),
        (
            {"method": {"learning_rate": "0.1"}},
            "method.learning_rate: '0.1' is not allowed: input should be a valid number",
        ),
        (
            {"method": {"learning_rate": True}},
            "method.learning_rate: True is not allowed: input should be a valid number",
        ),
        ({"method": {"epochs": 10**9}}, "method.epochs: 1000000000 is not allowed: input should be less than or equal"),
        (
            {"method": {"rank": 10**9}},
            "method.rank: 1000000000 is not allowed: input should be less than or equal to 4096",
        ),
        (
            {"method": {"batch": 10**18}},
            "method.batch: 1000000000000000000 is not allowed: input should be less than or",
        ),
        (
            {"method": {"max_tokens": 10**12}},
            "method.max_tokens: 1000000000000 is not allowed: input should be less than",
        ),
        ({"method": {"targets": []}}, "method.targets: [] is not allowed: "),
        (
            {"decoding": {"max_tokens": 10**12}},
            "decoding.max_tokens: 1000000000000 is not allowed: input should be less",
        ),
        ({"decoding": {"top_k": True}}, "decoding.top_k: True is not allowed: input should be a valid integer"),
        (
            {"match": {"minimum": 2**63 - 1}},
            "match.minimum: 9223372036854775807 is not allowed: input should be less than",
        ),
        ({"match": {"tokens": True}}, "match.tokens: True is not allowed: input should be a valid number"),
        (
            {"origins": {"self": {"samples": True}}},
            "origins.self.samples: True is not allowed: input should be a valid int",
        ),
        (
            {"origins": {"m": {"kind": "mixture", "of": {"a": float("inf"), "b": 1}}}},
            "origins.m.of.a: inf is not allowed",
        ),
        ({"student": ""}, "student: '' is not allowed"),
        ({"student": ["abacus-student", ""]}, "student: ['abacus-student', ''] is not allowed: allowed are names"),
        ({"train": ["mistake"]}, "train: no benchmark is called 'mistake'. Allowed: "),
        ({"evaluate": ["mistake/*"]}, "evaluate: no benchmark is called 'mistake/*'. Allowed: "),
        (
            {"questions": {"train_split": "dev"}},
            "questions.train_split: abacus/ledger: no split is called 'dev'. Allowed: ",
        ),
        ({"benchmarks": {"tickets": "x"}}, "benchmarks.tickets: 'x' is not allowed: a map of options is"),
        (
            {"benchmarks": {"../x": {"train": "a", "verifier": "exact"}}},
            "benchmarks.../x.name: '../x' is not allowed: ",
        ),
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


def test_a_study_of_too_many_cells_is_refused_before_it_is_planned(tmp_path: Path) -> None:
    many = {f"o{number}": {"kind": "self"} for number in range(50)}
    with pytest.raises(
        InputError, match=r"seeds: 1 students x 1 .* x 50 arms x 1 sizes x 100 seeds x 6 .* are 30,000 cells; allowed"
    ):
        load(written(tmp_path, origins=many, seeds=list(range(100))))


def test_every_number_of_the_schema_has_bounds() -> None:
    """A form, and a Prefect server, know them too."""

    def numbers(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(schema, dict):
            if schema.get("type") in ("integer", "number"):
                yield place, schema
            for key, value in schema.items():
                yield from numbers(value, f"{place}.{key}")
        elif isinstance(schema, list):
            for at, value in enumerate(schema):
                yield from numbers(value, f"{place}.{at}")

    found = dict(numbers(Study.model_json_schema()))
    assert len(found) > 30
    for place, number in found.items():
        assert {"minimum", "exclusiveMinimum"} & number.keys(), place
        assert {"maximum", "exclusiveMaximum"} & number.keys(), place
        assert number.get("maximum", number.get("exclusiveMaximum")) < 2**63, place
