"""Feedback on a student's answers: which drafts, by whom, what it states, and what the student is asked."""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.abacus import FAMILIES
from data.abacus import questions as abacus_questions
from data.abacus.human_feedback import human_feedback
from data.abacus.skills import FEEDBACK, RIGHT, WRONG
from data.benchmark import find as find_benchmark
from data.benchmark import questions_of
from data.errors import InputError
from data.options import OptionError
from data.prompt import prompt
from tasks.annotate import annotate
from tasks.human_share import human_share
from tasks.judged_drafts import judged_drafts
from tasks.kinds import verifiers
from tasks.kinds.origins import Context, OriginRows, parse
from tasks.leak_free import leak_free
from tasks.models.filling import fill
from tasks.models.model import resolve
from tasks.origins._annotators import by_benchmark, by_model, by_rule, left_to_annotator, negative_examples
from tasks.origins._feedback_file import FeedbackColumns, FeedbackFile, from_file
from tasks.origins.feedback import Feedback
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.pipeline.work import Work
from tasks.questions import questions
from tasks.resources.errors import StageFailed
from tasks.selection.match import Match
from tasks.selection.more_responses import with_more
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tasks.verification.stated_verdict import VerdictWords

WORDS = VerdictWords("The answer is right.", "The answer is wrong.")
ROWS = Path(__file__).parents[1] / "rows"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "a test", {})


def response(id: str, text: str | None, verdict: str, sample: int = 0, finish: str = "stop") -> Row:
    made = {"sample": sample, "model": "m", "response": text, "finish": finish}
    return {"id": id, "question": f"{id}?", "gold": "7", **made, "verdict": verdict, "answer": "7", "score": 1.0}


def draft(id: str, verdict: str = "wrong", sample: int = 0, **more: Any) -> Row:
    made = {"sample": sample, "draft": f"draft {sample} of {id}", "draft_verdict": verdict}
    return {"id": id, "question": f"{id}?", "gold": "7", **made, **more}


def noted(id: str, verdict: str, feedback: str | None, source: str = "human", **more: Any) -> Row:
    return draft(id, verdict, feedback=feedback, annotator="Ann", source=source, saw_gold=None, **more)


@pytest.mark.parametrize(
    ("feedback", "right", "wrong", "stated"),
    [
        ("2 + 2 = 4. The answer is right.", RIGHT, WRONG, "right"),
        ("2 + 2 = 4. The  answer\nis WRONG. It is 4.", RIGHT, WRONG, "wrong"),
        ("The answer is right. No: the answer is wrong.", RIGHT, WRONG, None),
        ("Hm.", RIGHT, WRONG, None),
        ("", RIGHT, WRONG, None),
        ("Answer 50, right 48.", RIGHT, WRONG, None),
        ("This is incorrect.", "correct", "incorrect", "wrong"),
        ("This is correct.", "correct", "incorrect", "right"),
        ("This is not correct.", "correct", "not correct", "wrong"),
        ("This is correct, that is not correct.", "correct", "not correct", None),
    ],
)
def test_what_feedback_states(feedback: str, right: str, wrong: str, stated: str | None) -> None:
    assert VerdictWords(right, wrong).read(feedback) == stated


def test_drafts_are_complete_responses_each_text_once(work: Work) -> None:
    given = Rows.of(
        [
            response("a", "six", "wrong"),
            response("a", "six", "wrong", 1),
            response("a", "seven", "correct", 2),
            response("a", "eight", "wrong", 3),
            response("b", None, "missing", finish="error"),
            response("b", " ", "unparseable", 1),
            response("b", "cut", "unparseable", 2, "length"),
            response("c", "hm", "unparseable"),
        ]
    )
    made = list(judged_drafts.function(given, 2, work=work))
    assert made == [
        {"id": "a", "question": "a?", "gold": "7", "sample": 0, "draft": "six", "draft_verdict": "wrong"},
        {"id": "a", "question": "a?", "gold": "7", "sample": 2, "draft": "seven", "draft_verdict": "correct"},
        {"id": "c", "question": "c?", "gold": "7", "sample": 0, "draft": "hm", "draft_verdict": "unparseable"},
    ]
    left_out = {"repeated": 1, "surplus": 1, "missing": 1, "empty": 1, "cut_off": 1}
    verdicts = {"wrong": 1, "correct": 1, "unparseable": 1}
    assert work.facts == {"drafts": 3, "verdicts": verdicts, "left_out": left_out}
    assert judged_drafts.step_table(work.facts) == {
        "drafts": "3",
        "verdicts": "1 wrong, 1 correct, 1 unparseable",
        "left out": "1 no response, 1 empty, 1 cut off at the token limit, 1 the same text as another, 1 more than are "
        "asked for",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            [response("a", None, "missing"), response("b", "x", "correct", finish="length")],
            "a test: there is no response to give feedback on: 1 no response, 1 cut off at the token limit",
        ),
        (
            [response("a", "x", "correct"), response("b", "y", "unparseable"), response("c", "z", "unparseable")],
            "a test: of 3 drafts none is judged wrong, and 2 could not be judged: feedback needs a verifier that can",
        ),
    ],
)
def test_without_drafts_or_a_wrong_one_there_is_no_feedback(given: list[Row], said: str, work: Work) -> None:
    with pytest.raises(StageFailed, match=said):
        list(judged_drafts.function(Rows.of(given), 2, work=work))


def test_feedback_is_correct_where_it_states_the_verifiers_verdict(work: Work) -> None:
    people = [
        noted("a", "wrong", "It is 8. The answer is wrong."),
        noted("b", "wrong", "Good. The answer is right."),
        noted("c", "correct", "The answer is right."),
        noted("d", "correct", "Perhaps."),
        noted("e", "unparseable", "The answer is wrong."),
    ]
    model = [
        noted("f", "correct", "The answer is wrong.", "model", finish="stop"),
        noted("g", "correct", None, "model", finish="error"),
    ]
    made = annotate.function({"human": Rows.of(people), "other": Rows.of(model)}, WORDS, work=work)
    assert [(row["id"], row["verdict"], row["answer"], row["score"]) for row in made[:-1]] == [
        ("a", "correct", "wrong", 1),
        ("b", "wrong", "right", 0),
        ("c", "correct", "right", 1),
        ("d", "unparseable", None, 0),
        ("e", "unparseable", "wrong", 0),
        ("f", "wrong", "wrong", 0),
    ]
    assert (made[-1]["verdict"], made[-1]["response"]) == ("missing", None)
    assert made[0]["response"] == "It is 8. The answer is wrong."
    assert {"draft", "draft_verdict", "annotator", "source", "saw_gold"} <= set(made[0])
    assert "feedback" not in made[0]
    assert work.facts == {
        "feedback": 7,
        "sources": {"human": 5, "model": 2},
        "agreement": 2 / 4,
        "agreement_by_source": {"human": 2 / 3, "model": 0.0},
        "answers": 0,
    }
    assert annotate.step_table(work.facts) == {
        "feedback by human": "5",
        "feedback by model": "2",
        "human agrees with the verifier, %": "66.7",
        "model agrees with the verifier, %": "0.0",
    }


def test_an_answer_beside_the_feedback_has_no_draft_and_a_sample_of_its_own(work: Work) -> None:
    people = [noted("a", "wrong", WRONG, sample=0), noted("a", "wrong", WRONG, sample=3)]
    answers = [response("a", "7", "correct"), response("b", "7", "correct")]
    made = annotate.function({"human": Rows.of(people)}, WORDS, Rows.of(answers), work=work)
    assert [(row["id"], row["sample"], row["draft"]) for row in made] == [
        *(("a", 0, "draft 0 of a"), ("a", 3, "draft 3 of a"), ("a", 4, None), ("b", 0, None))
    ]
    assert work.facts["answers"] == 2


IDS = [f"q{number:02d}" for number in range(20)]


def shared(drafts: list[Row], human: list[Row], share: float, work: Work, own: bool = False) -> list[Row]:
    return list(human_share.function(Rows.of(drafts), Rows.of(human), share, own, 3, work=work))


def test_people_have_a_share_of_the_questions_and_a_larger_one_holds_it(work: Work) -> None:
    drafts = [draft(id, sample=sample) for id in IDS for sample in range(1 + (id == "q07"))]
    human = [noted(id, "wrong", WRONG, sample=sample) for id in IDS for sample in range(3)]
    parts = {share: shared(drafts, human, share, work) for share in (0.25, 0.5, 1.0)}
    ids = {share: {row["id"] for row in rows} for share, rows in parts.items()}
    assert [len(each) for each in ids.values()] == [5, 10, 20]
    assert ids[0.25] < ids[0.5] < ids[1.0]
    assert work.facts == {"questions": 20, "of": 20}
    for rows in parts.values():
        left = list(left_to_annotator.function(Rows.of(drafts), Rows.of(rows), work=work))
        assert len(left) + len(rows) == len(drafts), "as many rows whatever the share"
        assert not {row["id"] for row in left} & {row["id"] for row in rows}
        assert all(row["in_place_of"] == row["id"] for row in rows)


def test_feedback_on_other_questions_stands_for_as_many_rows(work: Work) -> None:
    drafts = [draft(id) for id in IDS[:8]]
    shown = [noted(f"negative_examples/{number}", "wrong", WRONG) for number in range(4)]
    few, more = (shared(drafts, shown, share, work, own=True) for share in (0.25, 0.5))
    assert (len(few), len(more)) == (2, 4)
    assert {(row["id"], row["in_place_of"]) for row in few} < {(row["id"], row["in_place_of"]) for row in more}
    left = list(left_to_annotator.function(Rows.of(drafts), Rows.of(more), work=work))
    assert {row["id"] for row in left} == {*IDS[:8]} - {row["in_place_of"] for row in more}


@pytest.mark.parametrize(
    ("given", "share", "own", "said"),
    [
        (3, 0.5, False, r"human_share 0\.5 needs people's feedback for 5 of 10 questions, there is enough for 3 \(as"),
        (3, 0.5, True, r"human_share 0\.5 needs 5 rows of people's feedback \(for 5 of 10 questions\), there are 3"),
        (9, 0.01, False, r"human_share 0\.01 of 10 questions is 0; allowed are 0, 1 and shares that leave"),
        (9, 0.99, False, r"human_share 0\.99 of 10 questions is 10; allowed are"),
    ],
)
def test_a_share_that_people_cannot_fill(given: int, share: float, own: bool, said: str, work: Work) -> None:
    human = [noted(id, "wrong", WRONG) for id in IDS[:given]]
    with pytest.raises(StageFailed, match=f"a test: {said}"):
        shared([draft(id) for id in IDS[:10]], human, share, work, own)


ASKED = Rows.of([{"id": f"t{number}", "question": f"What is {number} + 1?", "gold": "7"} for number in range(3)])
GIVEN: list[dict[str, Any]] = [
    {"id": "t1", "question": "what is  1 + 1?", "draft": "It is 3.</s>", "feedback": "No, 2.", "annotator": "Ann"},
    {"id": "t0", "question": "What is 0 + 1?", "draft": "It is 1.", "feedback": "Yes.", "annotator": "Bob"},
    {"id": "t1", "question": "What is 1 + 1?", "draft": "It is 2.", "feedback": "Yes.", "annotator": "Ann"},
    {"id": "t2", "question": "What is 2 + 1?", "draft": None, "feedback": "Nothing said.", "annotator": "Ann"},
    {"id": "t9", "question": "What is 9 + 1?", "draft": "It is 10.", "feedback": "Yes.", "annotator": "Ann"},
]


def written(folder: Path, kind: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"people.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "csv":
        lines = [[*rows[0]], *([row[name] or "" for name in rows[0]] for row in rows)]
        path.write_text("\n".join(",".join(f'"{each}"' for each in line) for line in lines))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("id", [None, "id"])
def test_a_file_of_feedback_has_its_own_drafts(kind: str, id: str | None, work: Work, tmp_path: Path) -> None:
    file = FeedbackFile(path=written(tmp_path, kind, GIVEN), columns=FeedbackColumns(id=id))
    made = list(from_file.function(ASKED, file, work=work))
    assert [(row["id"], row["sample"], row["response"], row["feedback"], row["annotator"]) for row in made] == [
        ("t0", 0, "It is 1.", "Yes.", "Bob"),
        ("t1", 0, "It is 3.", "No, 2.", "Ann"),
        ("t1", 1, "It is 2.", "Yes.", "Ann"),
    ]
    assert {(row["source"], row["saw_gold"]) for row in made} == {("human", None)}
    assert work.facts == {"feedback": 3, "unused": 1, "missing": 1}


def test_a_file_without_annotators_is_called_by_its_name(work: Work, tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "annotator"} for row in GIVEN]
    file = FeedbackFile(path=written(tmp_path, "jsonl", rows))
    assert {row["annotator"] for row in from_file.function(ASKED, file, work=work)} == {"people"}


def test_a_file_about_other_questions(tmp_path: Path) -> None:
    file = FeedbackFile(path=written(tmp_path, "jsonl", GIVEN[4:]), columns=FeedbackColumns(id="id"))
    said = r"people\.jsonl: none of its 1 rows of feedback is about one of the 3 questions \(by id\)"
    with pytest.raises(InputError, match=said):
        from_file.function(ASKED, file)


def test_feedback_by_rule(work: Work) -> None:
    drafts = Rows.of([draft("a", "wrong"), draft("b", "correct"), draft("c", "unparseable")])
    made = list(by_rule.function(drafts, prompt("feedback_rule"), WORDS, work=work))
    assert [(row["feedback"], row["source"], row["saw_gold"]) for row in made] == [
        ("The answer is wrong. The right answer is 7.", "rule", True),
        ("The answer is right.", "rule", True),
    ]
    assert work.facts == {"unsaid": 1}
    with pytest.raises(InputError, match="needs golden, which row a lacks"):
        list(by_rule.function(drafts, "{{ golden }}", WORDS, work=work))


def test_feedback_of_a_model_keeps_how_it_ended() -> None:
    given = Rows.of([{**draft("a", sample=2), "model": "m", "response": "Yes.", "finish": "length"}])
    (made,) = by_model.function(given, False)
    assert made == {
        **draft("a", sample=2),
        **{"finish": "length", "feedback": "Yes.", "annotator": "m", "source": "model", "saw_gold": False},
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_the_people_of_the_abacus_world_are_right_and_say_the_same_again(family: str) -> None:
    for row in abacus_questions(family, "test", 10, 0):
        for answer, verdict in ((row["gold"], RIGHT), ("no idea", WRONG)):
            said = human_feedback(family, row["question"], f"Final answer: {answer}")
            assert said == human_feedback(family, row["question"], f"Final answer: {answer}")
            assert said.endswith(f"Final answer: {row['gold']}. {verdict}")
            assert WORDS.read(said) == ("right" if verdict == RIGHT else "wrong")
    with pytest.raises(ValueError, match=f"'Who\\?' is no question of {family}"):
        human_feedback(family, "Who?", "Final answer: 1")


def test_drafts_that_people_can_say_nothing_of_are_left_out(work: Work) -> None:
    asked = abacus_questions("boxes", "test", 1, 0)[0]["question"]
    people = partial(human_feedback, "boxes")
    drafts = [{**draft("a"), "question": asked}, draft("b")]
    (made,) = by_benchmark.function(Rows.of(drafts), people, work=work)
    assert (made["id"], made["source"], made["annotator"], made["saw_gold"]) == ("a", "human", "human", True)
    assert work.facts == {"unsaid": 1}
    with pytest.raises(StageFailed, match=r"people say nothing of any draft, row b: 'b\?' is no question of boxes"):
        list(by_benchmark.function(Rows.of(drafts[1:]), people, work=work))


def test_negative_examples_are_questions_of_their_own(work: Work) -> None:
    task = find_benchmark("natural_instructions/task1562").at(ROWS)
    asked = Rows.of(questions_of(task, "test", None, 0))
    made = list(negative_examples.function(asked, WORDS))
    assert made == [
        {
            **{"id": "negative_examples/000000", "question": "Is this lake deep?", "gold": None, "sample": 0},
            "context": "Paraphrase the given question: other words, the same answer.",
            **{"draft": "Is this lake big?", "draft_verdict": "wrong"},
            "feedback": "Deep is not big. The answer is wrong.",
            **{"annotator": "negative_examples", "source": "human", "saw_gold": True},
        }
    ]
    test = Rows.of([{"id": "e", "question": "Is this lake deep?"}])
    assert list(leak_free.function(Rows.of(made), {"test": test}, work=work)) == []
    with pytest.raises(InputError, match="no column is called 'negative_examples'"):
        list(negative_examples.function(ASKED, WORDS))
    none = Rows.of([{**row, "negative_examples": None} for row in asked])
    with pytest.raises(InputError, match="column 'negative_examples' is empty in all"):
        list(negative_examples.function(none, WORDS))


def test_the_same_feedback_on_two_drafts_is_taken_twice() -> None:
    scored = {"verdict": "correct", "response": "The answer is wrong.", "tokens": 5, "prompt_tokens": 5, "nll": 1.0}
    two = Rows.of([{**draft("a", sample=sample), **scored} for sample in (0, 1)])
    again = Rows.of([{**draft("a"), **scored}, {**draft("a"), **scored, "sample": 1}])
    first = pa.array([0]).to_numpy()
    assert [len(with_more(rows, first, 2, Match(), None, "")) for rows in (two, again)] == [2, 1]


def asked() -> Node:
    return questions(find_benchmark("abacus/boxes"), "train", 12, 0)


def context(verifier: str | None = "number", **more: Any) -> Context:
    origins = {"human": parse("human", "human"), "own": parse("self", "own"), "told": parse(options(), "told")}
    told = {"verifier": verifier and verifiers.find(verifier), "origins": origins, **more}
    return Context("mine", "abacus/boxes", resolve("abacus-student"), "{{ question }}\n", 5, **told)


def options(**more: Any) -> dict[str, Any]:
    return {"kind": "feedback", "of": "own", **more}


def described(**more: Any) -> OriginRows:
    return parse(options(**more), "origins.mine").rows(asked(), context())


def test_the_rule_needs_no_model_and_a_model_sees_what_its_template_shows() -> None:
    ruled = described()
    assert ruled.perplexities.upstream == (ruled.verdicts,)
    (rule,) = ruled.verdicts.upstream
    assert (rule.stage.name, rule.upstream[0].stage.name) == ("by_rule", "judged_drafts")
    for told, saw_gold in (("feedback_request", True), ("abacus_feedback", False)):
        made = described(model="abacus-teacher", annotator_prompt=told, max_tokens=99)
        (model,) = made.verdicts.upstream
        asking = model.upstream[0]
        assert (model.stage.name, model.values["saw_gold"], asking.stage.name) == ("by_model", saw_gold, "generate")
        assert asking.values["model"] == resolve("abacus-teacher")
        assert (asking.values["sampling"].temperature, asking.values["sampling"].max_tokens) == (0, 99)
    text = fill(described(model="abacus-teacher").verdicts.upstream[0].upstream[0].values["prompt"], draft("a"))
    assert text.endswith('with the sentence "The answer is right." or the sentence "The answer is wrong."')


def test_only_the_questions_that_people_leave_are_asked_of_a_model() -> None:
    people = context(feedback=partial(human_feedback, "boxes"))
    nodes = {
        share: parse(
            options(model="abacus-teacher", human="benchmark", human_share=share, keep=2), "origins.mine"
        ).rows(asked(), people)
        for share in (0.0, 0.25, 1.0)
    }
    sources = {share: {node.stage.name for node in rows.verdicts.upstream} for share, rows in nodes.items()}
    assert sources == {0.0: {"by_model"}, 0.25: {"human_share", "by_model"}, 1.0: {"human_share"}}
    assert [rows.verdicts.expected_rows for rows in nodes.values()] == [24, 24, 24]
    model = nodes[0.25].verdicts.inputs["annotated"]["other"]
    assert model.upstream[0].upstream[0].stage.name == "left_to_annotator"
    assert model.expected_rows == 18


def test_rows_of_people_come_out_of_the_chain(tmp_path: Path) -> None:
    people = context(feedback=partial(human_feedback, "boxes"))
    given = options(of="human", human="benchmark", human_share=1, learn="feedback_and_answer")
    made = parse(given, "origins.mine").rows(asked(), people).verdicts
    runtime = Runtime(Store(tmp_path))

    def run(node: Node) -> Rows:
        for needed in node.upstream:
            run(needed)
        return execute(node, runtime)[0].rows()

    rows = list(run(made))
    assert len(rows) == 24
    feedback = [row for row in rows if row["draft"] is not None]
    assert len(feedback) == 12
    assert {(row["verdict"], row["answer"], row["draft"] == row["reference"]) for row in feedback} == {
        ("correct", "right", True)
    }
    answers = [row for row in rows if row["draft"] is None]
    assert {(row["verdict"], row["source"], row["response"] == row["reference"]) for row in answers} == {
        ("correct", None, True)
    }
    assert Counter(row["id"] for row in rows) == dict.fromkeys({row["id"] for row in rows}, 2)


def test_the_student_is_asked_for_feedback_and_for_answers_as_in_an_evaluation() -> None:
    both = parse(options(learn="feedback_and_answer", prompt="abacus_feedback"), "origins.mine")
    assert both.kept == 2
    row = {"id": "1", "question": "What is 3 + 4?", "gold": "7"}
    told = both.prompt_template(context())
    assert fill(told, {**row, "draft": None}) == fill(context().prompt, row) == "What is 3 + 4?"
    assert fill(told, {**row, "draft": "8"}) == FEEDBACK.format(question=row["question"], answer="8")
    hidden, shown = (parse(options(gold=gold), "origins.mine") for gold in ("hidden", "shown"))
    texts = [fill(origin.prompt_template(context()), {**row, "draft": "8"}) for origin in (hidden, shown)]
    assert ["Right answer:\n7" in text for text in texts] == [False, True]
    assert all("Question:\nWhat is 3 + 4?" in text and "Answer:\n8" in text for text in texts)
    assert fill(hidden.prompt_template(context()), {**row, "draft": "8", "context": "Add."}).startswith("Add.\n\nQ")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"human_share": 0.5}, r"origins\.x\.human_share: 0\.5 is not allowed: it needs people's feedback \(`human`\)"),
        ({"human": "f.csv", "human_share": 2}, r"origins\.x\.human_share: 2 is not allowed: input should be less"),
        (
            {"human": "negative_examples", "human_share": 1, "gold": "shown"},
            r"origins\.x\.gold: 'shown' is not allowed: negative_examples have no right answer",
        ),
        ({"right": "Ok.", "wrong": "Ok. "}, r"origins\.x\.right: 'Ok\.' is not allowed: `wrong` has the same words"),
        ({"learn": "answer"}, r"origins\.x\.learn: 'answer' is not allowed: input should be 'feedback' or 'feedback"),
    ],
)
def test_wrong_options(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse(options(**wrong), "origins.x")


@pytest.mark.parametrize(
    ("wrong", "told", "said"),
    [
        ({"prompt": "{{ draft }} {{ gold }}"}, {}, r"mine\.prompt: it shows gold, and `gold` is hidden"),
        ({"prompt": "{{ draft }}", "gold": "shown"}, {}, r"mine\.prompt: it shows no right answer .* `gold` is shown"),
        ({"human": "benchmark", "human_share": 1}, {}, r"mine\.human: abacus/boxes has no people who give feedback"),
        ({"human": "none.csv", "human_share": 1}, {}, r"mine\.human: none\.csv: there is no such file"),
        ({"of": "told"}, {}, r"mine\.of: told responds to drafts; allowed are origins that respond to questions"),
        ({}, {"verifier": None}, r"mine: feedback needs a benchmark with a verifier"),
        (
            {},
            {"verifier": "rouge_l"},
            r"mine: the verifier of abacus/boxes cannot say that an answer is wrong, only how near it comes",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(wrong: Any, told: Any, said: str) -> None:
    with pytest.raises(InputError, match=rf"origins\.{said}"):
        parse(options(**wrong), "origins.mine").rows(asked(), context(**told))


def test_a_file_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", [{"question": "?", "draft": "1", "said": "No."}])
    origin = Feedback(of="own", human=path.name, human_share=0.5)
    with pytest.raises(InputError, match=r"origins\.mine\.human: .*row 1: column 'feedback' is missing"):
        origin.rows(asked(), context(roots=(tmp_path,)))
