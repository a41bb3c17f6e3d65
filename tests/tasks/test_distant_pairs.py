"""Pairs of a correct and a wrong response, those with the largest edit distance first."""

from pathlib import Path

import pytest

from tasks.kinds.origins import parse
from tasks.origins.distant_pairs import DistantPairs, farthest_pairs
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Rows
from tests.tasks.judged import response

CORRECT = ("aaaa", "aabb")
WRONG = ("aaab", "bbbb", "cccccc")  # 1, 4 and 6 edits from aaaa; 1, 2 and 6 from aabb


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, Runtime(Store(tmp_path / "store")), "farthest_pairs self", {})


def rows_of(correct: tuple[str, ...], wrong: tuple[str, ...]) -> Rows:
    """Wrong responses come after all correct ones."""
    both = [(text, "correct") for text in correct] + [(text, "wrong") for text in wrong]
    return Rows.of([response("q", n, text, verdict) for n, (text, verdict) in enumerate(both)])


@pytest.mark.parametrize(
    ("most", "negatives", "pairs"),
    [
        (1, 8, [("aaaa", "cccccc")]),  # as far as aabb is from it, and earlier
        (2, 8, [("aaaa", "cccccc"), ("aabb", "bbbb")]),
        (9, 8, [("aaaa", "cccccc"), ("aabb", "bbbb")]),  # each response once
        (9, 2, [("aaaa", "bbbb"), ("aabb", "aaab")]),
        (9, 1, [("aaaa", "aaab")]),
    ],
)
def test_the_farthest_pair_comes_first(most: int, negatives: int, pairs: list[tuple[str, str]], work: Work) -> None:
    rows = rows_of(CORRECT, WRONG)
    found = list(farthest_pairs.function(rows, rows, most, negatives, work=work))
    assert [(row["response"], row["rejected"]) for row in found] == pairs
    assert [row["sample"] for row in found] == list(range(len(pairs)))
    assert work.facts == {"questions": 1, "paired": 1, "pairs": len(pairs), "left_out": {}}


def test_a_later_correct_response_may_be_in_the_farthest_pair(work: Work) -> None:
    rows = rows_of(("ab", "abababab"), ("xy", "xyxyxy"))  # 2 and 6 edits from the first, 8 and 8 from the second
    (first, second) = farthest_pairs.function(rows, rows, 2, 8, work=work)
    assert (first["response"], first["rejected"], first["perplexity"]) == ("abababab", "xy", 3.0)
    assert (second["response"], second["rejected"], second["rejected_tokens"]) == ("ab", "xyxyxy", 1)


def test_what_is_no_whole_judged_and_scored_response_is_in_no_pair(work: Work) -> None:
    rows = Rows.of(
        [
            response("q1", 0, "right", "correct"),
            response("q1", 1, "the longest by far, and cut off", "wrong", finish="length"),
            response("q1", 2, "the longest but one, not scored", "wrong", nll=None),
            response("q1", 3, "without a final answer", "unparseable"),
            response("q1", 4, "not judged at all", "error"),
            response("q1", 5, "wrong", "wrong"),
            response("q2", 0, "right", "correct"),
            response("q3", 0, "wrong", "wrong"),
        ]
    )
    (pair,) = farthest_pairs.function(rows, rows, 9, 8, work=work)
    assert (pair["id"], pair["rejected"]) == ("q1", "wrong")
    assert work.facts["left_out"] == {"no wrong response": 1, "no correct response": 1}


def test_no_pair_is_one_line(work: Work) -> None:
    rows = rows_of(CORRECT, ())
    with pytest.raises(StageFailed, match=r"^no pair of .* response: of 1 questions 1 have no wrong response$"):
        list(farthest_pairs.function(rows, rows, 1, 8, work=work))


def test_the_papers_number_of_negatives_is_usual() -> None:
    origin = parse({"kind": "distant_pairs", "of": "own"}, "origins.mine")
    assert isinstance(origin, DistantPairs)
    assert (origin.gives, origin.kept, origin.negatives) == ("pairs", 1, 8)
