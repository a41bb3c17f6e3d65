"""Origins that work on other origins' responses: what is asked of whom, and what comes of it."""

from pathlib import Path
from typing import Any

import pytest

from data.benchmark import find as find_benchmark
from data.errors import InputError
from tasks.kinds import verifiers
from tasks.kinds.origins import Context, parse
from tasks.models.model import resolve
from tasks.origins._reworking import drafts
from tasks.origins.by_perplexity import most_familiar
from tasks.origins.gold_only import filled
from tasks.origins.minimum_change import kept, summary, words_kept
from tasks.origins.mixture import mix
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node
from tasks.pipeline.work import Work
from tasks.questions import questions
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows

REWORKINGS = ("minimum_change", "rewrite", "step_by_step", "step_by_step_as_is", "paraphrase")


def asked() -> Node:
    return questions(find_benchmark("abacus/ledger"), "train", 12, 0)


def context(origin: str, **origins: Any) -> Context:
    return Context(
        *(origin, "abacus/ledger", resolve("abacus-student"), "{{ question }}", 5),
        verifier=verifiers.find("number"),
        origins={name: parse(options, name) for name, options in origins.items()},
    )


def responses(origin: str, **origins: Any) -> Node:
    told = context(origin, **origins)
    return told.origins[origin].responses(asked(), told)


def row(id: str, response: str, sample: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": id, "question": "?", "gold": "1", "sample": sample, "model": "m", "response": response, **more}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path)), "a test", {})


@pytest.mark.parametrize("kind", REWORKINGS)
def test_a_teacher_is_shown_the_other_origins_responses(kind: str, tmp_path: Path) -> None:
    made = responses("made", made={"kind": kind, "of": "human", "model": "abacus-teacher"}, human={"kind": "human"})
    generated = made.upstream[0] if kind == "minimum_change" else made
    assert generated.stage.name == "generate"
    assert generated.values["model"] == resolve("abacus-teacher")
    assert "{{ draft }}" in generated.values["prompt"]
    shown = generated.upstream[0]
    runtime = Runtime(Store(tmp_path))
    for needed in (asked(), shown.upstream[0]):
        execute(needed, runtime)
    first = execute(shown, runtime)[0].rows()[0]
    assert first["draft"] == first["reference"]
    assert not {"response", "sample", "model"} & set(first)


def test_minimum_change_corrects_the_students_greedy_answer_unless_told_otherwise() -> None:
    made = responses("made", made={"kind": "minimum_change", "model": "abacus-teacher", "max_tokens": 99})
    student = made.upstream[0].upstream[0].upstream[0]
    assert student.values["model"] == resolve("abacus-student")
    assert (student.values["sampling"].temperature, student.values["sampling"].max_tokens) == (0, 99)


def test_a_source_is_the_same_step_as_the_studys_own_origin() -> None:
    teacher = {"kind": "teacher", "model": "abacus-teacher"}
    paraphrase = {"kind": "paraphrase", "of": "teacher", "model": "abacus-teacher"}
    both: dict[str, Any] = {"teacher": teacher, "paraphrase": paraphrase}
    assert responses("paraphrase", **both).upstream[0].upstream[0].recipe == responses("teacher", **both).recipe


def test_the_prompt_is_the_users_and_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERTONGUE_ALLOW_PATHS", str(tmp_path))
    (tmp_path / "mine.jinja").write_text("Say {{ draft }} again.")
    options = {"kind": "rewrite", "model": "abacus-teacher"}
    keys = {
        responses("made", made={**options, "prompt": prompt}, human={"kind": "human"}).recipe
        for prompt in ("rewrite", "abacus_rewrite", str(tmp_path / "mine.jinja"), "Say {{ draft }} again!")
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("origins", "message"),
    [
        (
            {"made": {"kind": "rewrite", "of": "humen", "model": "abacus-teacher"}},
            "origins.made.of: no origin is called",
        ),
        (
            {
                "made": {"kind": "rewrite", "of": "other", "model": "abacus-teacher"},
                "other": {"kind": "paraphrase", "of": "made", "model": "abacus-teacher"},
            },
            "origins.other.of: made needs other needs made, which has no beginning",
        ),
        (
            {"made": {"kind": "rewrite", "model": "abacus-teacher", "prompt": "rewritten"}, "human": "human"},
            "no prompt",
        ),
    ],
)
def test_what_cannot_be_is_named(origins: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        responses("made", **origins)


def test_drafts_takes_the_first_sample_right_or_wrong(work: Work) -> None:
    rows = Rows.of([row("a", "second", 1), row("a", "first"), row("b", "")])
    made = list(drafts.function(rows, work=work))
    assert [(one["id"], one["draft"]) for one in made] == [("a", "first"), ("b", "")]
    assert set(made[0]) == {"id", "question", "gold", "draft"}


def test_words_kept() -> None:
    assert kept("a b c d", "a b c d") == 1
    assert kept("a b c d", "a b x d") == pytest.approx(6 / 8)
    assert kept("a b", "c d e") == 0
    assert kept("", "") == 1
    rows = Rows.of(list(words_kept.function(Rows.of([row("1", "a b", draft="a b"), row("2", "a c", draft="a b")]))))
    assert summary(rows) == {"words_kept": pytest.approx(0.75), "unchanged": 0.5}


def test_a_mixture_keeps_to_its_shares_and_never_fills_up(work: Work) -> None:
    ids = [f"q{number}" for number in range(4000)]
    many = {"a": Rows.of([row(id, "a") for id in ids]), "b": Rows.of([row(id, "b", n) for id in ids for n in (0, 1)])}
    made = list(mix.function(many, {"a": 1.0, "b": 3.0}, 0, work=work))
    assert work.facts["questions"]["a"] + work.facts["questions"]["b"] == 4000
    assert work.facts["questions"]["a"] == pytest.approx(1000, abs=4 * 27.4)
    assert all(len({one["response"] for one in made if one["id"] == id}) == 1 for id in ids[:50])
    fewer = {**many, "a": Rows.of([row(ids[0], "a")])}
    left = {one["id"] for one in mix.function(fewer, {"a": 1.0, "b": 3.0}, 0, work=work) if one["response"] == "b"}
    assert left == {one["id"] for one in made if one["response"] == "b"}


@pytest.mark.parametrize(
    ("pick", "correct", "winner"), [("lowest", True, "b"), ("highest", True, "c"), ("lowest", False, "a")]
)
def test_the_most_or_least_familiar_of_the_correct(pick: Any, correct: bool, winner: str, work: Work) -> None:
    def scored(response: str, perplexity: float, verdict: str = "correct") -> Rows:
        return Rows.of([row("q", response, verdict=verdict, perplexity=perplexity, nll=1.0, tokens=3, answer="1")])

    sources = {
        "x": scored("a", 1.1, "wrong"),
        "y": scored("b", 1.2),
        "z": scored("c", 1.3),
        "w": scored("d", float("nan")),
    }
    (chosen,) = most_familiar.function(sources, sources, pick, correct, work=work)
    assert (chosen["response"], chosen["sample"]) == (winner, 0)
    assert not {"verdict", "perplexity", "tokens", "nll", "answer"} & set(chosen)
    assert work.facts["answered"] == 1


def test_what_select_would_not_take_is_not_chosen(work: Work) -> None:
    known = {"verdict": "correct", "nll": 1.0, "tokens": 3, "answer": "1"}
    rows = [
        row("q", "cut off", 0, finish="length", perplexity=1.0, **known),
        row("q", "", 1, finish="error", perplexity=1.1, **known),
        row("q", "whole", 2, finish="stop", perplexity=1.2, **known),
    ]
    offered = {"a": Rows.of(rows)}
    (chosen,) = most_familiar.function(offered, offered, "lowest", False, work=work)
    assert chosen["response"] == "whole"


def test_by_perplexity_scores_with_the_student() -> None:
    made = responses("made", made={"kind": "by_perplexity", "of": ["human", "self"]}, human="human", self="self")
    assert made.stage.name == "most_familiar"
    assert {node.stage.name for node in made.upstream} == {"verify", "score"}
    models = [node.values["model"] for node in made.upstream if node.stage.name == "score"]
    assert models == [resolve("abacus-student")] * 2


def test_gold_only() -> None:
    (made,) = filled.function(Rows.of([{"id": "1", "question": "?", "gold": "7"}]), "Final answer: {{ gold }}")
    assert made["response"] == "Final answer: 7"
    with pytest.raises(InputError, match="needs golden, which row 1 lacks"):
        list(filled.function(Rows.of([{"id": "1", "gold": "7"}]), "{{ golden }}"))
