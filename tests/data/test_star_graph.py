"""Star graphs: one way from the centre to the goal, and what counts as it."""

import random

import pytest

from data.star_graph import ANSWER, ASK, END, FIRST_LABEL, StarGraph, draw

GRAPH = StarGraph(edges=((7, 12), (30, 7), (5, 19), (30, 5)), path=(30, 5, 19))


def ways(graph: StarGraph) -> list[list[int]]:
    """Every path that the edges of the question allow from its centre to its goal."""
    question = graph.question
    edges = list(zip(question[0:-4:2], question[1:-4:2], strict=True))
    ask, centre, goal, answer = question[-4:]
    assert (ask, answer) == (ASK, ANSWER)
    found, open_ways = [], [[centre]]
    while open_ways:
        way = open_ways.pop()
        if way[-1] == goal:
            found.append(way)
        open_ways += [[*way, end] for start, end in edges if start == way[-1]]
    return found


def test_a_question_is_its_edges_and_its_ends() -> None:
    assert GRAPH.question == [7, 12, 30, 7, 5, 19, 30, 5, ASK, 30, 19, ANSWER]
    assert GRAPH.answer == [30, 5, 19, END]


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ([30, 5, 19, END], True),
        ([30, 5, 19], False),  # not ended
        ([30, 7, 12, END], False),  # another arm
        ([30, 7, 19, END], False),  # the goal, but not along an edge
        ([5, 19, END], False),
        ([30, 5, 19, END, END], False),
        ([], False),
    ],
)
def test_only_the_path_is_right(response: list[int], right: bool) -> None:
    assert GRAPH.is_right(response) is right


@pytest.mark.parametrize(("arms", "length"), [(1, 1), (2, 4), (3, 3), (5, 2)])
def test_a_drawn_graph_has_one_answer(arms: int, length: int) -> None:
    rng = random.Random(1)
    for _ in range(50):
        graph = draw(rng, arms, length, labels=arms * length + 3)
        assert ways(graph) == [graph.answer[:-1]]
        assert graph.is_right(graph.answer)
        assert len(graph.path) == length + 1
        assert len({node for edge in graph.edges for node in edge}) == arms * length + 1
        assert all(FIRST_LABEL <= node < FIRST_LABEL + arms * length + 3 for edge in graph.edges for node in edge)


def test_the_goal_is_on_every_arm_as_often() -> None:
    """The place of the right arm's first edge among the first edges says nothing."""
    rng = random.Random(2)
    places = []
    for _ in range(3_000):
        graph = draw(rng, arms=3, length=2, labels=10)
        places.append([end for start, end in graph.edges if start == graph.path[0]].index(graph.path[1]))
    assert all(900 < places.count(place) < 1_100 for place in range(3))  # 1000 expected, standard deviation 26


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="labels is 9; 3 arms of length 3 need at least 10"):
        draw(random.Random(0), arms=3, length=3, labels=9)
