"""The report page: complete, self-contained, the same every time, and safe to open whatever a model wrote."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tasks.report import main_table, main_table_markdown, render, stages_of, verdict_markdown
from tasks.rows import Rows
from tasks.store import Artifact
from tests.tasks.simulated import Simulated, simulate
from tests.tasks.test_compare import run

HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(2)> {{ 7 * 7 }}'
PROVENANCE: dict[str, Any] = {
    "about": "Which origin is best?",
    "notes": "A demonstration, no evidence about large models.",
    "student": {"name": "abacus-student", "content": "3fa9c0"},
    "origins": {"self": {"kind": "self", "n": 4}, "human": {"kind": "human"}},
    "seeds": [0, 1, 2],
}


class Page(HTMLParser):
    """What a page is made of: its tags, ids, references and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href"):
                self.references.append(value or "")
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def study() -> Simulated:
    return simulate(seeds=(0, 1), items=50)


@pytest.fixture(scope="module")
def folder(study: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    run(study, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return render(folder, "abacus", PROVENANCE)


def test_everything_is_there(page: str, folder: Path):
    sentence = json.loads((folder / "verdict.json").read_text())["verdicts"][0]["sentence"]
    plain = page.replace("\N{NO-BREAK SPACE}", " ")
    assert sentence in plain
    for heading in (
        "Origins side by side",
        "What can be claimed",
        "Training × evaluation",
        "How familiar each origin is",
        "Accuracy against perplexity",
        "Forgetting",
        "Training responses to read",
        "Answers before and after training",
        "How it was made",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert PROVENANCE["notes"] in page
    assert page.count("<svg") == 4


def test_it_opens_offline(page: str):
    found = Page(page)
    assert all(reference.startswith("#") for reference in found.references)
    assert "script" not in found.tags
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_ids_are_unique_and_what_is_referred_to_exists(page: str):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    referred = {r[1:] for r in found.references} | set(re.findall(r"url\(#([^)]+)\)", page))
    assert referred <= set(found.ids)


def test_every_element_is_closed(page: str):
    assert Page(page).open == []


def test_the_same_input_gives_the_same_page(folder: Path, page: str):
    assert render(folder, "abacus", PROVENANCE) == page


def test_nothing_undefined_is_shown(page: str):
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<svg.*?</svg>|<style.*?</style>", "", page, flags=re.DOTALL))


def hostile(rows: Rows) -> Rows:
    named = {name: HOSTILE for name in ("question", "gold", "response", "answer") if name in rows.columns}
    return Rows.of([{**row, **named} for row in rows])


def test_hostile_text_is_shown_and_not_run(study: Simulated, tmp_path: Path):
    bad = replace(
        study,
        cells=tuple(map(hostile, study.cells)),
        scored={name: hostile(rows) for name, rows in study.scored.items()},
        chosen={name: hostile(rows) for name, rows in study.chosen.items()},
    )
    run(bad, tmp_path)
    page = render(tmp_path, HOSTILE, {**PROVENANCE, "notes": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}})
    found = Page(page)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page


@pytest.mark.parametrize(
    "shape",
    [
        {"seeds": (0,), "items": 1},
        {"train": ("abacus/ledger",), "evaluate": ("abacus/ledger",)},
        {"evaluate": ("abacus/clock",)},
        {"chances": {"base": (0.5, 0.5)}},
        {"chances": {"self <b>": (0.8, 0.5), "a$b$ & %": (0.6, 0.5)}},
    ],
    ids=["one item", "one benchmark", "not in domain", "no arms", "odd names and no base"],
)
def test_any_shape_of_study_has_a_page(shape: dict[str, Any], tmp_path: Path):
    run(simulate(items=shape.pop("items", 20), **shape), tmp_path)
    assert Page(render(tmp_path, "odd", {})).open == []


def test_missing_cells_are_on_the_page(study: Simulated, tmp_path: Path):
    lost = next(i for i, name in enumerate(study.names) if name.origin == "human")
    fewer = replace(
        study,
        cells=study.cells[:lost] + study.cells[lost + 1 :],
        names=study.names[:lost] + study.names[lost + 1 :],
    )
    run(fewer, tmp_path, (study.names[lost],))
    page = render(tmp_path, "abacus", {})
    assert "<b>1 cell is missing</b>" in page
    assert '<h2 id="missing">' in page


def test_tables_for_prefect_and_the_terminal(folder: Path):
    artifact = Artifact(folder, {"facts": {}})
    rows = main_table(artifact)
    assert len(rows) == 30
    assert re.fullmatch(r"\d+\.\d \(\d+\.\d to \d+\.\d\)", rows[0]["score"])
    lines = main_table_markdown(artifact).splitlines()
    assert len(lines) == 32
    assert len({line.count("|") for line in lines}) == 1
    assert "| holds |" in verdict_markdown(artifact)


def test_stages_are_summed(tmp_path: Path):
    made = tuple(
        Artifact(tmp_path, {"stage": "generate", "rows": 10, "seconds": 1.5, "facts": {"template": template}})
        for template in ("a1", "a1", "b2")
    )
    assert stages_of(made) == [{"stage": "generate", "runs": 3, "rows": 30, "seconds": 4.5, "templates": ["a1", "b2"]}]
    assert "a1, b2" in _page_with(made, tmp_path)


def _page_with(made: tuple[Artifact, ...], folder: Path) -> str:
    run(simulate(train=("abacus/ledger",), evaluate=("abacus/ledger",), items=10), folder)
    return render(folder, "abacus", {}, stages_of(made))
