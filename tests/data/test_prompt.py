"""Prompt templates given as a name, a file or a text."""

from pathlib import Path

import pytest

from data.errors import InputError
from data.prompt import prompt, template


def test_a_byte_order_mark_is_no_part_of_a_template(tmp_path: Path) -> None:
    (tmp_path / "marked.jinja").write_text("{{ question }}\n", encoding="utf-8-sig")
    (tmp_path / "plain.jinja").write_text("{{ question }}\n", encoding="utf-8")
    assert template("marked.jinja", [tmp_path]) == template("plain.jinja", [tmp_path]) == "{{ question }}\n"


def test_a_template_is_a_text_a_file_or_a_name() -> None:
    assert template("Q: {{ question }}", []) == "Q: {{ question }}"
    assert template("solve", []) == prompt("solve")
    with pytest.raises(InputError, match="no prompt is called 'solv'"):
        template("solv", [])
