"""A study's JSON Schema takes what the study takes, refuses what it refuses, and says what a form can draw."""

from typing import Any

import pytest
from prefect.utilities.schema_tools.validation import is_valid_schema, validate

from data import benchmark
from data.errors import InputError
from flows.config import study_file
from flows.config.form import as_form, as_study
from flows.deployment.deploy import parameter_schema, parameters
from tasks.kinds import methods, origins

BUNDLED = sorted(file.stem for file in study_file.STUDIES.glob("*.yaml"))
SCHEMA = parameter_schema()
STUDY = SCHEMA["definitions"]["Study"]["properties"]


def errors(study: dict[str, Any], **more: Any) -> list[str]:
    return [error.message for error in validate({"study": study, **more}, SCHEMA)]


@pytest.fixture
def small() -> dict[str, Any]:
    return as_form(study_file.read("abacus"))


@pytest.mark.parametrize("name", BUNDLED)
def test_a_form_is_the_study_it_was_made_of(name: str) -> None:
    given = study_file.read(name)
    again = as_study(as_form(given))
    assert study_file.raw(again) == study_file.raw(given)
    assert errors(as_form(given)) == errors(given) == []
    assert parameters(given, None)["study"] == as_form(given)


def test_a_method_that_is_null_is_the_usual_one(small: dict[str, Any]) -> None:
    form = as_form({**small, "method": None})
    assert errors(form) == []
    assert study_file.raw(as_study(form)).method == study_file.raw(as_study({**small, "method": "sft"})).method


@pytest.mark.parametrize("method", [None, "dpo", {"kind": "dpo", "beta": 0.3}])
def test_an_arm_goes_through_the_form_and_back(method: Any) -> None:
    arms = {
        "first": {"on": "self", "match": {"minimum": 5}},
        "more": {"on": "self" if method is None else "any_pairs", "method": method, "after": "first"},
    }
    origins = {"self": {"samples": 4}, "any_pairs": {"kind": "pairs", "of": "self"}}
    given = {**study_file.read("abacus"), "arms": arms, "origins": origins, "controls": {}, "contrasts": []}
    form = as_form(given)
    assert [arm["name"] for arm in form["arms"]] == ["first", "more"]
    assert errors(form) == []
    assert study_file.raw(as_study(form)) == study_file.raw(given)


def test_the_schema_is_one_and_says_what_each_thing_is() -> None:
    is_valid_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == {"study", "strict", "folder"}
    assert all(field.get("description") for field in SCHEMA["properties"].values())
    for name, field in STUDY.items():
        assert field.get("description") or "$ref" in field, name


def test_each_kind_of_origin_is_a_list_with_its_options() -> None:
    by_kind = STUDY["origins"]["anyOf"][0]["properties"]
    assert set(by_kind) == set(origins.names())
    for kind, drawn in by_kind.items():
        fields = set(origins.find(kind).model_fields) - {"kind"} | {"name"}
        assert set(drawn["items"]["properties"]) == fields
        assert drawn["items"]["additionalProperties"] is False
        assert drawn["description"]
        for field in drawn["items"]["properties"].values():
            assert field.get("description") or field.get("$ref")


def test_benchmarks_and_methods_are_choices() -> None:
    chosen = STUDY["train"]["anyOf"][0]["items"]["enum"]
    assert set(benchmark.names()) <= set(chosen)
    assert "abacus/*" in chosen
    drawn = [option["$ref"].rpartition("/")[2] for option in STUDY["method"]["anyOf"]]
    kinds = [SCHEMA["definitions"][name]["properties"]["kind"]["const"] for name in drawn]
    assert kinds == list(methods.kinds_by_name())
    assert STUDY["method"]["title"] == "Method"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": [1]}, "Additional properties are not allowed ('sedes' was unexpected)"),
        ({"student": 5}, "5 is not valid under any of the given schemas"),
        ({"seeds": ["one"]}, "'one' is not of type 'integer'"),
        ({"seeds": []}, "[] should be non-empty"),
        ({"seeds": [0, 0]}, "[0, 0] has non-unique elements"),
        ({"name": "Little Ledger"}, "'Little Ledger' does not match"),
        ({"train": ["abacus/leger"]}, "'abacus/leger' is not one of ['abacus/backwards', "),
        ({"method": {"kind": "sft", "rank": "big"}}, "'big' is not of type 'integer'"),
        ({"method": {"kind": "dqo"}}, "'dqo' is not one of ['dpo', 'sft']"),
        ({"method": {"kind": "dpo", "beta": "big"}}, "'big' is not of type 'number'"),
        ({"questions": {"train": -1}}, "-1 is not valid under any of the given schemas"),
        ({"match": {"correct": "maybe"}}, "'maybe' is not one of ['only', 'any', 'same']"),
        ({"origins": {"self": [{"samples": 0}]}}, "0 is less than the minimum of 1"),
        ({"origins": {"self": [{"sampels": 1}]}}, "Additional properties are not allowed ('sampels' was unexpected)"),
        ({"origins": {"teacher": [{"samples": 1}]}}, "'model' is a required property"),
        ({"origins": {"teecher": [{}]}}, "Additional properties are not allowed ('teecher' was unexpected)"),
        ({"origins": {"self": {"samples": 0}}}, "is not valid under any of the given schemas"),
        ({"origins": 5}, "5 is not of type 'object'"),
        ({"origins": {}}, "{} should be non-empty"),
        ({"controls": [{"origins": ["human"], "match": {}}]}, "'name' is a required property"),
        ({"benchmarks": [{"name": "b", "train": "x"}]}, "'verifier' is a required property"),
        (
            {"endpoints": [{"name": "m", "api_key": "x"}]},
            "Additional properties are not allowed ('api_key' was unexpected)",
        ),
    ],
)
def test_a_wrong_value_is_refused_before_a_run_starts(
    small: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    found = errors({**small, **changes})
    assert any(said in message for message in found), found


def test_an_unknown_parameter_is_refused(small: dict[str, Any]) -> None:
    assert errors(small, sedes=1) == ["Additional properties are not allowed ('sedes' was unexpected)"]


@pytest.mark.parametrize(
    "changes",
    [
        {"train": ["abacus/b*"]},
        {"benchmarks": [{"name": "b", "train": "x", "verifier": "exact"}], "train": ["b"]},
        {"benchmarks": [{"name": "gsm8k", "path": "${GSM8K}"}], "train": ["gsm8k"]},
        {"benchmarks": {"b": {"test": "x", "verifier": "exact"}}, "evaluate": ["b"]},
        {"origins": {"human": {}, "mine": {"kind": "imported", "path": "x.jsonl"}}},
        {"origins": {"human": "human", "self": None}},
    ],
)
def test_a_right_value_is_taken(small: dict[str, Any], changes: dict[str, Any]) -> None:
    study = {**small, **changes}
    assert errors(study) == []
    assert study_file.raw(study).name == "abacus"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"origins": {"self": [{}, {}]}}, "origins.self.1.name: 'self' is not allowed: another one of the origins"),
        ({"origins": {"self": [5]}}, "origins.self.0: 5 is not allowed: a map of options is"),
        ({"controls": [{"origins": ["human"]}]}, "controls.0.name: missing; it is required"),
        ({"origins": {"self": [{"name": "own", "samples": 0}]}}, "origins.own.samples: 0 is not allowed"),
    ],
)
def test_a_wrong_form_gets_one_line(small: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        study_file.raw({**small, **changes})
    assert said in str(caught.value)
