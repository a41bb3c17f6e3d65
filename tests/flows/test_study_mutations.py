"""Whatever stands at any place of a study file: it is taken, or refused in one line that names the file and the key."""

import copy
import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.errors import InputError
from flows.config.schema import Study
from flows.config.study_file import load, read
from flows.planning import preflight
from flows.planning.plan import expand

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**32, 2**63, 2**70, 10**30, 0.5, -0.5, 1e30, 3.0),
    *(math.inf, -math.inf, math.nan),
    *("", " ", "x", "1", "true", "a\nb", "\x1b[2J", "\0", "\u202ex", "x" * 300, "\u00e9" * 300, "../../etc/passwd"),
    *(
        "/dev/zero",
        "{{ 1/0 }}",
        "{{ question",
        "${HOME}",
        "api:",
        "abacus/*",
        "*",
        "[",
        "base",
        "human",
        "~",
        "a/b",
        "sft",
    ),
    *([], [1], [""], ["x"], ["x", "x"], [[]], [None], [True], list(range(200)), ["human"] * 300, [{}]),
    *({}, {"x": 1}, {"": ""}, {"kind": "x"}, {"kind": 3}, {"kind": ["human"]}, {"x" * 300: {}}, {"a\nb": {}}),
]
PARTS = 4
"""Of all changes; one part is tried with every run of the tests."""
LONGEST = 20
"""Seconds of processor time that one study may take."""

OWN: dict[str, Any] = {
    "name": "small",
    "about": "Which?",
    "notes": "None.",
    "student": ["abacus-student"],
    "benchmarks": {
        "tickets": {
            "train": "train.jsonl",
            "test": "train.jsonl",
            "columns": {"question": "question", "gold": "gold", "id": "id"},
            "prompt": "question",
            "verifier": "number",
            "labels": [],
        }
    },
    "train": ["tickets"],
    "evaluate": ["tickets", "abacus/boxes"],
    "questions": {"train": 12, "keep": 10, "evaluate": 12, "train_each": {"tickets": 12}, "seed": 0},
    "origins": {
        "human": {"column": "reference"},
        "self": {"samples": 2, "temperature": 0.7, "top_p": 0.9, "max_tokens": 64},
        "short": {"kind": "gold_only", "response": "{{ gold }}"},
        "api": {"kind": "teacher", "model": "api:small", "samples": 1},
        "said": {"kind": "rewrite", "model": "abacus-teacher", "of": "human", "prompt": "rewrite"},
        "mixed": {"kind": "mixture", "of": {"human": 1, "self": 2}},
        "ready": {"kind": "imported", "path": "train.jsonl", "columns": {"response": "reference", "model": None}},
        "familiar": {"kind": "by_perplexity", "of": ["human", "self"], "pick": "lowest"},
    },
    "match": {"correct": "any", "pick": "first", "tokens": 0.5, "minimum": 1},
    "controls": {"same": {"origins": ["human"], "match": {"minimum": 1}, "train": ["tickets"]}},
    "method": {"kind": "sft", "epochs": 1, "learning_rate": 0.001, "rank": 8, "targets": ["q_proj"], "max_tokens": 100},
    "contrasts": [{"claim": "It is better.", "better": "human", "than": "base", "on": "other"}],
    "seeds": [0, 1],
    "decoding": {"n": 1, "temperature": 0.0, "max_tokens": 64, "top_k": 5},
    "endpoints": {"small": {"concurrency": 2, "timeout": 10, "budget_tokens": 1000, "extra": {"x": 1}}},
    "trust_remote_code": [],
}


def places(given: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value, outermost first."""
    for key in given if isinstance(given, dict) else range(len(given)) if isinstance(given, list) else ():
        yield (*before, key)
        yield from places(given[key], (*before, key))


def changed(given: Any, place: tuple[str | int, ...], value: Any) -> Any:
    made = copy.deepcopy(given)
    here = made
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = value
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [
        {"id": f"q{n}", "question": f"What is {n} + 1?", "gold": str(n + 1), "reference": f"Final answer: {n + 1}"}
        for n in range(12)
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTHERTONGUE_STORE", str(tmp_path / "store"))
    return tmp_path


def refused(file: str) -> str | None:
    """What is said of a study file when it is planned; None where it is taken."""
    try:
        study = load(file)
        expand(study)
        preflight.check(study)
    except InputError as error:
        return str(error)
    return None


def assert_named(said: str | None, file: str) -> None:
    """A refusal is one line: the file, the key, and what is wrong."""
    if said is None:
        return
    assert said.isprintable(), said
    found = re.match(rf"{re.escape(file)}(?:, line \d+)?: (?:a name in )?(?:([^.: ]+)[^:]*: .|the file: )", said)
    assert found, said
    assert found[1] is None or found[1] in Study.model_fields, said
    assert len(said) < 1500, said


def test_the_study_itself_is_taken(folder: Path) -> None:
    (folder / "s.yaml").write_text(yaml.safe_dump(OWN))
    assert refused("s.yaml") is None


@pytest.mark.parametrize("key", OWN)
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
def test_every_value_at_every_place_is_taken_or_named(folder: Path, key: str, part: int) -> None:
    for number, place in enumerate(places({key: OWN[key]})):
        for value in VALUES[(number + part) % PARTS :: PARTS]:
            text = yaml.safe_dump(changed(OWN, place, value), allow_unicode=False)
            (folder / "s.yaml").write_text(text)
            started = time.process_time()
            try:
                assert_named(refused("s.yaml"), "s.yaml")
            except Exception as error:
                raise AssertionError(f"{place} = {value!r:.80}: {type(error).__name__}: {error}") from error
            assert time.process_time() - started < LONGEST, f"{place} = {value!r:.80}"


@pytest.mark.parametrize("value", ["x", 7, -1, [], {}, None, "true", 1e30])
def test_the_bundled_study_too(folder: Path, value: Any) -> None:
    given = read("abacus")
    for place in places(given):
        (folder / "s.yaml").write_text(yaml.safe_dump(changed(given, place, value)))
        try:
            load("s.yaml")
        except InputError as error:
            assert_named(str(error), "s.yaml")


def test_missing_keys_are_named(folder: Path) -> None:
    for missing in OWN:
        (folder / "s.yaml").write_text(yaml.safe_dump({name: value for name, value in OWN.items() if name != missing}))
        said = refused("s.yaml")
        assert_named(said, "s.yaml")
        if missing in ("name", "student", "train", "evaluate", "origins"):
            assert said == f"s.yaml: {missing}: missing; it is required"


def test_an_unknown_key_is_named(folder: Path) -> None:
    (folder / "s.yaml").write_text(yaml.safe_dump({**OWN, "nosuch": 1}))
    assert str(refused("s.yaml")).startswith("s.yaml: nosuch: unknown key; allowed: about, arms, benchmarks, ")
