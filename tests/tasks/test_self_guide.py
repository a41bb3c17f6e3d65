"""What a student writes for itself: which inputs and outputs are kept, and what an arm is trained on."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from data import benchmark as benchmarks
from data.abacus.families import FAMILIES
from data.abacus.few_shot import EXAMPLE, FEW_SHOT
from data.errors import InputError
from data.options import OptionError
from data.prompt import prompt
from tasks.balance_labels import balance_labels
from tasks.filter_responses import filter_responses
from tasks.kinds import verifiers
from tasks.kinds.origins import parse
from tasks.models.filling import fill
from tasks.models.model import resolve
from tasks.models.sampling import Sampling
from tasks.origins.demonstrations import shown_examples
from tasks.origins.self_guide import SelfGuide, outputs
from tasks.origins.shuffled import exchanged
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.pipeline.work import Work
from tasks.pose_in_rounds import Rounds, _Accepted, pose_in_rounds
from tasks.questions import questions
from tasks.resources.errors import StageFailed
from tasks.self_consistency import self_consistency
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Row, Rows
from tasks.synthesis.demonstrations import demonstrations
from tasks.synthesis.filters import Filters, length_window
from tasks.synthesis.labels import entropy, label_set

DEMOS = [{"input": "What is 1 + 1?", "output": "2"}, {"input": "What is 20 + 30?", "output": "50"}]
BENCHMARK = Rows.of(
    [
        {"id": "b0", "question": "What is 3 + 4?", "gold": "7", "context": "Add.", "demos": DEMOS},
        {"id": "b1", "question": "What is 5 + 4?", "gold": "9", "context": "Add.", "demos": DEMOS},
    ]
)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "a test", {})


def said(text: str | None, id: str = "new/0", sample: int = 0, finish: str = "stop", **other: Any) -> Row:
    made = {"sample": sample, "model": "m", "response": text, "finish": finish}
    return {"id": id, "question": "What is 6 + 6?", "context": "Add.", "demos": DEMOS, **made, **other}


@pytest.mark.parametrize(
    ("lengths", "deviations", "window"),
    [
        ((10, 20), 2.0, (5.0, 25.0)),  # mean 15, deviation 5
        ((7, 7, 7), 2.0, (7.0, 7.0)),  # SELF-GUIDE's code rejects every text here
        ((10, 20), 0.5, (10.0, 20.0)),  # narrower than the examples themselves
    ],
)
def test_a_window_of_lengths_holds_its_examples(
    lengths: tuple[int, ...], deviations: float, window: tuple[float, float]
) -> None:
    assert length_window(["x" * length for length in lengths], deviations) == window


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("Add 2 and 22.", "stop", None),
        (" \n", "stop", "empty"),
        ("What is 2 +", "length", "cut_off"),
        ("Sure, What is 2 + 2?", "stop", "noise"),
        ("What?", "stop", "length"),  # 5 characters; examples have 14 and 16, mean 15, deviation 1: 13 to 17
        ("What is 2222 + 3333?", "stop", "length"),
        ("What is 3 + 4?", "stop", "copied"),
        ("what is  1 + 1?", "stop", "copied"),
        ("What is 8 + 1?", "stop", "duplicate"),
        ("What is 8 + 2?", "stop", "near_duplicate"),  # one of 14 characters differs: 0.929
        ("What is 77 + 3?", "stop", None),  # 3 edits to the first, in 15 characters
    ],
)
def test_an_input_is_kept_or_left_out_for_a_reason(text: str, finish: str, reason: str | None) -> None:
    filters = Filters(length=2.0, near_duplicate=0.92)
    known = {"what is 3 + 4?", "what is 5 + 4?", "what is 1 + 1?", "what is 20 + 30?"}
    accepted = _Accepted(filters, [demo["input"] for demo in DEMOS], known)
    accepted.take([{"response": "What is 8 + 1?", "finish": "stop"}])
    accepted.take([{"response": text, "finish": finish}])
    assert accepted.texts == ["What is 8 + 1?", *([] if reason else [text.strip()])]
    assert accepted.left_out == ({reason: 1} if reason else {})
    assert (accepted.asked, accepted.by_round) == (2, [1, 0 if reason else 1])


def test_responses_with_chat_are_left_out_and_counted(work: Work) -> None:
    given = [said("12"), said("Of course! 12"), said(None, finish="error"), said("12", finish="length")]
    assert list(filter_responses.function(Rows.of(given), Filters(), work=work)) == [given[0]]
    assert work.facts == {"responses": 4, "kept": 1, "left_out": {"noise": 1, "missing": 1, "cut_off": 1}}


def test_lengths_of_responses_are_held_against_the_examples_outputs(work: Work) -> None:
    given = [said("12"), said("It is 12, I think.")]  # the outputs have 1 and 2 characters: 0.5 to 2.5
    assert list(filter_responses.function(Rows.of(given), Filters(length=2.0), work=work)) == [given[0]]
    assert work.facts["left_out"] == {"length": 1}


def test_a_filter_that_rejects_everything_is_named(work: Work) -> None:
    given = Rows.of([said("Sure, 12"), said("Sure, 13")])
    with pytest.raises(StageFailed, match=r"a test: none of 2 responses is kept: 2 chat or marks .*\(noise\)"):
        list(filter_responses.function(given, Filters(), work=work))


def made(*texts: str, agreement: float = 0.5, pick: str = "agreeing", verifier: str = "number") -> Any:
    rows = [said(text, sample=number) for number, text in enumerate(texts)]
    return Rows.of(rows), BENCHMARK, verifiers.find(verifier), agreement, "generation", pick


ANSWERS = ("Final answer: 11", "6 + 6 = 12. Final answer: 12", "Final answer: 12", "Final answer: 12.0")


@pytest.mark.parametrize(
    ("texts", "options", "gold", "learnt", "agreement"),
    [
        (ANSWERS, {}, "12", "6 + 6 = 12. Final answer: 12", 0.75),
        (ANSWERS, {"pick": "first"}, "12", "Final answer: 11", 0.75),
        (("the cat", "A dog", "the cats"), {"verifier": "rouge_l"}, "the cat", "the cat", 2 / 3),
    ],
)
def test_the_response_that_most_agree_with_is_learnt(
    texts: tuple[str, ...], options: dict[str, Any], gold: str, learnt: str, agreement: float, work: Work
) -> None:
    (row,) = list(self_consistency.function(*made(*texts, **options), work=work))
    assert (row["gold"], row["reference"], row["solutions"]) == (gold, learnt, len(texts))
    assert row["agreement"] == pytest.approx(agreement)
    assert not {"sample", "model", "response", "finish"} & set(row)
    (trained,) = outputs.function(Rows.of([row]), "student")
    assert (trained["response"], trained["model"], trained["sample"]) == (learnt, "student", 0)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (("Final answer: 12", "Final answer: 13"), "1 several answers are as frequent"),
        (tuple(f"Final answer: {number}" for number in (12, 12, 13, 14, 15)), "1 too few solutions agree"),
        (("Hm.", "Well."), "1 no solution has an answer that can be read"),
    ],
)
def test_an_input_without_agreement_is_left_out(texts: tuple[str, ...], why: str, work: Work) -> None:
    with pytest.raises(StageFailed, match=f"none of 1 inputs has an output: {why}"):
        list(self_consistency.function(*made(*texts), work=work))


LABELLED = Rows.of([{"id": "a", "question": "?", "gold": "Yes."}, {"id": "b", "question": "?", "gold": "no"}])


def test_in_classification_only_labels_are_outputs(work: Work) -> None:
    given = [said("yes", "0"), said("maybe", "1"), said("no", "2")]
    found = self_consistency.function(
        Rows.of(given), LABELLED, verifiers.find("ni_exact"), 0.3, "classification", "agreeing", work=work
    )
    rows = list(found)
    assert [row["reference"] for row in rows] == ["yes", "no"]
    assert [row["gold"] for row in rows] == ["Yes.", "no"]  # as the benchmark spells it
    assert work.facts["left_out"] == {"no_label": 1}


def test_every_label_gets_as_many_rows_as_the_rarest_and_a_missing_one_is_named(work: Work) -> None:
    notes: list[str] = []
    work.runtime.listener = lambda kind, name, said: notes.append(said["text"])
    golds = ["yes", "no", "yes", "yes", "no", "yes", "yes", "yes"]
    given = [{"id": str(at), "gold": gold} for at, gold in enumerate(golds)]
    benchmark = Rows.of([{"id": "a", "question": "?", "gold": "yes", "labels": ["yes", "no", "perhaps"]}])
    rows = list(balance_labels.function(Rows.of(given), benchmark, 0, work=work))
    assert [row["gold"] for row in rows].count("yes") == [row["gold"] for row in rows].count("no") == 2
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert work.facts["labels"] == {"no": 2, "yes": 6}
    assert (work.facts["missing"], work.facts["each"], work.facts["kept"]) == (["perhaps"], 2, 4)
    assert work.facts["entropy"] == pytest.approx(0.8113, abs=1e-4)  # of 1/4 and 3/4
    assert notes == ["labels that no row has, which will not be learnt: perhaps"]


def test_entropy_of_labels() -> None:
    assert entropy(["a", "a"]) == 0
    assert entropy(["a", "b"]) == 1
    assert entropy(["a", "b", "c", "d"]) == 2


def test_wrong_benchmarks_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"origins.x: the label set has one label alone, yes; allowed"):
        label_set(Rows.of([{"id": "a", "question": "?", "gold": "yes"}]), "origins.x")
    with pytest.raises(InputError, match=r"origins.x: the questions have no examples \(column 'demos'\); allowed"):
        demonstrations({"id": "a"}, "origins.x")
    with pytest.raises(InputError, match=r"origins.x: example 2 \(column 'demos'\) has output ' '; allowed is a text"):
        demonstrations({"demos": [DEMOS[0], {"input": "?", "output": " "}]}, "origins.x")


def test_examples_are_questions_that_do_not_show_their_own_answer(work: Work) -> None:
    first, second = shown_examples.function(BENCHMARK, work=work)
    assert (first["question"], first["gold"], first["demos"]) == ("What is 1 + 1?", "2", DEMOS[1:])
    assert (second["question"], second["gold"], second["demos"]) == ("What is 20 + 30?", "50", DEMOS[:1])
    assert "20 + 30" not in fill(prompt("few_shot"), second).partition("Input: What is 20")[0]
    alone = Rows.of([{"id": "b0", "question": "?", "gold": "7", "demos": DEMOS[:1]}])
    with pytest.raises(StageFailed, match="a test: the task has one example alone; two or more"):
        list(shown_examples.function(alone, work=work))


def test_exchanged_responses_answer_another_question(work: Work) -> None:
    given = Rows.of([said(str(number), id=str(number)) for number in range(9)])
    rows = list(exchanged.function(given, 0, work=work))
    assert sorted(row["response"] for row in rows) == sorted(given.column("response"))
    assert all(row["response"] != row["id"] for row in rows)
    assert work.facts == {"same": 0}


def test_a_preset_is_what_is_not_said_otherwise() -> None:
    generation, classification = parse("self_guide", "origins.a"), parse({"preset": "classification"}, "", "self_guide")
    assert isinstance(generation, SelfGuide)
    assert isinstance(classification, SelfGuide)
    assert (generation.rounds, generation.input_temperature, generation.output_length) == (20, 1.0, 2.0)
    assert (classification.rounds, classification.input_temperature, classification.output_length) == (40, 0.6, None)
    assert (classification.task, classification.posed_at_most) == ("classification", 400)
    other = parse({"preset": "classification", "rounds": 5, "output_length": 1.0}, "", "self_guide")
    assert isinstance(other, SelfGuide)
    assert (other.rounds, other.output_length, other.task) == (5, 1.0, "classification")
    with pytest.raises(OptionError, match=r"origins.a.preset: 'both' is not allowed"):
        parse({"preset": "both"}, "origins.a", "self_guide")


@pytest.mark.parametrize("family", FAMILIES)
def test_abacus_by_examples_asks_in_the_words_the_student_was_trained_on(family: str) -> None:
    benchmark = benchmarks.find(f"abacus_few_shot/{family}")
    (row,) = benchmarks.questions_of(benchmark, "test", 1, 0)
    (plain,) = benchmarks.questions_of(benchmarks.find(f"abacus/{family}"), "test", 1, 0)
    assert {name: row[name] for name in plain} == plain
    shown = "\n".join(EXAMPLE.format(question=demo["input"], answer=demo["output"]) for demo in row["demos"])
    words = FEW_SHOT.format(instruction=FAMILIES[family].instruction, examples=shown, question=row["question"])
    assert fill(benchmark.prompt, row) == words
    for demo in row["demos"]:
        problem = FAMILIES[family].read(demo["input"])
        assert FAMILIES[family].work(problem).answer == demo["output"]


def node(rounds: int = 3, prompts: int = 8, **sampling: Any) -> Node:
    asked = questions(benchmarks.find("abacus_few_shot/ledger").only("train"), "train", 30, 0)
    student = resolve("abacus-student")
    return pose_in_rounds(
        *(asked, student, prompt("abacus_pose_in_rounds"), prompt("few_shot"), "generation"),
        Rounds(rounds=rounds, prompts=prompts, shown=1),
        Sampling(**{"temperature": 1.0, "max_tokens": 80, **sampling}),
        Filters(),
        7,
    )


def posed(step: Node, runtime: Runtime) -> Artifact:
    for needed in step.upstream:
        execute(needed, runtime)
    return execute(step, runtime)[0]


@pytest.mark.slow
def test_the_student_writes_inputs_of_its_task(runtime: Runtime) -> None:
    artifact = posed(node(), runtime)
    rows = list(artifact.rows())
    texts = [row["question"] for row in rows]
    assert len(texts) == len(set(texts)) == artifact.facts["kept"] == sum(artifact.facts["kept_by_round"])
    assert artifact.facts["asked"] == 24 == artifact.facts["kept"] + sum(artifact.facts["left_out"].values())
    assert sum(FAMILIES["ledger"].read(text) is not None for text in texts) > len(texts) / 2
    assert {"context", "demos"} <= set(rows[0])


@pytest.mark.slow
def test_examples_that_leave_no_room_are_refused(runtime: Runtime) -> None:
    with pytest.raises(StageFailed, match=r"the instruction and its 3 examples have .* tokens: with 5,000"):
        posed(node(max_tokens=5000), runtime)


@pytest.mark.slow
def test_killed_in_the_middle_of_a_round_it_goes_on_there(runtime: Runtime, tmp_path: Path) -> None:
    script = f"""
        from pathlib import Path
        from tasks.pipeline.runtime import Placement, Runtime
        from tasks.storage.artifacts import Store
        from tests.tasks.test_self_guide import node, posed
        posed(node(4, 40), Runtime(Store(Path({str(tmp_path)!r})), Placement(kv_cache_gib=0.125)))
    """

    def written() -> list[int]:
        files = tmp_path.glob("pose_in_rounds/*/scratch/*.jsonl")
        return [json.loads(line)["number"] for file in files for line in file.read_text().splitlines()[:-1]]

    runtime.engines.release()
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    while len(before := written()) < 50:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = written()
    assert 40 < len(before) < 160
    resumed = posed(node(4, 40), Runtime(Store(tmp_path), runtime.placement, _engines=runtime.engines))
    whole = posed(node(4, 40), runtime)
    assert list(resumed.rows()) == list(whole.rows())
    assert resumed.facts == whole.facts
