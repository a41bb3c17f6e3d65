"""The report page: complete, self-contained, the same every time, and safe to open whatever a model wrote."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.ui.study_tables import main_table
from tasks.comparison.cell import Arm
from tasks.comparison.contrast import Contrast
from tasks.comparison.results import Results
from tasks.generate import generate
from tasks.origins.minimum_change import words_kept
from tasks.report import render
from tasks.reporting import figures
from tasks.reporting.provenance import matched_by, stages_of, told_by
from tasks.reporting.steps import Steps, TrainedOn
from tasks.reporting.token_surprise import coloured
from tasks.reporting.training import shared_settings, trained_by, training_of
from tasks.reporting.verdict_markdown import verdict_markdown
from tasks.selection.exclusions import REASONS
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Rows
from tests.tasks import test_contrast
from tests.tasks.simulated import Simulated, simulate
from tests.tasks.test_compare import run

HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(2)>" onmouseover="alert(3) \' onload=\'x {{ 7 * 7 }}'
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
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(name)
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
    return simulate(seeds=(0, 1, 2), items=80)


@pytest.fixture(scope="module")
def folder(study: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    run(study, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return render(Results.read(folder), "abacus", PROVENANCE)


def test_everything_is_there(page: str, folder: Path):
    sentence = json.loads((folder / "verdict.json").read_text())["verdicts"][0]["sentence"]
    plain = page.replace("\N{NO-BREAK SPACE}", " ")
    assert sentence in plain
    for heading in (
        "Origins side by side",
        "What was learnt",
        "What can be claimed of any two origins",
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
    assert page.count("<svg") == 4 + 2, "what was learnt has a figure for each training benchmark"


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
    assert render(Results.read(folder), "abacus", PROVENANCE) == page


def test_nothing_undefined_is_shown(page: str):
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<svg.*?</svg>|<style.*?</style>", "", page, flags=re.DOTALL))


def hostile(rows: Rows) -> Rows:
    named = {name: HOSTILE for name in ("question", "gold", "response", "answer") if name in rows.columns}
    return Rows.of([{**row, **named} for row in rows])


def with_texts(study: Simulated, change: Callable[[Rows], Rows]) -> Simulated:
    return replace(
        study,
        cells=tuple(map(change, study.cells)),
        scored={name: change(rows) for name, rows in study.scored.items()},
        chosen={name: change(rows) for name, rows in study.chosen.items()},
    )


def test_characters_that_nobody_sees_are_shown(study: Simulated, tmp_path: Path):
    said = "an \u202eevil\u202c 18\u200b \x1b[2J\ufeff שלום"

    def unseen(rows: Rows) -> Rows:
        named = {name: said for name in ("question", "gold", "response", "answer") if name in rows.columns}
        return Rows.of([{**row, **named} for row in rows])

    run(with_texts(study, unseen), tmp_path)
    page = render(Results.read(tmp_path), said, {**PROVENANCE, "notes": said})
    assert page.count(r"an \u202eevil\u202c 18\u200b \x1b[2J\ufeff שלום") > 6
    assert not set("\u202e\u202c\u200b\x1b\ufeff") & set(page)


def test_hostile_text_is_shown_and_not_run(study: Simulated, tmp_path: Path):
    run(with_texts(study, hostile), tmp_path)
    page = render(Results.read(tmp_path), HOSTILE, {**PROVENANCE, "notes": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}})
    found = Page(page)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert not found.handlers
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page


def test_hostile_tokens_are_coloured_and_not_run():
    found = Page(str(coloured([(HOSTILE, 0.0, 1), (HOSTILE, 9.0, 1), ("", 9.0, 1)])))
    assert set(found.tags) == {"i"}
    assert not found.handlers


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
    assert Page(render(Results.read(tmp_path), "odd", {})).open == []


def test_missing_cells_are_on_the_page(study: Simulated, tmp_path: Path):
    lost = next(i for i, name in enumerate(study.names) if name.origin == "human")
    fewer = replace(
        study,
        cells=study.cells[:lost] + study.cells[lost + 1 :],
        names=study.names[:lost] + study.names[lost + 1 :],
    )
    run(fewer, tmp_path, (study.names[lost],))
    page = render(Results.read(tmp_path), "abacus", {})
    assert "<b>1 cell is missing</b>" in page
    assert '<h2 id="missing">' in page


def test_tables_for_prefect_and_the_terminal(folder: Path):
    results = Results.read(folder)
    rows = main_table(results)
    assert len(rows) == 30
    assert re.fullmatch(r"\d+\.\d \(\d+\.\d to \d+\.\d\)", rows[0]["score"])
    assert "- **holds**: " in verdict_markdown(results)


def artifact(folder: Path, stage: str, label: str, facts: dict[str, Any]) -> Artifact:
    manifest = {
        "stage": stage,
        "label": label,
        "key": f"{stage} {label}",
        "rows": 10,
        "seconds": 1.5,
        "facts": facts,
        "versions": {"torch": "2"},
    }
    return Artifact(folder, manifest)


def test_stages_are_summed(folder: Path):
    made = tuple(artifact(folder, "generate", "x", {"template": template}) for template in ("a1", "a1", "b2"))
    assert stages_of(made) == [{"stage": "generate", "runs": 3, "rows": 30, "seconds": 4.5, "templates": ["a1", "b2"]}]
    assert "a1, b2" in render(Results.read(folder), "abacus", {}, Steps(made))


def test_what_teachers_cost_and_what_was_kept_is_told(folder: Path):
    spent = {"api_requests": 300, "api_usd": 0.25, "other": 9}
    made = (
        artifact(folder, "generate", "teacher/boxes", spent),
        artifact(folder, "generate", "teacher/choice", {**spent, "api_retries": 2}),
        artifact(folder, "words_kept", "minimum_change/boxes", {"words_kept": 0.8125, "unchanged": 0.2}),
        artifact(folder, "verify", "x", {"correct": 3}),
    )
    declared = {"generate": generate.facts, "words_kept": words_kept.facts}
    told = told_by(made, declared)
    assert told["names"] == ["api_requests", "api_usd", "api_retries", "words_kept", "unchanged"]
    assert told["sums"] == {"api_requests": 600, "api_usd": 0.5, "api_retries": 2}
    assert [step for step, _ in told["lines"]] == [
        *("generate teacher/boxes", "generate teacher/choice", "words_kept minimum_change/boxes")
    ]
    page = render(Results.read(folder), "abacus", {}, Steps(made), declared)
    assert "<td>generate teacher/choice</td>" in page
    assert ">0.81</td>" in page
    assert told_by((), declared)["lines"] == []


def test_how_many_questions_matching_left_is_told(folder: Path):
    facts = {
        "left": {"usable": {"human": 300, "self": 212}, "shared": {"human": 200, "self": 200}}
        | {"taken": {"human": 88, "self": 88}},
        "tokens_within": 0.0421,
        "origins": {
            "human": {"tokens_mean": 40.3, "asked": 300, "left_out": {"too_long": 15, "unmatched": 85, "lengths": 112}},
            "self": {
                "tokens_mean": 42.0,
                "asked": 300,
                "left_out": {"not_correct": 88, "unmatched": 12, "lengths": 112},
            },
        },
    }
    made = (artifact(folder, "select", "abacus/boxes same_length", facts),)
    (line,) = matched_by(made)
    assert (line["shared"], line["taken"]) == (200, 88)
    assert "human 40.3, self 42.0: 4.2 % apart" in render(Results.read(folder), "abacus", {}, Steps(made, choices=made))


def test_what_arms_were_trained_on_and_why_not_on_more_is_told(folder: Path):
    def adapter(seed: int, loss: float) -> Artifact:
        said = {"rows": 30, "longest": 2048, "steps": 6, "loss_first": 2.0, "loss_last": loss, "device": "cpu"}
        said |= {"masked_share": 0.25, "broken": seed > 0}
        made = artifact(folder, "finetune", f"sft/boxes seed {seed}", said)
        method = {"kind": "sft", "code": "Sft", "rank": 8, "mask_above": None}
        return replace(made, manifest={**made.manifest, "ingredients": {"values": {"method": method}}})

    facts = {
        "left": {"usable": {"a": 30, "b": 45}, "shared": {"a": 30, "b": 30}, "taken": {"a": 30, "b": 30}},
        "tokens_within": None,
        "origins": {
            "a": {"tokens_mean": 56.0, "asked": 45, "left_out": {"too_long": 15}},
            "b": {"tokens_mean": 49.5, "asked": 45, "left_out": {"unmatched": 15}},
        },
    }
    chosen = artifact(folder, "select", "boxes", facts)
    room = {"asked": 10, "left_out": 1, "short_of_room": 2, "longest": 3030, "context": 2048}
    of = Arm("abacus-student", "boxes", "sft", "a", "sft")
    steps = Steps(
        choices=(chosen,),
        trained=tuple(TrainedOn(of, seed, adapter(seed, loss), chosen, "a") for seed, loss in enumerate((0.5, 0.25))),
        asked=(artifact(folder, "answerable", "boxes test", room),),
    )
    told = trained_by(steps.choices, steps.trained)
    assert [(one["pool"], one["arms"], one["trained"], one["tokens"]) for one in told["arms"]] == [
        ("a", ["sft"], 30, 56),
        ("b", ["b"], None, 49.5),
    ]
    (line,) = training_of(steps.trained)
    other = {**line, "settings": {"rank": 8, "beta": 0.1}}
    assert shared_settings([line, other]) == {"rank": 8}
    assert shared_settings([line]) == {}, "then it stands with the arm"
    assert (line["settings"], line["adapters"], line["rows"], line["steps"]) == ({"rank": 8}, 2, "30", "6")
    assert (line["loss_last"], line["facts"], line["alarms"]) == (
        "0.25 to 0.50",
        {"masked_share": "0.25"},
        {"broken": 1},
    )
    assert told["reasons"] == {"too_long": REASONS["too_long"], "unmatched": REASONS["unmatched"]}
    assert told["unusable"] == ["a on boxes: 15 of 45 too long for the student"]
    page = render(Results.read(folder), "abacus", {}, steps)
    assert "<b>Broken</b>: 1 of 2 adapters of sft." in page
    assert "masked share 0.25" in page
    assert "a on boxes: 15 of 45 too long for the student" in page
    assert (
        '<td class="number">15</td><td class="number"></td><td class="number">30</td><td class="number">56.0</td>'
        in page
    )
    assert (
        '<td class="number"></td><td class="number">15</td><td class="number">–</td><td class="number">49.5</td>'
        in page
    )
    plain = page.replace("\N{NARROW NO-BREAK SPACE}", "")
    assert "a prompt with its response of more than 2048 tokens" in plain
    assert "<b>1 of 10 evaluation questions</b> of boxes test were left out" in plain
    assert "10 asked, 1 left out since their prompts fill the context of 2048 tokens; 2 leave less room" in plain
    assert Page(page).open == []


def traced(rows: Rows) -> Rows:
    """The responses with tokens: every word one, the more surprising the longer."""
    made = []
    for row in rows:
        words = re.findall(r"\s*\S+", row["response"])
        nll = [0.3 * len(word) for word in words]
        made.append({**row, "token_nll": [*nll, 0.1], "token_text": [*words, ""]})
    return Rows.of(made)


@pytest.fixture(scope="module")
def full(study: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison with claims and tokens."""
    folder = tmp_path_factory.mktemp("full")
    scored = {name: traced(rows) for name, rows in study.scored.items()}
    contrasts = (
        *test_contrast.CONTRASTS[:4],
        Contrast(claim="<b>Hostile</b>", better="human", than="teacher"),
    )
    test_contrast.run(replace(study, scored=scored), folder, contrasts)
    return folder


def test_claims_of_the_study_stand_on_the_page_with_intervals(full: Path):
    page = render(Results.read(full), "abacus", {})
    assert "<h2>Claims of the paper in this study</h2>" in page
    assert "&lt;b&gt;Hostile&lt;/b&gt;" in page
    for answer in json.loads((full / "verdict.json").read_text())["verdicts"][0]["contrasts"]:
        assert answer["sentence"] in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "- **does not hold**: Human beats self. " in verdict_markdown(Results.read(full))


def test_where_the_student_is_surprised_is_coloured_and_drawn(full: Path):
    page = render(Results.read(full), "abacus", {})
    assert "<h2>Where the student is surprised</h2>" in page
    assert page.count("<svg") == 5 + 2
    assert '<i class="s0">over 50' in page
    coloured = re.findall(r'<td class="response">(.*?)</td>', page, flags=re.DOTALL)
    assert any('<i class="s2" title=' in text for text in coloured)
    found = Page(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))


def test_rank_correlations_are_on_the_page(full: Path):
    page = render(Results.read(full), "abacus", {})
    assert "Rank correlation over arms, and length" in page
    assert "within each training benchmark" in page
    verdict = json.loads((full / "verdict.json").read_text())["verdicts"][0]
    shown = [one for one in verdict["correlations"] if one["within_benchmarks"]]
    assert len(shown) == 2
    assert all(one["sentence"] in page.replace("\N{NO-BREAK SPACE}", " ") for one in shown)


def test_trivial_baselines_stand_under_the_origins_and_over_the_matrix(page: str):
    assert page.count("most frequent gold answer") == 2
    assert page.count("the question copied") == 2


def test_with_many_origins_pairs_and_long_examples_are_folded(tmp_path: Path):
    names = ["self", "teacher", "human", *(f"origin_{number}" for number in range(5))]
    run(simulate(chances=dict.fromkeys(names, (0.7, 0.5)), seeds=(0,), items=30), tmp_path)
    page = render(Results.read(tmp_path), "abacus", {})
    assert "<summary>29 claims: " in page
    assert "<summary>8 responses</summary>" in page
    assert Page(page).open == []
    assert "claims about pairs of origins are in the report" in verdict_markdown(Results.read(tmp_path))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures themselves, in place of their texts."""
    found: list[Any] = []
    monkeypatch.setattr(figures, "svg", lambda figure, *_: found.append(figure) or "")
    return found


def test_no_curve_of_perplexities_goes_below_one(drawn: list[Any]) -> None:
    near_one = [1.0, 1.0, 1.01, 1.02, 1.4]
    arms = ["self"] * 5 + ["human"] * 5
    frame = pd.DataFrame({"train_benchmark": "b", "arm": arms, "perplexity": [*near_one, 3.0, 4.0, 5.0, 6.0, 7.0]})
    figures.perplexities(frame)
    (axes,) = drawn[0].axes
    assert axes.get_xlim()[0] == 1
    assert min(path.vertices[:, 0].min() for curve in axes.collections for path in curve.get_paths()) == 1


def test_without_other_benchmarks_there_is_no_panel_for_them(drawn: list[Any]) -> None:
    def known(value: float | None) -> dict[str, float | None]:
        ends = (None, None) if value is None else (value - 0.1, value + 0.1)
        return {"value": value, "low": ends[0], "high": ends[1]}

    standings = [{"arm": arm, "gain": known(0.2), "elsewhere": known(None)} for arm in ("self", "human")]
    figures.changes({"standings": standings, "measure": "accuracy"})
    assert [axes.get_title(loc="left") for axes in drawn[0].axes] == ["In domain"]
    standings[0]["elsewhere"] = known(-0.1)
    figures.changes({"standings": standings, "measure": "accuracy"})
    assert [axes.get_title(loc="left") for axes in drawn[1].axes] == ["In domain", "On the other benchmarks"]
