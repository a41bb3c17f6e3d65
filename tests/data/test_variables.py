"""`${NAME}` in a study: only variables that are allowed, only where files and models are named, and never in a text."""

import json
from pathlib import Path
from typing import Any

import pytest

from data import allowed_paths, variables
from data.errors import InputError
from flows.config import study_file
from flows.planning.plan import expand

ROWS = [{"question": f"What is {n} plus {n}?", "gold": str(2 * n), "reference": "so"} for n in range(9)]
GIVEN: dict[str, Any] = {
    "name": "s",
    "student": "abacus-student",
    "benchmarks": {"b": {"train": "${PLACE}/in.jsonl", "test": "${PLACE}/in.jsonl", "verifier": "number"}},
    "train": ["b"],
    "evaluate": ["b"],
    "questions": {"train": 5, "evaluate": 4},
    "origins": {"human": {}},
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the variable PLACE names, and that studies may read."""
    folder = tmp_path / "planted-value"
    folder.mkdir()
    (folder / "in.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PLACE", str(folder))
    monkeypatch.setenv(allowed_paths.ALLOW, str(folder))
    monkeypatch.delenv(variables.ALLOW, raising=False)
    return folder


def refused(**changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        expand(study_file.checked({**GIVEN, **changes}))
    said = str(caught.value)
    assert "\n" not in said
    assert "planted-value" not in said
    return said


@pytest.mark.parametrize("allowed", ["PLACE", "PL*", "OTHER,PLACE", "OTHER PL*"])
def test_an_allowed_variable_is_read_where_a_file_is_looked_for(allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.ALLOW, allowed)
    study = study_file.checked(GIVEN)
    assert len(expand(study).nodes) > 5
    assert "planted-value" not in json.dumps(study.model_dump(mode="json"))
    assert study.benchmarks["b"].model_dump()["train"] == "${PLACE}/in.jsonl"


@pytest.mark.parametrize("allowed", ["", "PLAC", "PLACES", "LACE", "place", "PLACED*"])
def test_others_are_not(allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.ALLOW, allowed)
    said = refused()
    assert said.startswith("benchmarks.b.train: ${PLACE} is a variable that a study may not read. Allowed: MOTHER")
    assert "--allow-env" in said


@pytest.mark.parametrize("name", ["*", "A-B", "$X", "A**", "1A", "A*B"])
def test_what_is_allowed_is_a_name_or_a_prefix(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^--allow-env .*: allowed are names of environment variables"):
        variables.allow([name])
    monkeypatch.setenv(variables.ALLOW, name)
    assert f"{variables.ALLOW}={name}: allowed are names" in refused()


def test_ours_and_those_of_bundled_studies_are_allowed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERTONGUE_DATA", str(place))
    monkeypatch.setenv("GSM8K", str(place))
    for name in ("MOTHERTONGUE_DATA", "GSM8K"):
        own = {"b": {**GIVEN["benchmarks"]["b"], "train": f"${{{name}}}/in.jsonl", "test": f"${{{name}}}/in.jsonl"}}
        expand(study_file.checked({**GIVEN, "benchmarks": own}))


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.ALLOW, "PLACE")
    monkeypatch.delenv("PLACE")
    assert "benchmarks.b.train: '${PLACE}/in.jsonl' needs the environment variable PLACE" in refused()
    assert study_file.raw(GIVEN).name == "s"


@pytest.mark.parametrize(
    "name",
    ["PGPASSWORD", "OPENAIAPIKEY", "GITHUB_PAT", "SLACK_WEBHOOK", "AWS_SECRET_ACCESS_KEY", "DB_PASS", "HF_TOKEN",
     "MOTHERTONGUE_KEY", "mysecret", "APP_CREDENTIALS_FILE"],
)  # fmt: skip
def test_a_name_of_a_secret_is_refused_even_where_it_is_allowed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "planted-value")
    monkeypatch.setenv(variables.ALLOW, f"PLACE,{name}")
    for changes in ({"notes": f"${{{name}}}"}, {"student": f"${{{name}}}"}):
        assert f"this looks like a key (${{{name}}})" in refused(**changes)


def test_texts_for_readers_keep_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/planted-value")
    monkeypatch.setenv(variables.ALLOW, "PLACE,HOME")
    texts = {"about": "Is ${HOME} in it? ${NOWHERE}", "notes": "${HOME}"}
    own = {"b": {**GIVEN["benchmarks"]["b"], "prompt": "{{ question }} costs ${HOME}", "licence": "${HOME}"}}
    study = study_file.checked({**GIVEN, **texts, "benchmarks": own})
    expand(study)
    assert (study.about, study.notes) == (texts["about"], texts["notes"])
    assert study.find("b")[0].prompt == "{{ question }} costs ${HOME}"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"train": ["${PLACE}"]}, "train.0"),
        ({"name": "${PLACE}"}, "name"),
        ({"questions": {"train_split": "${PLACE}"}}, "questions.train_split"),
        ({"origins": {"t": {"kind": "teacher", "model": "api:${PLACE}"}}}, "origins.t.model"),
        ({"origins": {"teacher": [{"name": "t", "model": "api:${PLACE}"}]}}, "origins.t.model"),
        ({"endpoints": {"m": {"extra": {"user": "${PLACE}"}}}}, "endpoints.m.extra.user"),
    ],
)
def test_elsewhere_they_are_refused(changes: dict[str, Any], place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.ALLOW, "PLACE")
    assert refused(**changes).startswith(f"{place}: ${{PLACE}} is not allowed here")


def test_a_student_is_called_by_the_variable(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.models.model import BUNDLED, title

    monkeypatch.setenv(variables.ALLOW, "STUDENT,PLACE")
    (place / "student").symlink_to(BUNDLED / "abacus-student")
    monkeypatch.setenv("STUDENT", str(place / "student"))
    monkeypatch.setenv(allowed_paths.ALLOW, f"{place}:{BUNDLED}")
    (model,) = study_file.checked({**GIVEN, "student": "${STUDENT}"}).models
    (bundled,) = study_file.checked(GIVEN).models
    assert (model.title, model.name, model.content) == ("STUDENT", "${STUDENT}", bundled.content)
    assert title("${MODELS}/qwen@abc") == "qwen"


def test_messages_about_a_file_have_its_path_as_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.ALLOW, "PLACE")
    (place / "in.jsonl").write_text('{"question": "x"}\n')
    assert "${PLACE}/in.jsonl" in refused()
