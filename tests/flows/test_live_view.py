"""The view of a running study: what is done, what runs, and no surprise from brackets in a message."""

import io

import pytest
from rich.console import Console

from flows.cli.live_view import View
from flows.config.study_file import load
from flows.planning.plan import expand


@pytest.fixture
def view() -> View:
    made = View(expand(load("abacus", ["train=[abacus/ledger]", "seeds=[0]"])), minutes=2.0)
    made.console = Console(file=io.StringIO(), force_terminal=True, width=140)
    made._live.console = made.console
    return made


def drawn(view: View) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(view._draw())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_stages_rows_and_time_left_are_shown(view: View) -> None:
    view("start", "generate self/abacus/ledger", {})
    view("progress", "generate self/abacus/ledger", {"done": 120, "total": 300, "unit": "questions"})
    view("hit", "questions abacus/ledger train", {})
    view("done", "verify human/abacus/ledger", {"seconds": 1.0, "rows": 300})
    text = drawn(view)
    assert "self/abacus/ledger" in text
    assert "120 questions" in text
    assert "1 from the store" in text
    assert "2 of " in text
    assert "about 1:5" in text or "about 2:00" in text


def test_brackets_in_a_message_are_text(view: View) -> None:
    view("failed", "generate self/abacus/ledger", {"text": "template [/INST] is wrong [red]"})
    assert "[/INST] is wrong [red]" in view.console.file.getvalue()  # type: ignore[attr-defined]


def test_plain_lines_where_there_is_no_terminal(view: View, capsys: pytest.CaptureFixture[str]) -> None:
    view.console = Console(file=io.StringIO(), force_terminal=False)
    view("done", "verify human/abacus/ledger", {"seconds": 1.5, "rows": 300})
    assert "verify human/abacus/ledger: done in 1.5 s, 300 rows" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False])
def test_a_quiet_view_shows_nothing(view: View, terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    view._quiet = True
    view.console = view._live.console = Console(file=io.StringIO(), force_terminal=terminal)
    with view:
        view("start", "verify human/abacus/ledger", {})
        view("failed", "generate self/abacus/ledger", {"text": "no engine"})
        view("done", "verify human/abacus/ledger", {"seconds": 1.5, "rows": 300})
    assert view.console.file.getvalue() == ""  # type: ignore[attr-defined]
    assert capsys.readouterr().err == ""
