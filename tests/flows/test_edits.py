"""What each edit costs: the table in docs/edits.md, each line of it run for real on a part of the abacus study."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.flows.edits import Place, beginning

pytestmark = pytest.mark.slow

NUMBER = "tasks/verifiers/number.py"
TRAINED = ("finetune", "attest")
EVERY_RUN = {"compare": 1, "report": 1}
"""What follows wherever any cell or what is said of one changes."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return beginning(tmp_path_factory.mktemp("edits") / "begun")


@pytest.fixture
def place(begun: Place, tmp_path: Path) -> Place:
    return begun.copied(tmp_path / "edited")


def comment(place: Place) -> None:
    place.replace(NUMBER, "    answer = find(response)", "    answer = find(response)  # where it stands")


def docstring(place: Place) -> None:
    place.replace(NUMBER, "Judge by the final number.", "Judge by the number that comes last.")


def moved(place: Place) -> None:
    """A module gets another name and another place in its folder's listing."""
    (place.source / "tasks/verification/verdict.py").rename(place.source / "tasks/verification/judgement.py")
    for file in place.source.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "verification.verdict" in text:
            file.write_text(text.replace("verification.verdict", "verification.judgement"), encoding="utf-8")


def new_pandas(place: Place) -> None:
    """What says of an installed package which version it is, found before the installed one's."""
    (place.source / "pandas-99.0.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: pandas\nVersion: 99.0\n"
    (place.source / "pandas-99.0.dist-info" / "METADATA").write_text(about, encoding="utf-8")


@pytest.mark.parametrize("edit", [comment, docstring, moved, new_pandas])
def test_what_changes_no_result_costs_nothing(place: Place, edit: Callable[[Place], None]) -> None:
    edit(place)
    assert not place.plan()
    made, _ = place.run()
    assert not made


def test_another_origin_costs_that_origin(place: Place) -> None:
    place.study("origins:", "origins:\n  bare: {kind: gold_only}")
    planned = place.plan()
    assert (planned["finetune"], planned["finetune?"]) == (2, 6)
    made, _ = place.run()
    assert (made["finetune"], made["generate"], made["verify"], made["score"]) == (2, 4, 1, 1)
    assert made["training_rows"] == 4  # of all arms, since what is chosen lies in one artifact; three hold the same


def test_one_more_seed_costs_that_seed(place: Place) -> None:
    place.study("seeds: [0, 1]", "seeds: [0, 1, 2]")
    made, _ = place.run()
    assert {name: made[name] for name in ("finetune", "attest", "generate", "compare", "report")} == {
        **{"finetune": 3, "attest": 3, "generate": 6},
        **EVERY_RUN,
    }
    assert not made["select"]


def test_more_questions_take_over_what_is_there(place: Place) -> None:
    place.study("train: 60", "train: 80")
    made, taken = place.run()
    assert taken["generate"] == 60 * (2 + 4)
    assert taken["verify"] == taken["score"] == 60 * (1 + 2 + 4)
    assert made["finetune"] == 6
    assert not made["answerable"]


def test_more_samples_take_over_what_is_there(place: Place) -> None:
    place.study("samples: 4", "samples: 8")
    planned = place.plan()
    assert planned["generate"] == 1
    made, taken = place.run()
    assert made["verify"] == made["score"] == 1
    assert taken["verify"] == taken["score"] == 60 * 4


def test_one_more_evaluation_benchmark_costs_its_answers(place: Place) -> None:
    place.study("abacus/clock]", "abacus/clock, abacus/ledger]")
    made, _ = place.run()
    assert made["generate"] == 7
    assert not made["finetune"] + made["attest"] + made["select"] + made["verify"]


def test_a_mended_verifier_that_changes_no_verdict_runs_no_model(place: Place) -> None:
    read = "        number = plain_number.read(answer.text)"
    place.replace(NUMBER, read, "        text = answer.text\n        number = plain_number.read(text)")
    planned = place.plan()
    assert planned["verify"] == 3
    assert planned["finetune?"] == 6
    assert not planned["finetune"] + planned["generate"]
    made, _ = place.run()
    assert made["verify"] == 3
    assert not made["generate"] + made["select"] + made["finetune"] + made["score"] + made["attest"]


def test_one_that_changes_three_verdicts_trains_what_they_reach(place: Place) -> None:
    rows = [row for file in place.store.glob("verify/*/rows.parquet") for row in pq.read_table(file).to_pylist()]
    three = sorted({row["response"] for row in rows if row["verdict"] == "correct"})[:3]
    gold = '    gold = read_gold(row["gold"])\n'
    place.replace(NUMBER, gold, f'{gold}    if response in {three!r}:\n        return Verdict("wrong", "0")\n')
    made, _ = place.run()
    assert made["verify"] == 3
    assert made["select"] == 1
    assert not made["score"]
    assert made["finetune"] <= 6


def test_max_tokens_that_cut_nothing_off_cost_the_responses(place: Place) -> None:
    """No response of the student is that long: all come out as before, and nothing after them runs."""
    own = "self: {samples: 4, temperature: 0.7, max_tokens: 160}"
    place.study(own, own.replace("160", "150"))
    made, _ = place.run()
    assert made == {"generate": 1, "report": 1}


def test_what_a_teacher_is_told_costs_its_responses_and_what_they_reach(place: Place) -> None:
    place.study("samples: 2, temperature: 0.7", "samples: 2, temperature: 0.6")
    made, _ = place.run()
    assert (made["verify"], made["score"]) == (1, 1)
    assert made["generate"] <= 1 + 12


def test_a_new_chat_template_costs_all_of_its_model(place: Place) -> None:
    template = "data/models/abacus-student/chat_template.jinja"
    place.replace(template, "'<|user|>' + message['content']", "'<|user|>' + ' ' + message['content']")
    made, _ = place.run()
    assert made["finetune"] == made["attest"] == 6
    assert made["generate"] == 1 + 14  # the student's own, and every answer; none of the teacher's
    assert made["score"] == 3
