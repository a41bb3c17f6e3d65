"""How responses go about their questions: told of each, counted by arm, drawn and tabled on the page."""

import functools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.compare import compare
from tasks.comparison.approaches import APPROACHES, Approaches
from tasks.comparison.cell import UNTRAINED, Cell, ResponsesOf
from tasks.comparison.records import Evaluated, Offered
from tasks.comparison.results import Results
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.report import render
from tasks.reporting.learnt import Panel, panels
from tasks.reporting.learnt_figure import drawn_of
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.tasks.simulated import Simulated, simulate
from tests.tasks.test_report import Page

WORDS = ("careful", "hasty", "neither")


def by_steps(least: int, question: str, response: str) -> str:
    """Careful with at least so many sums, hasty with fewer, neither without any."""
    steps = response.count("=")
    return "careful" if steps >= least else "hasty" if steps else "neither"


TOLD = {on: Approaches(functools.partial(by_steps, 2), WORDS) for on in ("boxes", "clock")}
CAREFUL, HASTY, NEITHER = "1 + 1 = 2. 2 + 1 = 3. 3", "1 + 2 = 3. 3", "3"


def run(cells: Any, offered: Any, folder: Path, told: Any = TOLD) -> Results:
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(folder, Runtime(Store(folder / "store")), "compare test", {})
    compare.function(tuple(cells), tuple(offered), approaches=told, work=work)
    return Results.read(folder)


def judged(responses: list[tuple[str | None, str]]) -> list[Row]:
    return [
        {
            **{"id": f"q{number}", "sample": 0, "question": "q", "gold": "3", "response": response},
            **{"verdict": verdict, "score": {"correct": 1.0, "wrong": 0.0}.get(verdict, float("nan"))},
        }
        for number, (response, verdict) in enumerate(responses)
    ]


def evaluated(train: str, arm: str, seed: int, on: str, *responses: tuple[str | None, str]) -> Evaluated[Rows]:
    cell = Cell("s", train, arm, arm, "sft" if train else "", 0, seed, on)
    return Evaluated(cell, Rows.of(judged(list(responses))))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    hasty, careful, none = (HASTY, "correct"), (CAREFUL, "correct"), (NEITHER, "wrong")
    cells = [
        evaluated("", UNTRAINED, 0, "boxes", hasty, (HASTY, "wrong"), careful, (None, "missing")),
        evaluated("", UNTRAINED, 0, "sums", careful, careful),
        evaluated("boxes", "self", 0, "boxes", careful, careful, careful, none),
        evaluated("boxes", "self", 1, "boxes", careful, hasty, careful, hasty),
        evaluated("boxes", "self", 0, "sums", careful, hasty),
        evaluated("boxes", "self", 1, "sums", careful, hasty),
    ]
    scored = [
        {**row, "tokens": 5, "nll": 1.0, "perplexity": 1.2} for row in judged([careful, hasty, (HASTY, "wrong"), none])
    ]
    chosen = Rows.of([{"origin": "self", "id": f"q{number}", "sample": 0} for number in (0, 1, 2)])
    offered = Offered(ResponsesOf("s", "boxes", "self"), "self", Rows.of(scored), Rows.of(scored), chosen)
    return run(cells, [offered], tmp_path_factory.mktemp("told"))


def counted(results: Results, **where: str) -> dict[str, tuple[int, float, int]]:
    table = results.tables["approaches"]
    for column, value in where.items():
        table = table[table[column] == value]
    return {row.approach: (row.n, row.share, row.correct) for row in table.itertuples()}


def test_each_answer_has_its_approach_and_those_of_other_benchmarks_none(results: Results) -> None:
    items = pd.read_parquet(results.folder / "items.parquet")
    untrained = items[(items["arm"] == UNTRAINED) & (items["eval_benchmark"] == "boxes")]
    assert untrained["approach"].tolist()[:3] == ["hasty", "hasty", "careful"]
    assert untrained["approach"].isna().tolist() == [False, False, False, True], "no response goes about nothing"
    assert items.loc[items["eval_benchmark"] == "sums", "approach"].isna().all()


def test_shares_are_means_over_seeds_of_the_answers_there_are(results: Results) -> None:
    assert tuple(pd.read_csv(results.folder / "approaches.csv").columns) == APPROACHES
    base = counted(results, arm=UNTRAINED)
    assert base == {
        "careful": (1, pytest.approx(1 / 3), 1),
        "hasty": (2, pytest.approx(2 / 3), 1),
        "neither": (0, 0, 0),
    }
    after = counted(results, arm="self", rows="answers")
    assert after == {
        "careful": (5, pytest.approx((3 / 4 + 2 / 4) / 2), 5),
        "hasty": (2, pytest.approx((0 + 2 / 4) / 2), 2),
        "neither": (1, pytest.approx((1 / 4 + 0) / 2), 0),
    }


def test_right_responses_that_were_trained_on_for_wrong_reasons_are_counted(results: Results) -> None:
    assert counted(results, arm="self", rows="trained on") == {
        "careful": (1, pytest.approx(1 / 3), 1),
        "hasty": (2, pytest.approx(2 / 3), 1),
        "neither": (0, 0, 0),
    }
    responses = pd.read_parquet(results.folder / "responses.parquet")
    assert responses["approach"].tolist() == ["careful", "hasty", "hasty", "neither"]


def test_feedback_goes_about_no_question(tmp_path: Path) -> None:
    cells = [evaluated("boxes", "told", 0, "boxes", (CAREFUL, "correct"))]
    known = {"tokens": 5, "nll": 1.0, "perplexity": 1.2}
    answer, feedback = ({**row, **known} for row in judged([(CAREFUL, "correct"), (HASTY, "correct")]))
    rows = Rows.of([{**answer, "draft_verdict": None}, {**feedback, "draft_verdict": "wrong"}])
    chosen = Rows.of([{"origin": "told", "id": f"q{number}", "sample": 0} for number in (0, 1)])
    offered = Offered(ResponsesOf("s", "boxes", "told"), "told", rows, rows, chosen)
    counts = counted(run(cells, [offered], tmp_path), rows="trained on")
    assert counts == {"careful": (1, 1, 1), "hasty": (0, 0, 0), "neither": (0, 0, 0)}
    assert pd.read_parquet(tmp_path / "responses.parquet")["approach"].isna().tolist() == [False, True]


def test_the_page_shows_scores_and_shares_before_and_after(results: Results) -> None:
    page = render(results, "told", {})
    assert "careful, hasty, neither" in page
    assert "the share of answers that are hasty" in page
    after = '<td class="number">66.7</td><td class="number">25.0</td>'
    assert after in page, "hasty before and after, in the table"
    assert '<td class="number">1 of 2</td>' in page, "hasty and yet right, of what was trained on"
    assert Page(page).open == []


def test_without_a_benchmark_that_tells_scores_alone_are_shown(tmp_path: Path) -> None:
    study = simulate(train=("boxes",), evaluate=("boxes",), items=20)
    results = run(study.evaluated, study.offered, tmp_path, {})
    assert (tmp_path / "approaches.csv").read_text() == ",".join(APPROACHES) + "\n"
    page = render(results, "untold", {})
    assert "<h2>What was learnt</h2>" in page
    assert "share of answers that are" not in page
    assert "trained on go about" not in page


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (lambda question, response: "quick", "boxes: approach is 'quick'; allowed: careful, hasty, neither"),
        (lambda question, response: 1 / 0, "boxes: approach raised ZeroDivisionError"),
    ],
)
def test_a_word_or_an_error_that_nobody_knows_fails(told: Any, why: str, tmp_path: Path) -> None:
    study = simulate(train=("boxes",), evaluate=("boxes",), items=2, questions=2)
    with pytest.raises(StageFailed, match=re.escape(why)):
        run(study.evaluated, study.offered, tmp_path, {"boxes": Approaches(told, WORDS)})


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulated, Results]:
    """Ten arms on twenty benchmarks."""
    names = [f"arm{number}" for number in range(10)]
    study = simulate(
        train=("clock",),
        evaluate=("clock", *(f"b{number:02d}" for number in range(19))),
        chances={UNTRAINED: (0.5, 0.5), **dict.fromkeys(names, (0.7, 0.4))},
        seeds=(0,),
        items=12,
        questions=6,
    )
    return study, run(study.evaluated, study.offered, tmp_path_factory.mktemp("wide"))


def panel_of(results: Results) -> Panel:
    summary = results.tables["summary"]
    (panel,) = panels(summary, results.tables["approaches"], sorted(summary["arm"].unique()))
    return panel


def test_the_benchmark_trained_on_stands_first_and_the_others_that_moved_most_are_drawn(
    wide: tuple[Simulated, Results],
) -> None:
    panel = panel_of(wide[1])
    assert [one.on for one in panel.evaluations] == ["clock", *(f"b{number:02d}" for number in range(19))]
    drawn = drawn_of(panel)
    assert drawn[0].in_domain
    assert 2 <= len(drawn) < len(panel.evaluations)
    left_out = [one.moved for one in panel.evaluations if one not in drawn]
    assert min(one.moved for one in drawn[1:]) >= max(left_out)


def test_what_is_not_drawn_is_in_the_table_and_the_page_says_so(wide: tuple[Simulated, Results]) -> None:
    page = render(wide[1], "wide", {})
    assert "those that changed most are drawn, and all are in the table" in page
    assert "stands first, on a shaded ground" in page
    assert all(f"<td>b{number:02d}</td>" in page for number in range(19))


def test_of_benchmarks_that_do_not_tell_the_share_is_left_open(wide: tuple[Simulated, Results]) -> None:
    evaluations = {one.on: one for one in panel_of(wide[1]).evaluations}
    assert {line.other for line in evaluations["clock"].lines} == {"hasty"}
    assert {line.other for line in evaluations["b00"].lines} == {""}


def test_a_benchmark_of_any_name_is_drawn_and_marked_only_where_it_was_evaluated(tmp_path: Path) -> None:
    study = simulate(train=('<b>a" onload="x',), evaluate=("clock",), items=4, questions=4, seeds=(0,))
    found = Page(page := render(run(study.evaluated, study.offered, tmp_path), "named", {}))
    assert "stands first, on a shaded ground" not in page
    assert not found.handlers
    assert found.open == []


def test_controls_are_not_among_the_arms_drawn(tmp_path: Path) -> None:
    study = simulate(
        train=("boxes",),
        evaluate=("boxes",),
        items=10,
        questions=4,
        chances={UNTRAINED: (0.5, 0.5), "self": (0.7, 0.5)},
    )
    repeated = [
        replace(one, cell=replace(one.cell, arm="self@same_length")) for one in study.evaluated if one.cell.trained
    ]
    page = render(run([*study.evaluated, *repeated], study.offered, tmp_path), "controls", {})
    figure = page[page.index("<h2>What was learnt</h2>") : page.index("<summary>the same as a table")]
    assert "self" in figure
    assert "self@same_length" not in figure
