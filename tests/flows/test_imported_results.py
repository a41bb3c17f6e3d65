"""Imported results: the published ones come out as they are known, and tables of other people one line at a time."""

import csv
import json
import math
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from data.errors import InputError
from flows.cli import predictors_page
from flows.config.imported_file import PUBLISHED, load
from flows.results.imported_results import read
from tasks.comparison.predictor_groups import Choice, Results
from tasks.comparison.predictor_noise import differ
from tasks.comparison.predictor_overview import overview
from tests import commands
from tests.flows.test_study import environment

Rows = list[dict[str, Any]]


def by_hand(predictor: str) -> dict[str, float]:
    """By student, the mean over tasks with four sources of the rank correlation, from the files alone, in fractions:
    means that are equal are equal."""
    accuracies: dict[tuple[str, ...], list[Fraction]] = defaultdict(list)
    with (PUBLISHED / "accuracies.csv").open() as file:
        for row in csv.DictReader(file):
            if row["train_rows"] == "1000" and float(row["learning_rate"]) == 2e-5:
                accuracies[row["model"], row["task"], row["source"]].append(Fraction(row["accuracy"]))
    points: dict[tuple[str, str], list[tuple[float, Fraction]]] = defaultdict(list)
    with (PUBLISHED / "predictors.csv").open() as file:
        for row in csv.DictReader(file):
            runs = accuracies.get((row["model"], row["task"], row["source"]))
            if runs and row[predictor]:
                points[row["model"], row["task"]].append((float(row[predictor]), sum(runs, Fraction()) / len(runs)))
    found: dict[str, list[float]] = defaultdict(list)
    for (student, _), pairs in points.items():
        if len(pairs) >= 4:
            ordered = sorted({accuracy for _, accuracy in pairs})
            found[student].append(
                stats.spearmanr([value for value, _ in pairs], [ordered.index(a) for _, a in pairs]).statistic
            )
    return {student: float(np.mean(each)) for student, each in found.items()}


@pytest.fixture(scope="module")
def published() -> Results:
    return read(load("sppl"))


KNOWN = {"perplexity": (-0.29, -0.31), "icppl": (-0.41, -0.25), "car": (0.29, 0.31)}
"""What is said of the tables where they were made, for Mistral and Llama 3, in floats that part some equal means."""


@pytest.mark.parametrize("predictor", ["perplexity", "icppl", "car", "reward", "idf", "log_probability"])
def test_the_published_correlations_come_out(published: Results, predictor: str) -> None:
    found = overview(published).by_student
    mine = {
        student: next(each.correlation.value for each in records if each.predictor == predictor)
        for student, records in found.items()
    }
    assert mine == pytest.approx(by_hand(predictor), abs=1e-9)
    if predictor in KNOWN:
        assert (mine["mistral"], mine["llama_3_instruct"]) == pytest.approx(KNOWN[predictor], abs=0.01)


def test_the_published_record_has_every_part(published: Results, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(published.groups) == 48
    assert published.groups[0].name == Choice("llama_3_instruct", "agieval")
    found = overview(published)
    assert found.over_benchmarks
    assert {each.left_out: each.folds for each in found.combinations} == {"benchmark": 24, "student": 2}
    assert 0 < found.apart < 48
    assert list(found.against) == ["reward"]
    for each in found.records:
        assert each.correlation.low < each.correlation.value < each.correlation.high
        assert each.regret.value >= 0
        assert each.accuracy.value + each.regret.value == pytest.approx(each.best)
        assert each.accuracy.value - each.above_chance.value == pytest.approx(each.chance)
    predictors_page.show([], [], False, None, as_json=True)
    (said,) = json.loads(capsys.readouterr().out)["results"]
    assert said["predictors"][0]["correlation"]["value"] == found.records[0].correlation.value
    predictors_page.show([], [], False, "icppl", as_json=False)
    out = capsys.readouterr().out
    assert "\nmistral gsm8k " in out
    assert out.count("\nllama_3_instruct ") == 24


def test_bare_answers_count_as_human_where_asked() -> None:
    found = read(load("sppl", ["accuracies.arms={gold_label: groundtruth}"]))
    group = next(group for group in found.groups if group.name == Choice("mistral", "boolq"))
    assert "groundtruth" in group.options
    place = group.options.index("groundtruth")
    assert group.values["perplexity"][place] == pytest.approx(104095.3, abs=0.1)
    ecqa = next(group for group in found.groups if group.name == Choice("mistral", "ecqa"))
    assert ecqa.options.count("groundtruth") == 1, "a source of that name that was trained on keeps it"


class Tables:
    """A folder with two tables and the file that describes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.predictors: Rows = [
            {"who": student, "what": task, "from": source, "ppl": 1.5 + at, "nat": -at}
            for student in ("qwen",)
            for task in ("a", "b")
            for at, source in enumerate(("human", "gpt", "self", "mix"))
        ]
        self.accuracies: Rows = [
            {"llm": "qwen", "on": task, "arm": source, "n": 500, "run": run, "acc": 60 - 10 * at + run}
            for task in ("a", "b")
            for at, source in enumerate(("human", "gpt", "self", "mix"))
            for run in (0, 1)
        ]
        self.file: dict[str, Any] = {
            "name": "third",
            "predictors": {
                "file": "before.csv",
                "columns": {"student": "who", "benchmark": "what", "arm": "from"},
                "better": {"ppl": "lower", "nat": "higher"},
            },
            "accuracies": {
                "file": "after.csv",
                "columns": {"student": "llm", "benchmark": "on", "arm": "arm", "seed": "run", "accuracy": "acc"},
                "out_of": 100,
            },
        }

    def written(self) -> str:
        for name, rows in (("before.csv", self.predictors), ("after.csv", self.accuracies)):
            columns = list(dict.fromkeys(column for row in rows for column in row))
            with (self.folder / name).open("w", newline="") as file:
                writer = csv.DictWriter(file, columns, restval="")
                writer.writeheader()
                writer.writerows(rows)
        path = self.folder / "third.yaml"
        path.write_text(json.dumps(self.file))
        return str(path)

    def read(self) -> Results:
        return read(load(self.written()))


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    monkeypatch.chdir(tmp_path)
    return Tables(tmp_path)


def test_tables_with_other_columns(tables: Tables) -> None:
    found = tables.read()
    assert [group.name for group in found.groups] == [Choice("qwen", "a"), Choice("qwen", "b")]
    group = found.groups[0]
    assert group.options == ("human", "gpt", "self", "mix")
    np.testing.assert_allclose(group.accuracies, [0.605, 0.505, 0.405, 0.305])
    assert found.better == {"ppl": False, "nat": True}
    assert found.notes == ()
    record = overview(found).records[0]
    assert record.correlation.value == pytest.approx(-1)
    assert record.regret.value == pytest.approx(0)
    # Two runs of each arm, one point apart: a standard deviation of 0.01 / sqrt(2) of a run, over sqrt(2) of two, under
    # a t distribution of the four arms' four degrees of freedom.
    assert group.replicates is not None
    reach = np.quantile(group.replicates, 0.975, axis=0) - group.accuracies
    np.testing.assert_allclose(reach, 0.005 * stats.t.ppf(0.975, 4), rtol=0.15)


def test_missing_and_infinite_values_doubled_rows_and_lone_arms(tables: Tables) -> None:
    tables.predictors[0]["ppl"] = "inf"
    tables.predictors[1]["ppl"] = ""
    tables.predictors[2]["nat"] = "NaN"
    tables.predictors += [{**tables.predictors[3], "ppl": 77.0}, dict(tables.predictors[4])]
    tables.predictors.append({"who": "qwen", "what": "a", "from": "lone", "ppl": 1.0, "nat": 1.0})
    tables.accuracies += [{**tables.accuracies[0], "acc": 10}, {**tables.accuracies[2], "acc": ""}]
    tables.accuracies.append({**tables.accuracies[0], "arm": "other"})
    found = tables.read()
    group = found.groups[0]
    np.testing.assert_array_equal(group.values["ppl"], [math.inf, math.nan, 3.5, 77.0])
    np.testing.assert_allclose(group.accuracies, [(0.10 + 0.61) / 2, 0.505, 0.405, 0.305])
    assert found.notes == (
        "before.csv: 1 value given more than once and differently; the last counts",
        "after.csv: 1 run of an arm and seed that an earlier row has too; the last counts",
        "after.csv: 1 run without an accuracy left out",
        "1 arm with no predictor left out: other",
        "1 arm with no accuracy left out: lone",
    )
    tables.file["accuracies"]["repeated"] = "each"
    np.testing.assert_allclose(tables.read().groups[0].accuracies[0], (0.60 + 0.61 + 0.10) / 3)


def test_a_predictor_that_is_empty_is_said_to_be(tables: Tables) -> None:
    for row in tables.predictors:
        row["ppl"] = ""
    found = tables.read()
    assert found.notes == ("before.csv: predictors without a value in any row: ppl",)
    empty, full = overview(found).records
    assert (empty.picks, empty.ranked, full.ranked) == (0, 0, 2)


def test_noise_alone_is_rarely_taken_for_a_difference(tables: Tables) -> None:
    """Twelve arms of three runs that differ by their seeds alone, in 150 choices."""
    generator = np.random.default_rng(0)
    tables.predictors = [
        {"who": "qwen", "what": task, "from": arm, "ppl": arm, "nat": 1} for task in range(150) for arm in range(12)
    ]
    tables.accuracies = [
        {"llm": "qwen", "on": task, "arm": arm, "run": run, "acc": 50 + 3 * generator.normal()}
        for task in range(150)
        for arm in range(12)
        for run in range(3)
    ]
    false = sum(bool(differ(group)) for group in tables.read().groups)
    assert false <= 150 * 0.05 + 3 * math.sqrt(150 * 0.05 * 0.95)


def test_runs_of_other_settings_are_not_compared(tables: Tables) -> None:
    tables.accuracies += [{**row, "n": 1000, "acc": row["acc"] + 5} for row in tables.accuracies if row["on"] == "a"]
    tables.file["accuracies"]["settings"] = ["n"]
    found = tables.read()
    assert [group.name for group in found.groups] == [
        Choice("qwen", "a", "n 1000"),
        Choice("qwen", "a", "n 500"),
        Choice("qwen", "b", "n 500"),
    ]
    assert {group.cluster for group in found.groups} == {"a", "b"}
    tables.file["accuracies"]["where"] = {"n": 1000.0}
    (only,) = tables.read().groups
    assert only.name == Choice("qwen", "a")
    tables.file["accuracies"]["where"] = {"n": [500, 1000], "on": "b"}
    assert [group.name for group in tables.read().groups] == [Choice("qwen", "b")]


def test_a_row_for_each_predictor_and_tables_without_students(tables: Tables) -> None:
    tables.predictors = [
        {"what": row["what"], "from": row["from"], "which": name, "number": row[name]}
        for row in tables.predictors
        for name in ("ppl", "nat")
    ]
    tables.predictors.append({"what": "a", "from": "human", "which": "unasked", "number": "text"})
    columns = {"student": None, "benchmark": "what", "arm": "from", "predictor": "which", "value": "number"}
    tables.file["predictors"]["columns"] = columns
    tables.file["accuracies"]["columns"]["student"] = None
    found = tables.read()
    assert found.groups[1].name == Choice("third", "b")
    np.testing.assert_array_equal(found.groups[1].values["nat"], [0, -1, -2, -3])


def test_test_items_are_noise_too(tables: Tables) -> None:
    tables.accuracies = [row for row in tables.accuracies if row["run"] == 0]
    silent = tables.read()
    assert silent.groups[0].replicates is None
    assert "Nothing tells how noisy the accuracies are" in silent.notes[-1]
    tables.file["accuracies"]["test_items"] = {"a": 100, "other": 400}
    a, b = tables.read().groups
    assert a.replicates is not None
    assert b.replicates is not None
    share = np.array([0.6, 0.5, 0.4, 0.3])
    np.testing.assert_allclose(a.replicates.std(axis=0), np.sqrt(share * (1 - share) / 100), rtol=0.06)
    np.testing.assert_allclose(b.replicates.std(axis=0), np.sqrt(share * (1 - share) / 400), rtol=0.06)


def test_several_files_are_one_more_record(tables: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    predictors_page.show([tables.written(), "sppl"], [], False, None, as_json=True)
    names = [each["name"] for each in json.loads(capsys.readouterr().out)["results"]]
    assert names == ["all imported results", "third", "sppl"]


def change(part: str, /, **values: Any) -> Any:
    """Change a row, or a part of the file."""

    def changed(tables: Tables) -> None:
        match part:
            case "before" | "after":
                {"before": tables.predictors, "after": tables.accuracies}[part][2] |= values
            case "file":
                tables.file |= values
            case _:
                tables.file[part] |= values

    return changed


BROKEN = [
    (change("before", ppl="low"), "before.csv, row 3: column 'ppl' is 'low'; allowed: a number, inf, or nothing"),
    (change("before", ppl="1_000"), "before.csv, row 3: column 'ppl' is '1_000'; allowed: a number, inf, or nothing"),
    (change("before", who=""), "before.csv, row 3: column 'who' is empty"),
    (change("after", acc=101), "after.csv, row 3: column 'acc' is '101'; allowed: 0 to 100"),
    (change("after", acc="-3"), "after.csv, row 3: column 'acc' is '-3'; allowed: 0 to 100"),
    (change("after", acc="inf"), "after.csv, row 3: column 'acc' is 'inf'; allowed: 0 to 100"),
    (change("accuracies", out_of=1), "after.csv, row 1: column 'acc' is '60'; allowed: 0 to 1; percentages: "),
    (change("accuracies", out_of=0), "third.yaml: accuracies.out_of: 0 is not allowed: input should be greater than 0"),
    (
        change("accuracies", where={"n": 7}),
        "after.csv: accuracies.where: no row with an accuracy has n 7 (it has n: '5",
    ),
    (change("accuracies", where={"m": 7}), "after.csv, row 1: column 'm' is missing (has: llm, on, arm, n, run, acc"),
    (change("accuracies", file="gone.csv"), "third.yaml: accuracies.file: gone.csv: there is no such file (looked fr"),
    (change("accuracies", file="/etc/passwd"), "third.yaml: accuracies.file: /etc/passwd: a study may not read this"),
    (change("accuracies", columns={"arm": "source"}), "after.csv, row 1: column 'student' is missing (has: llm"),
    (change("accuracies", colums={}), "third.yaml: accuracies.colums: unknown key; allowed: arms, columns, file, out_"),
    (change("predictors", better={"ppl": "low"}), "third.yaml: predictors.better.ppl: 'low' is not allowed: input sh"),
    (change("predictors", better={}), "third.yaml: predictors.better: {} is not allowed"),
    (change("predictors", better={"pp": "lower"}), "before.csv, row 1: column 'pp' is missing (has: who, what, from,"),
    (change("predictors", same_as={"x": "y"}), "third.yaml: predictors.same_as: 'x' is none of the predictors; allow"),
    (change("file", baselines=["x"]), "third.yaml: baselines: 'x' is none of the predictors; allowed: ppl, nat"),
    (change("file", name="two\nlines"), "third.yaml: name: 'two\\nlines' is not allowed: allowed is a name on one li"),
    (
        lambda tables: tables.accuracies.clear(),
        "after.csv: has no rows",
    ),
    (
        lambda tables: [row.update({"llm": "Qwen/2.5"}) for row in tables.accuracies],
        "before.csv and after.csv have no student in common: the first has qwen, the second Qwen/2.5",
    ),
    (
        lambda tables: [row.update({"ppl": "", "nat": "NaN"}) for row in tables.predictors],
        "before.csv: no predictor has a value in any row (ppl, nat)",
    ),
    (
        lambda tables: [row.update({"acc": "-"}) for row in tables.accuracies],
        "after.csv: no row has an accuracy in the column 'acc'",
    ),
]


@pytest.mark.parametrize(("broken", "said"), BROKEN, ids=[said[:60] for _, said in BROKEN])
def test_what_is_wrong_is_one_line(tables: Tables, broken: Any, said: str) -> None:
    broken(tables)
    with pytest.raises(InputError) as caught:
        tables.read()
    line = str(caught.value)
    assert line.removeprefix(f"{tables.folder}/").startswith(said)
    assert "\n" not in line


def test_no_record_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    predictors_page.show([], [], True, None, as_json=False)
    assert capsys.readouterr().out.count("\n") == 1
    with pytest.raises(InputError, match="--predictor nonsense: there is none of this name; allowed: perplexity, "):
        predictors_page.show([], [], False, "nonsense", as_json=False)


def test_the_command_says_one_line_and_ends_with_2(tables: Tables) -> None:
    tables.predictors[2]["ppl"] = "low"
    given = environment(tables.folder)
    done = commands.run(tables.folder, given, "predictors", "--imported", tables.written())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: before.csv, row 3: column 'ppl' is 'low'; allowed: a number, inf, or nothing\n"
    tables.predictors[2]["ppl"] = 3.5
    done = commands.run(tables.folder, given, "predictors", "--imported", tables.written())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "third\n2 choices, 1 student, 2 benchmarks, 8 trained arms; 95 % intervals: items and"
    )
