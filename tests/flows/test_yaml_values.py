"""A study file's YAML is read in one way only: what is ambiguous, endless or too much is refused in one line."""

import time
from pathlib import Path
from typing import Any

import pytest

from data.errors import InputError
from flows.config.study_file import load, read
from flows.config.yaml_values import parse

BASE = """name: small
student: abacus-student
train: [abacus/ledger]
evaluate: [abacus/ledger]
origins: {human: {}, self: {samples: 2}}
"""
QUICK = 5
"""Seconds that a refusal may take on a busy machine; what it is measured against are minutes."""
BOMB = "\n".join(f"k{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(10))
MERGED = "\n".join(f"k{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}' if n else '{x: 1}'] * 9)}]}}" for n in range(10))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: 1, b: -2, c: 1_000, d: 0}", {"a": 1, "b": -2, "c": 1000, "d": 0}),
        ("[0.5, 1e-4, 2E+3, 1.0e3, -.5, .5e1, 1_0.5]", [0.5, 1e-4, 2000.0, 1000.0, -0.5, 5.0, 10.5]),
        ("[true, False, null, ~, '']", [True, False, None, None, ""]),
        ('["no", \'yes\', "012", "1:30", "1e5"]', ["no", "yes", "012", "1:30", "1e5"]),
        ("{on: in_domain, 5: x, 012: y}", {"on": "in_domain", "5": "x", "012": "y"}),
        ("[2026-11-27, 2026-11-27 12:00:00, =, 1.2.3]", ["2026-11-27", "2026-11-27 12:00:00", "=", "1.2.3"]),
        ("!!str 5", "5"),
        ("{a: &x {b: 1}, c: {<<: *x, d: 2}, e: {<<: *x, b: 3}}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}, "e": {"b": 3}}),
        ("", None),
    ],
)
def test_what_is_read(text: str, value: Any) -> None:
    found = parse(text, "f")
    assert found == value
    assert repr(found).replace(" ", "") == repr(value).replace(" ", "") or isinstance(value, dict)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("seeds: [1]\nseeds: [2]", ", line 7: seeds: given twice, first on line 6; allowed: each key once"),
        ("method: {rank: 8,\n  rank: 16}", ", line 7: method.rank: given twice, first on line 6"),
        (
            "controls: {no: {}}",
            ", line 6: controls: the key 'no' is read as true or false; allowed: a text, this one in",
        ),
        ("controls: {yes: {}}", ", line 6: controls: the key 'yes' is read as true or false"),
        ("controls: {Off: {}}", ", line 6: controls: the key 'Off' is read as true or false"),
        ("~: 1", ", line 6: the key '~' is read as nothing"),
        ("? [a]\n: 1", ", line 6: a list or a map as a key; allowed: texts"),
        (
            "seeds: [yes]",
            ", line 6: seeds.0: yes: some read this as a text, some as true or false; allowed: true or false",
        ),
        ("notes: off", ", line 6: notes: off: some read this as a text"),
        ("seeds: [012]", ", line 6: seeds.0: '012': some read this as another number; allowed: decimal digits"),
        ("seeds: [0x1F]", ", line 6: seeds.0: '0x1F': some read this as another number"),
        ("seeds: [0b11]", ", line 6: seeds.0: '0b11': some read this as another number"),
        ("seeds: [1:30]", ", line 6: seeds.0: '1:30': some read this as another number"),
        (
            "method: {learning_rate: 1:30.5}",
            ", line 6: method.learning_rate: '1:30.5': some read this as another number",
        ),
        (f"seeds: [{'9' * 5000}]", ", line 6: seeds.0: a number of 5,000 digits; allowed: at most 64 bits"),
        ("match: &m {a: *m}", ", line 6: match.a: an alias of what it stands in"),
        ("notes: &m [*m]", ", line 6: notes.0: an alias of what it stands in"),
        ("notes: *nobody", ", line 6: not valid YAML: found undefined alias"),
        (f"notes: {'[' * 3000}{']' * 3000}", ", line 6: more than 40 lists and maps inside one another"),
        (f"notes: {'[' * 20000}", ", line 6: more than 40 lists and maps inside one another"),
        (f"notes: {'{a: ' * 5000}", ", line 6: more than 40 lists and maps inside one another"),
        (BOMB, "more than 20,000 values, those of aliases included"),
        (MERGED, "more than 20,000 values, those of aliases included"),
        ("\n".join(f"k{n}: 1" for n in range(30_000)), "more than 20,000 values, those of aliases included"),
        (f"about: {'x' * 10_000_000}", r": is 10,000,\d\d\d bytes large; allowed: at most 500,000"),
        ("\n".join(f"k{n}: 1" for n in range(400_000)), ": is .* bytes large; allowed: at most 500,000"),
        ('notes: "a\0b"', ": not valid YAML: character .*: "),
        ('notes: "a\\0b"', r": notes: 'a\\x00b' is not allowed: texts of Unicode characters"),
        ('notes: "a\\ud83db"', ", line 6: not valid YAML: .*Unicode"),
        ("notes: !!binary aGVsbG8=", ", line 6: notes: the tag !!binary is not allowed"),
        (
            "notes: !!python/object/apply:os.system [ls]",
            ", line 6: notes: the tag !!python/object/apply:os.system is not",
        ),
        ("notes: !!set {a, b}", ", line 6: notes: the tag !!set is not allowed"),
        ("notes: !!int x", ", line 6: notes: 'x': some read this as another number"),
        ("notes: !!float x.y", ", line 6: notes: 'x.y' is no number"),
        ("--- \na: 1", ", line 6: not valid YAML: but found another document"),
        ("method: {<<: 5}", ", line 6: method: <<: 5 is not allowed: a map is"),
    ],
)
def test_what_is_refused(more: str, said: str) -> None:
    Path("s.yaml").write_text(BASE + more)
    started = time.process_time()
    with pytest.raises(InputError, match=rf"^s\.yaml.*{said}") as caught:
        load("s.yaml")
    assert time.process_time() - started < QUICK
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_bytes_that_are_no_utf_8_are_said_to_be_none() -> None:
    Path("s.yaml").write_bytes(BASE.encode("utf-16"))
    with pytest.raises(InputError, match=r"^s\.yaml: is not UTF-8 \(byte 1\)$"):
        load("s.yaml")
    Path("s.yaml").write_bytes(f"{BASE}about: José".encode("latin-1"))
    with pytest.raises(InputError, match=r"^s\.yaml: is not UTF-8 \(byte \d+\)$"):
        load("s.yaml")
    Path("s.yaml").write_bytes(BASE.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load("s.yaml").name == "small"


@pytest.mark.parametrize("text", ["- a", "x", "", "5", "null"])
def test_a_study_file_is_a_map(text: str) -> None:
    Path("s.yaml").write_text(text)
    with pytest.raises(InputError, match=r"^s\.yaml: a study file is a map of keys; this one is "):
        load("s.yaml")


def test_a_value_laid_over_the_file_is_read_alike() -> None:
    Path("s.yaml").write_text(BASE)
    assert read("s.yaml", ["method.learning_rate=2e-4", "seeds=[3]"])["method"] == {"learning_rate": 2e-4}
    for override, said in [
        ("seeds=[yes]", "--set seeds=[yes], line 1: 0: yes: some read"),
        ("seeds=[012]", "--set seeds=[012], line 1: 0: '012': some read"),
        ("match={a: 1, a: 2}", "--set match={a: 1, a: 2}, line 1: a: given twice"),
        ("seeds=[" + "[" * 99, "more than 40 lists and maps"),
        ("seeds=[", "not valid YAML"),
    ]:
        with pytest.raises(InputError) as caught:
            load("s.yaml", [override])
        assert said in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "folder", "nowhere.yaml"])
def test_no_file_is_said_to_be_none(name: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(InputError, match="no such study file") as caught:
        load(name)
    assert str(caught.value).isprintable()


def test_a_long_value_of_an_option_is_shown_cut() -> None:
    with pytest.raises(InputError, match=r"^--set seeds=\[0, 0, .* …: is [78]\d\d,\d+ characters long") as error:
        read("abacus", [f"seeds=[{'0, ' * 266_664}]"])
    assert len(str(error.value)) < 300
