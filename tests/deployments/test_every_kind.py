"""Every kind of study is deployed on a real server, whose own code looks at it, and none can break it for others."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.utilities.schema_tools.validation import validate

from flows.config.form import as_form
from flows.deployment.deploy import LONGEST_REFUSAL, parameter_schema, reason
from tests.deployments.every_kind import TICKETS, studies, write_files
from tests.deployments.places import ANSWER, Place, worker

SCHEMA = parameter_schema()
KINDS = studies()


@pytest.mark.parametrize("without_required", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_the_servers_code_takes_it(name: str, without_required: bool) -> None:
    study = {"name": name, **as_form(KINDS[name])}
    errors = validate({"study": study, "folder": "/studies"}, SCHEMA, ignore_required=without_required)
    assert [error.message for error in errors] == []


def test_the_schema_asks_nothing_that_the_server_leaves_out() -> None:
    """A condition that needs `required` is another one without it, and so is a `not` or a `oneOf` around one."""
    found: list[str] = []

    def look(schema: Any, inside: str = "") -> None:
        if isinstance(schema, list):
            for each in schema:
                look(each, inside)
        elif isinstance(schema, dict):
            if inside and "required" in schema:
                found.append(f"{inside}: {schema}")
            for key, value in schema.items():
                look(value, key if key in ("if", "not", "oneOf") else inside)

    look(SCHEMA)
    assert found == []


def test_every_number_and_every_free_value_of_the_schema_is_bounded() -> None:
    def look(schema: Any) -> None:
        if isinstance(schema, list):
            for each in schema:
                look(each)
        elif isinstance(schema, dict):
            if schema.get("type") in ("integer", "number"):
                most = schema.get("maximum", schema.get("exclusiveMaximum"))
                assert most <= 2**63 - 1, schema
            assert schema.get("additionalProperties") is not True, schema
            for key, value in schema.items():
                if key not in ("enum", "default", "examples"):
                    look(value)

    look(SCHEMA)
    extra = {"name": "m", "extra": {"a": [{"b": 2.0**70}]}}
    study = {**as_form(KINDS["api-teachers"]), "endpoints": [extra]}
    assert [error.message for error in validate({"study": study}, SCHEMA)] == [
        "1.1805916207174113e+21 is greater than the maximum of 9223372036854775807"
    ]


@pytest.fixture(scope="module")
def files(place: Place) -> Path:
    folder = place.folder / "kinds"
    folder.mkdir(exist_ok=True)
    write_files(folder)
    for name, study in KINDS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder


@pytest.mark.slow
def test_every_kind_is_deployed(place: Place, files: Path) -> None:
    script = files / "deploy_all.py"
    script.write_text(
        "import sys\n"
        "from flows.deployment.deploy import deploy\n"
        "from flows.deployment.schedule import Schedule\n"
        "for name in sys.argv[1:]:\n"
        "    print(deploy(f'kinds/{name}.yaml', [], Schedule()).name)\n"
    )
    said = place.run(sys.executable, str(script), *KINDS).stdout.split()
    assert said == [f"study/{name}" for name in KINDS]
    for name in KINDS:
        assert place.deployment(name)["parameters"]["study"] == as_form(KINDS[name])


def test_a_study_with_a_benchmark_of_its_own_is_deployed(place: Place, files: Path) -> None:
    place.mothertongue("deploy", "kinds/own-benchmark.yaml")
    found = place.deployment("own-benchmark")
    assert found["parameters"]["study"]["benchmarks"] == [{"name": "tickets", **TICKETS["benchmarks"]["tickets"]}]


@pytest.mark.slow
def test_a_study_with_a_benchmark_of_its_own_runs(place: Place, files: Path) -> None:
    place.mothertongue("deploy", "kinds/own-benchmark.yaml")
    with worker(place):
        state = place.ended(place.start("own-benchmark"))
    assert (state["type"], state["name"]) == ("COMPLETED", "Completed"), state
    assert (place.folder / "runs" / "own-benchmark" / "report.html").is_file()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"questions": {"seed": 2**70}}, "questions.seed: "),
        ({"seeds": [2**64]}, "seeds.0: "),
        ({"questions": {"train": -(2**70)}}, "questions.train: "),
        ({"method": {"learning_rate": float("inf")}}, "method.learning_rate: "),
        ({"method": {"learning_rate": float("nan")}}, "method.learning_rate: "),
        ({"questions": {"train_each": {"abacus/ledger": 2**70}}}, "questions.train_each.abacus/ledger: "),
        ({"origins": {"api": {"kind": "teacher", "model": "api:m"}}, "endpoints": {"m": {"extra": {"x": [2**70]}}}},
         "endpoints.m.extra.x.0: "),
        ({"notes": "a\0b"}, r"notes: 'a\x00b' is not allowed: texts of Unicode characters"),
        ({"about": "\ud800"}, "found invalid Unicode character"),
        ({"notes": "clear \x1b[2J"}, r"notes: 'clear \x1b[2J' is not allowed: texts of Unicode characters"),
        ({"notes": "long " * 30_000}, "notes: a text of 150,000 characters ('long long"),
        ({"a\nb": 1}, r"a\nb: unknown key"),
        ({"name": "two\nlines"}, "name: "),
        ({"name": "line\n"}, "name: "),
        ({"student": ["abacus-student", "two\nlines"]}, r"student.1: 'two\nlines' is not allowed: texts of Unicode"),
        ({"seeds": list(range(200_000))}, "is 1,489,033 bytes large"),
        ({"endpoints": {"m": {"extra": {"x": __import__("functools").reduce(lambda a, _: [a], range(60), 1)}}}},
         "more than 40 lists and maps inside one another"),
    ],
    ids=range(17),
)  # fmt: skip
def test_a_study_that_would_break_the_server_is_refused_before_it_sees_it(
    place: Place, changes: dict[str, Any], said: str
) -> None:
    given = {"name": "broken", "student": "abacus-student", "train": ["abacus/ledger"], "evaluate": ["abacus/ledger"]}
    text = json.dumps({**given, "origins": {"human": {}}, **changes})  # JSON is YAML, and spells every character
    (place.folder / "broken.yaml").write_text(re.sub(r"\bNaN\b", ".nan", re.sub(r"\bInfinity\b", ".inf", text)))
    before = len(place.runs())
    for command in (["run"], ["deploy"]):
        ended = place.mothertongue(*command, "broken.yaml", check=False)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr[:2000]
        assert said in ended.stderr
        assert len(ended.stderr) < 600
    assert len(place.runs()) == before
    with pytest.raises(httpx.HTTPStatusError):
        place.deployment("broken")


def test_the_server_itself_refuses_a_run_with_such_a_number(place: Place) -> None:
    place.mothertongue("deploy", "abacus", "--name", "bounded")
    study = place.deployment("bounded")["parameters"]["study"]
    teacher = {"teacher": [{"name": "api", "model": "api:m"}]}
    for changes in (
        {"questions": {"seed": 2**70}},
        {"seeds": [2**70]},
        {"questions": {"evaluate_each": {"abacus/ledger": 2**70}}},
        {"origins": teacher, "endpoints": [{"name": "m", "extra": {"a": {"b": [2**70]}}}]},
        {"origins": teacher, "endpoints": {"m": {"budget_tokens": 2**70}}},
    ):
        with pytest.raises(httpx.HTTPStatusError) as refused:
            place.start("bounded", parameters={"study": {**study, **changes}})
        assert refused.value.response.status_code == 409
    assert place.runs("bounded") == []


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J", "n" * 300, "a/b", ""])
def test_a_wrong_name_of_a_deployment_is_refused(place: Place, name: str) -> None:
    ended = place.mothertongue("deploy", "abacus", "--name", name or " \n", check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "\x1b" not in ended.stderr


def test_a_refusal_is_one_short_line(place: Place) -> None:
    wrong = {"name": "x", "flow_id": "no", "parameters": {"study": {"x": 1}}, "parameter_openapi_schema": SCHEMA}
    answers = [
        httpx.post(f"{place.api}/deployments/", json={**wrong, "enforce_parameter_schema": True}, timeout=ANSWER),
        httpx.post(f"{place.api}/flow_runs/", json={"flow_id": "x" * 5000}, timeout=ANSWER),
    ]
    for answer in answers:
        assert answer.status_code == 422
        line = reason(answer)
        assert line.endswith("(status 422)")
        assert len(line) < LONGEST_REFUSAL + 20
        assert "\n" not in line
    assert len(answers[0].text) > 50_000
    assert "'x' was unexpected" in reason(answers[0])
    assert reason(httpx.Response(500, text="<html>\n" + "x" * 5000)).startswith("<html> xxx")
