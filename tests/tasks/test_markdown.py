"""A text in Markdown is shown as it is, by a renderer of the kind that the Prefect UI has."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from tasks.reporting.markdown import escaped

TEXTS = [
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![p](http://127.0.0.1/p.png)",
    "[a]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "http://evil.example/x?y=1&z=2",
    "HTTPS://evil.example",
    "www.evil.example",
    "me@evil.example",
    "a | b | c",
    "`code` ``more``",
    "**bold** _it_ ~~out~~ __x__",
    "# heading",
    "> quote",
    "- item",
    "+ item",
    "1. one",
    "12) twelve",
    "---",
    "===",
    "    code",
    "&lt;b&gt; &#60;script&#62;",
    "a\\*b\\\\",
    "line\n\n# next",
    "<!-- comment",
    "<script>alert(1)</script>",
    "~~~\nfence",
    "$x$ {{ y }} {% z %}",
    "\u202elive\u200b",
    "12.5 % (+1.2 to 3.4), self_guide@same_length on abacus/boxes",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("frame", ["{}", "**{}**", "- {}", "| a | b |\n| --- | --- |\n| {} | 2 |", "x {} y"])
def test_a_text_is_shown_and_nothing_else(text: str, frame: str) -> None:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    page = reader.render(frame.format(escaped(text)))
    plain = reader.render(frame.format("text"))
    assert re.findall(r"<[^>]*>", page) == re.findall(r"<[^>]*>", plain), page
    shown = html.unescape(re.sub(r"<[^>]*>", "", page))
    expected = " ".join(text.replace("\u202e", r"\u202e").replace("\u200b", r"\u200b").split())
    assert expected in " ".join(shown.split())


@pytest.mark.parametrize("text", ["http://evil.example", "HTTPS://evil.example", "www.evil.example", "me@evil.example"])
def test_no_bare_address_is_left_for_renderers_that_link_them(text: str) -> None:
    assert not re.search(r"https?://|www\.|[a-z]@", escaped(text), re.IGNORECASE)
