"""Choose one response per question and origin, so that what is compared is the origin."""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.errors import StageFailed
from tasks.rows import Row, Rows
from tasks.stage import Work, stage
from tasks.surprise import COLUMNS
from tasks.token_match import within_tolerance


class Match(BaseModel):
    """In what the arms of a study are made alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    questions: bool = Field(
        default=True, description="All origins answer the same questions: those that each of them can."
    )
    correct: Literal["only", "any", "same"] = Field(
        default="only",
        description="only: correct responses alone. any: whatever the verdict, errors excepted. same: on each "
        "question, all origins' responses are correct or none is.",
    )
    pick: Literal["first", "random", "lowest_perplexity", "highest_perplexity"] = Field(
        default="first", description="Which of an origin's responses to a question is taken, among those that may be."
    )
    tokens: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Mean response tokens of the origins differ by at most this share (0.05: 5 %).",
    )
    cut_off: bool = Field(default=False, description="Take responses that were cut off at the token limit as well.")
    minimum: int = Field(default=10, ge=1, description="Fewer questions than this in any arm, and the stage fails.")

    @model_validator(mode="after")
    def _over_the_same_questions(self) -> "Match":
        if not self.questions and (self.tokens is not None or self.correct == "same"):
            raise ValueError("`tokens` and `correct: same` compare question by question: they need `questions: true`")
        return self


Chosen = dict[str, dict[str, Row]]
"""By origin and question id, the response that is taken."""


@stage()
def select(
    scored: dict[str, Rows],
    match: Match,
    count: int | None,
    seed: int,
    within: Rows | None = None,
    *,
    work: Work | None = None,
) -> list[Row]:
    """One response per question and origin: the training sets of the arms, all of one size.

    Args:
        scored: verified (and, for `tokens` and perplexities, scored) responses by origin.
        match: in what the arms are made alike.
        count: questions an arm gets (None: all there are); a random part, by `seed`, in the original order.
        within: rows whose questions alone may be taken (None: any).

    Adds `origin`. Facts, by origin: questions, responses, verdicts, pass rates, and mean tokens, mean and median
    perplexity of what was taken; and how many questions were left after each step (`usable`: that the origin has a
    response to that may be taken; `shared`: that all have; `taken`: after matching lengths and the count).

    Raises:
        StageFailed: fewer than `match.minimum` questions are left; names the origin that limits them.
    """
    scored = dict(sorted(scored.items()))
    by_question = {origin: _usable(rows, match) for origin, rows in scored.items()}
    if within is not None:
        asked = set(within.column("id"))
        by_question = {
            origin: {id: rows for id, rows in questions.items() if id in asked}
            for origin, questions in by_question.items()
        }
    chosen: Chosen = {
        origin: {id: _pick(rows, match.pick, f"{seed} {origin} {id}") for id, rows in questions.items()}
        for origin, questions in by_question.items()
    }
    left = {"usable": {origin: len(questions) for origin, questions in chosen.items()}}
    if match.correct == "same":
        chosen = _same_correctness(by_question, match, seed)
    if match.questions:
        shared = set.intersection(*(set(questions) for questions in chosen.values()))
        chosen = {origin: {id: row for id, row in rows.items() if id in shared} for origin, rows in chosen.items()}
        left["shared"] = dict.fromkeys(chosen, len(shared))
    _enough(chosen, left["usable"], match)
    before = chosen
    chosen, tokens_within = _sized(before, match, count, seed)
    left["taken"] = {origin: len(rows) for origin, rows in chosen.items()}
    if work:
        work.facts.update(
            left=left,
            tokens_within=tokens_within,
            origins={origin: _facts(scored[origin], list(chosen[origin].values())) for origin in scored},
        )
        taken = min(left["taken"].values())
        if count is not None and taken < count:
            work.note(f"{taken} questions an arm in place of {count}: {_limit(left['usable'])}")
        possible = min(len(rows) for rows in before.values())
        if tokens_within is not None and taken < min(possible, count or possible):
            work.note(_of_one_length(before, chosen, match))
    return [
        {**{name: value for name, value in row.items() if name not in COLUMNS}, "origin": origin}
        for origin, rows in chosen.items()
        for row in rows.values()
    ]


def _of_one_length(before: Chosen, after: Chosen, match: Match) -> str:
    """What matching the lengths cost."""
    shared, taken = (len(next(iter(rows.values()))) for rows in (before, after))
    return (
        f"response tokens within {match.tokens:.0%} of each other: {taken} of {shared} questions remain "
        f"(mean tokens before: {_mean_tokens(before)}; after: {_mean_tokens(after)})"
    )


def _mean_tokens(chosen: Chosen) -> str:
    means = {origin: fmean(row["tokens"] for row in rows.values()) for origin, rows in chosen.items()}
    return ", ".join(f"{origin} {mean:.1f}" for origin, mean in means.items())


def _usable(rows: Rows, match: Match) -> dict[str, list[Row]]:
    """An origin's responses that may be taken, by question id, in the order of their samples."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        allowed = row["verdict"] == "correct" if match.correct == "only" else row["verdict"] != "error"
        if allowed and row["response"] and (match.cut_off or row.get("finish") != "length"):
            found[row["id"]].append(row)
    for responses in found.values():
        responses.sort(key=lambda row: row["sample"])
    return dict(found)


def _pick(rows: Sequence[Row], pick: str, seed: str) -> Row:
    if pick == "first":
        return rows[0]
    if pick == "random":
        return random.Random(seed).choice(rows)
    sign = 1 if pick == "lowest_perplexity" else -1
    return min(rows, key=lambda row: (sign * row["perplexity"], row["sample"]))


def _same_correctness(by_question: Mapping[str, dict[str, list[Row]]], match: Match, seed: int) -> Chosen:
    """On each question that all answer: correct responses where all have one, else others where all have one."""
    chosen: Chosen = {origin: {} for origin in by_question}
    first = next(iter(by_question.values()))
    for id in first:
        for correct in (True, False):
            found = {
                origin: [row for row in questions.get(id, ()) if (row["verdict"] == "correct") == correct]
                for origin, questions in by_question.items()
            }
            if all(found.values()):
                for origin, rows in found.items():
                    chosen[origin][id] = _pick(rows, match.pick, f"{seed} {origin} {id}")
                break
    return chosen


def _sized(chosen: Chosen, match: Match, count: int | None, seed: int) -> tuple[Chosen, float | None]:
    """The same number of questions for each origin; and how far apart their mean tokens then are, if matched."""
    size = min(len(rows) for rows in chosen.values())
    size = size if count is None else min(count, size)
    if not match.questions:
        return {origin: _some(rows, size, f"{seed} {origin}") for origin, rows in chosen.items()}, None
    shared = next(iter(chosen.values()))
    if match.tokens is None:
        kept = set(_some(shared, size, str(seed)))
        return _only(chosen, kept), None
    ids = list(shared)
    random.Random(str(seed)).shuffle(ids)
    tokens = {origin: [rows[id]["tokens"] for id in ids] for origin, rows in chosen.items()}
    places, apart = within_tolerance(tokens, match.tokens, size)
    if len(places) < match.minimum:
        raise StageFailed(
            f"select: mean response tokens cannot be brought within {match.tokens:.0%} of each other over at least "
            f"{match.minimum} questions: {len(places)} of {len(ids)} would remain (mean tokens before matching: "
            f"{_mean_tokens(chosen)}). Allow more (match.tokens), or leave an origin out"
        )
    return _only(chosen, {ids[at] for at in places}), apart


def _some(rows: dict[str, Row], size: int, seed: str) -> dict[str, Row]:
    order = list(rows)
    random.Random(seed).shuffle(order)
    kept = set(order[:size])
    return {id: row for id, row in rows.items() if id in kept}


def _only(chosen: Chosen, kept: set[str]) -> Chosen:
    """The kept questions, for all origins in the order in which the first one has them."""
    order = [id for id in next(iter(chosen.values())) if id in kept]
    return {origin: {id: rows[id] for id in order} for origin, rows in chosen.items()}


def _enough(chosen: Chosen, usable: Mapping[str, int], match: Match) -> None:
    left = min(len(rows) for rows in chosen.values())
    if left >= match.minimum:
        return
    what = {"only": "correct", "any": "usable", "same": "equally correct"}[match.correct]
    of = "that all origins have in common " if match.questions else ""
    raise StageFailed(
        f"select: {left} questions with {what} responses {of}are left, at least {match.minimum} are needed "
        f"(match.minimum). {_limit(usable)}"
    )


def few(scored: Mapping[str, Rows], match: Match) -> dict[str, int]:
    """Origins with fewer than `match.minimum` questions with a response that may be taken, and how many they have."""
    counts = {origin: len(_usable(rows, match)) for origin, rows in scored.items()}
    return {origin: count for origin, count in counts.items() if count < match.minimum}


def _limit(usable: Mapping[str, int]) -> str:
    fewest = min(usable, key=lambda origin: usable[origin])
    counts = ", ".join(f"{origin} {number}" for origin, number in usable.items())
    return f"{fewest} limits it: questions with a usable response are {counts}"


def _facts(rows: Rows, taken: Sequence[Row]) -> dict[str, Any]:
    verdicts = rows.column("verdict")
    ids = rows.column("id")
    passed = {id for id, verdict in zip(ids, verdicts, strict=True) if verdict == "correct"}
    facts: dict[str, Any] = {
        "questions": len(set(ids)),
        "responses": len(ids),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in ("correct", "wrong", "unparseable", "error")},
        "pass_rate": verdicts.count("correct") / len(verdicts) if verdicts else math.nan,
        "questions_passed": len(passed),
        "taken": len(taken),
        "taken_correct": sum(row["verdict"] == "correct" for row in taken),
    }
    for column, summaries in (("tokens", ("mean",)), ("perplexity", ("mean", "median"))):
        if column not in rows.columns:
            continue
        values = [row[column] for row in taken if row[column] is not None]
        for summary in summaries:
            of = fmean if summary == "mean" else median
            facts[f"{column}_{summary}"] = float(of(values)) if values else math.nan
    return facts
