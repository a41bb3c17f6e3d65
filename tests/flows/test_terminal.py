"""No text of a file, a key or a model reaches a terminal as something that it obeys: on standard output and error."""

import importlib.metadata
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from data import benchmark, kinds
from tasks.kinds import methods, origins, verifiers
from tests import commands
from tests.flows.test_study import environment

ESCAPES = "\x1b[2J\x1b[31mred\x1b]0;owned\a\x9b1m\u202elive"
STUDY = {
    "name": "s",
    "student": "abacus-student",
    "train": ["abacus/ledger"],
    "evaluate": ["abacus/ledger"],
    "origins": {"human": {}},
}


def said(folder: Path, *arguments: str) -> tuple[int, str, str]:
    ended = commands.run(folder, environment(folder), *arguments)
    for text in (ended.stdout, ended.stderr):
        assert not {"\x1b", "\a", "\x9b", "\u202e", "\r"} & set(text), repr(text)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({f"{ESCAPES}key": 1}, r"\x1b[2J\x1b[31mred\x1b]0;owned\x07\x9b1m\u202elive"),
        ({"student": "\x1b]0;owned\a"}, r"\x1b]0;owned\x07"),
        ({"train": ["\u202eledger\u200f"]}, r"\u202eledger\u200f"),
        ({"origins": {"two\nlines": {}}}, r"two\nlines"),
    ],
)
def test_what_is_wrong_with_a_study_is_one_plain_line(tmp_path: Path, changes: dict[str, object], shown: str) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({**STUDY, **changes}))
    code, out, err = said(tmp_path, "plan", "s.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert shown in err


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["plan"], "error: Missing argument 'study'."),
        (["plan", "abacus", "--nosuch\x1b[2J"], r"error: No such option: --nosuch\x1b[2J"),
        (
            ["score", "x.jsonl", "--model", "abacus-student", "--thinking", "maybe"],
            "error: Invalid value for '--thinking'",
        ),
        (["nosuch"], "error: No such command 'nosuch'."),
    ],
)
def test_what_is_wrong_with_an_option_is_one_plain_line(tmp_path: Path, arguments: list[str], shown: str) -> None:
    code, out, err = said(tmp_path, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(shown)


def test_help_is_printed_where_nothing_is_asked(tmp_path: Path) -> None:
    assert "verify" in "".join(said(tmp_path)[1:])
    assert said(tmp_path, "plan", "--help")[0] == 0


def test_columns_and_values_of_a_file(tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "response": "2", "gold": "2", "id": "a", "model": f"m{ESCAPES}"} for _ in range(3)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "head.csv").write_text(f"question,resp{ESCAPES},gold\n1+1?,2,2\n")
    code, out, err = said(tmp_path, "verify", "rows.jsonl", "--benchmark", "gsm8k", "--group", "model")
    assert code == 0, err
    assert r"m\x1b[2J\x1b[31mred" in out
    code, out, err = said(tmp_path, "verify", "rows.jsonl", "--benchmark", "gsm8k", "--group", "model", "--json")
    assert f"m{ESCAPES}" in [group["group"] for group in json.loads(out)["groups"]]
    code, out, err = said(tmp_path, "verify", "head.csv", "--benchmark", "gsm8k")
    assert (code, err.count("\n")) == (2, 1)
    assert r"resp\x1b[2J" in err


def test_an_option_that_is_none(tmp_path: Path) -> None:
    code, _, err = said(tmp_path, "plan", "abacus", f"--{ESCAPES}")
    assert code == 2
    assert r"\x1b[2J" in err
    code, _, err = said(tmp_path, "plan", f"{ESCAPES}.yaml")
    assert (code, err.count("\n")) == (2, 1)


def test_a_live_view_on_a_terminal_shows_them(tmp_path: Path) -> None:
    script = f"""
import sys
from flows.cli import terminal
from flows.cli.live_view import View
terminal.guard()
class Node:
    class stage: name = "imported"
class Plan: nodes = [Node]
with View(Plan, None) as view:
    view("start", "imported {ESCAPES[:4]}arm", {{}})
    view("note", "imported x", {{"text": {ESCAPES!r}}})
    view("failed", "imported x", {{"text": {ESCAPES!r}}})
print({ESCAPES!r}, file=sys.stderr)
"""
    ours, theirs = pty.openpty()
    ended = subprocess.Popen(
        [sys.executable, "-c", script], stderr=theirs, stdout=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    assert ended.wait() == 0
    text = shown.decode()
    assert "\x1b[?25l" in text, "the view draws"
    assert not [attack for attack in ("\x1b[2J", "\x1b[31mred", "\x1b]0;", "\a", "\x9b", "\u202e") if attack in text]
    assert text.count(r"\x1b]0;owned\x07\x9b1m\u202elive") == 3


def test_what_there_is_is_listed_a_line_each(tmp_path: Path) -> None:
    code, out, err = said(tmp_path, "verifiers")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == list(verifiers.names())
    assert "number         Number: the one number of the final answer equals the gold number exactly.\n" in out
    for what, names in (
        ("origins", origins.names()),
        ("methods", tuple(methods.kinds_by_name())),
        ("benchmarks", benchmark.names()),
    ):
        listed = json.loads(said(tmp_path, what, "--json")[1])[what]
        assert tuple(each["name"] for each in listed) == names
        assert all(each["about"].endswith((".", "?")) for each in listed), listed


@pytest.mark.parametrize(
    ("docstring", "said"),
    [
        ("One. Two.", "One."),
        (
            "The loss of Rafailov et al. 2023 (arXiv 1), equation 7.\n\nMore.",
            "The loss of Rafailov et al. 2023 (arXiv 1), equation 7.",
        ),
        ("Does it\n    follow? With reasons.", "Does it follow?"),
        ("A name: `a.b` only\n\nSecond.", "A name: `a.b` only"),
        ("", ""),
    ],
)
def test_the_first_sentence_of_a_docstring(docstring: str, said: str) -> None:
    assert kinds.first_sentence(docstring) == said


def test_version_and_short_help(tmp_path: Path) -> None:
    assert said(tmp_path, "--version") == (0, f"mothertongue {importlib.metadata.version('mothertongue')}\n", "")
    assert said(tmp_path, "plan", "-h") == said(tmp_path, "plan", "--help")


def test_a_quiet_plan_is_what_it_comes_to(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(STUDY))
    loud, quiet = (said(tmp_path, "plan", "s.yaml", *more)[1].splitlines() for more in ([], ["-q"]))
    assert any(line.startswith("  miss") for line in loud)
    assert quiet == [line for line in loud if not line.startswith("  miss")]
