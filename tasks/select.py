"""Choose questions, and responses to each, for the arms of a study, so that what is compared is the origin.

Nothing is held of a response but the number of its row, so that millions of them are chosen among in little memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from tasks.kinds.verifiers import Outcome
from tasks.pipeline.stage import Node, one_a_question, stage
from tasks.pipeline.work import Work
from tasks.reporting.formatting import ratio
from tasks.resources.errors import StageFailed
from tasks.selection.candidates import Candidates, candidates, marks, shuffled, values_at
from tasks.selection.exclusions import OBSTACLES, REASONS, equal, in_words
from tasks.selection.length_match import within_tolerance
from tasks.selection.match import Match
from tasks.selection.more_responses import with_more
from tasks.storage.joined_rows import JoinedRows
from tasks.storage.rows import Rows, Streamed

if TYPE_CHECKING:
    import numpy as np


CHOICES = pa.schema([("origin", pa.string()), ("id", pa.string()), ("sample", pa.int64()), ("place", pa.int64())])
Chosen = dict[str, "np.ndarray"]
"""By origin, the numbers of the rows that are taken, one a question; where questions are matched, in one order."""


def _rows(node: Node) -> int | None:
    """Of each origin: one a question, of those that it may be taken of, and no more than `count`."""
    within = [each.expected_rows for each in (node.inputs.get("within") or {}).values()]
    questions, count = max(within, default=0) or one_a_question(node), node.values["count"]
    return min(questions, count) if questions and count else questions or count


def step_table(facts: Mapping[str, Any]) -> dict[str, str]:
    """What was taken of each origin."""
    return {
        origin: f"{each['taken']:,} of {each['asked']:,} questions{_left_out(each['left_out'])}, "
        f"{ratio(each.get('tokens_mean'))} tokens each, perplexity {ratio(each.get('perplexity_median'))} (median)"
        for origin, each in facts["origins"].items()
    }


def _left_out(counts: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{count:,} {REASONS[reason]}" for reason, count in counts.items())
    return f" (left out: {reasons})" if reasons else ""


@stage(rows=_rows, table=step_table)
def select(
    verdicts: dict[str, Rows],
    perplexities: dict[str, Rows],
    match: Match,
    count: int | None,
    seed: int,
    within: dict[str, Rows] | None = None,
    longest: int | None = None,
    asked: dict[str, Rows] | None = None,
    keep: Mapping[str, int] | None = None,
    *,
    work: Work | None = None,
) -> Rows:
    """Which questions the arms train on, and which responses to each: choices, not yet the rows themselves.

    What the student cannot be trained on is left out before anything is matched, so that no later stage has to: rows
    are as long as `score` found them in the one rendering that training uses too.

    Args:
        verdicts: verified responses by origin.
        perplexities: scored responses by origin, the same ones in the same order.
        match: in what the arms are made alike.
        count: questions an arm gets (None: all there are); a random part, by `seed`, in the original order.
        within: rows whose questions alone may be taken, by origin (None: any).
        longest: tokens of prompt and response that the method takes at most (None: the student's context).
        asked: the questions that each origin was to answer, to count those without a response.
        keep: responses taken of each question, at most, by origin (where it is not named: 1). Responses of the same
            text are taken once.

    Rows: `origin`, `id`, `sample` and `place` (the response's row number among the origin's), by origin and question.
    Facts, by origin: questions, responses, verdicts, pass rates, and mean tokens, mean and median perplexity of what
    was taken; how many questions were `asked` and how many of them were `left_out` for each reason
    (tasks/selection/exclusions.py; with those taken they are all that were asked); how many responses could not be
    taken (`responses_left_out`), and how many were (`rows`). And how many questions were left after each step
    (`usable`: that the origin has a response to that may be taken; `shared`: that all have; `taken`: after matching
    lengths and the count).

    Raises:
        StageFailed: fewer than `match.minimum` questions are left; names the origin that limits them.
    """
    import numpy as np

    scored: dict[str, Rows] = {name: JoinedRows(verdicts[name], perplexities[name]) for name in sorted(verdicts)}
    offered = {origin: candidates(rows, match, longest, f"{seed} {origin}") for origin, rows in scored.items()}
    why = {origin: _kept_out(of, None if asked is None else len(asked[origin])) for origin, of in offered.items()}
    if within is not None:
        for origin, of in offered.items():
            allowed = np.concatenate([marks(batch.column("id")) for batch in within[origin].batches(["id"])])
            offered[origin] = of.only(np.isin(of.questions, allowed))
            why[origin]["other_questions"] = len(of.questions) - len(offered[origin].questions)
    left = {"usable": {origin: len(of.questions) for origin, of in offered.items()}}
    if match.questions:
        offered, before = _shared(offered)
        left["shared"] = {origin: len(rows) for origin, rows in before.items()}
    else:
        before = {origin: of.rows["any"] for origin, of in offered.items()}
    _enough(before, left["usable"], match, why)
    chosen, tokens_within = _sized(scored, before, match, count, seed)
    left["taken"] = {origin: len(rows) for origin, rows in chosen.items()}
    wanted = _wanted(before, match, count)
    for origin, rows in before.items():
        why[origin]["unmatched"] = left["usable"][origin] - len(rows)
        why[origin]["lengths"] = wanted[origin] - left["taken"][origin]
        why[origin]["surplus"] = len(rows) - wanted[origin]
    picked = {
        origin: with_more(scored[origin], places, (keep or {}).get(origin, 1), match, longest, f"{seed} {origin}")
        for origin, places in chosen.items()
    }
    if work:
        work.facts.update(
            left=left,
            tokens_within=tokens_within,
            origins={
                origin: _facts(scored[origin], offered[origin], chosen[origin], why[origin])
                | {"rows": len(picked[origin])}
                for origin in scored
            },
        )
        taken = min(left["taken"].values())
        if count is not None and taken < count:
            work.note(f"{taken} questions an arm in place of {count}: {_limit(left['usable'], why)}")
        if too_long := ", ".join(f"{each['too_long']} of {origin}" for origin, each in why.items() if each["too_long"]):
            work.note(f"questions left out, {OBSTACLES['too_long']}: {too_long}")
        if tokens_within is not None and taken < min(wanted.values()):
            work.note(_of_one_length(scored, before, chosen, match))

    def made() -> Iterator[pa.Table]:
        for origin, places in picked.items():
            columns = {name: values_at(scored[origin], name, places) for name in ("id", "sample")}
            samples = pc.fill_null(pc.cast(columns["sample"], pa.int64()), 0)
            names = pa.array([origin] * len(places), pa.string())
            ids = pc.cast(columns["id"], pa.string())
            yield pa.table([names, ids, samples, pa.array(places)], schema=CHOICES)

    return Streamed(CHOICES, sum(map(len, picked.values())), made)


def _of_one_length(scored: Mapping[str, Rows], before: Chosen, after: Chosen, match: Match) -> str:
    """What matching the lengths cost."""
    shared, taken = (len(next(iter(rows.values()))) for rows in (before, after))
    return (
        f"response tokens within {match.tokens:.0%} of each other: {taken} of {shared} questions remain "
        f"(mean tokens before: {_mean_tokens(scored, before)}; after: {_mean_tokens(scored, after)})"
    )


def _mean_tokens(scored: Mapping[str, Rows], chosen: Chosen) -> str:
    means = {origin: _tokens(scored[origin], rows).mean() for origin, rows in chosen.items()}
    return ", ".join(f"{origin} {mean:.1f}" for origin, mean in means.items())


def _tokens(rows: Rows, places: np.ndarray) -> np.ndarray:
    return values_at(rows, "tokens", places).to_numpy()


def _shared(offered: Mapping[str, Candidates]) -> tuple[dict[str, Candidates], Chosen]:
    """The questions that all origins have, in the order of the first one's rows, and what is picked for each.

    Where correctness is matched: correct responses where all origins have one, else others where all have one.
    """
    import numpy as np

    first = next(iter(offered.values()))
    common = np.ones(len(first.questions), bool)
    for of in offered.values():
        common &= np.isin(first.questions, of.questions)
    shared = first.questions[common]
    rows: dict[str, dict[str, np.ndarray]] = {}
    for origin, of in offered.items():
        order = np.argsort(of.questions)
        at = order[np.searchsorted(of.questions, shared, sorter=order)]
        rows[origin] = {kind: picked[at] for kind, picked in of.rows.items()}
    chosen: Chosen = {}
    if "any" in first.rows:
        chosen = {origin: kinds["any"] for origin, kinds in rows.items()}
    else:
        correct, other = (
            np.logical_and.reduce([kinds[kind] >= 0 for kinds in rows.values()]) for kind in ("correct", "other")
        )
        for origin, kinds in rows.items():
            chosen[origin] = np.where(correct, kinds["correct"], kinds["other"])[correct | other]
    return dict(offered), chosen


def _sized(
    scored: Mapping[str, Rows], chosen: Chosen, match: Match, count: int | None, seed: int
) -> tuple[Chosen, float | None]:
    """The same number of questions for each origin; and how far apart their mean tokens then are, if matched."""
    import numpy as np

    sizes = _wanted(chosen, match, count)
    if not match.questions:
        return {
            origin: rows[_some(len(rows), sizes[origin], f"{seed} {origin}")] for origin, rows in chosen.items()
        }, None
    size = min(sizes.values())
    shared = len(next(iter(chosen.values())))
    if match.tokens is None:
        kept = _some(shared, size, str(seed))
        return {origin: rows[kept] for origin, rows in chosen.items()}, None
    order = np.asarray(shuffled(shared, str(seed)), dtype=np.int64)
    tokens: dict[str, Any] = {origin: _tokens(scored[origin], rows[order]) for origin, rows in chosen.items()}
    places, apart = within_tolerance(tokens, match.tokens, size)
    if len(places) < match.minimum:
        raise StageFailed(
            f"select: mean response tokens cannot be brought within {match.tokens:.0%} of each other over at least "
            f"{match.minimum} questions: {len(places)} of {shared} would remain (mean tokens before matching: "
            f"{_mean_tokens(scored, chosen)}). Allow more (match.tokens), or leave an origin out"
        )
    kept = np.sort(order[places])
    return {origin: rows[kept] for origin, rows in chosen.items()}, apart


def _wanted(chosen: Chosen, match: Match, count: int | None) -> dict[str, int]:
    """Questions that each origin is to have: as many as the others where the number is matched."""
    fewest = min(map(len, chosen.values()))
    possible = {origin: fewest if match.count else len(rows) for origin, rows in chosen.items()}
    return {origin: number if count is None else min(count, number) for origin, number in possible.items()}


def _some(count: int, size: int, seed: str) -> np.ndarray:
    """`size` of 0 to count - 1, rising."""
    import numpy as np

    if size == count:
        return np.arange(count)
    return np.sort(np.asarray(shuffled(count, seed)[:size], dtype=np.int64))


def _kept_out(offered: Candidates, asked: int | None) -> Counter[str]:
    """How many of the questions asked have no response that may be taken, by reason."""
    found = Counter(offered.questions_left_out)
    found["no_response"] += max(0, (asked or 0) - offered.asked)
    return found


def _enough(chosen: Chosen, usable: Mapping[str, int], match: Match, why: Mapping[str, Counter[str]]) -> None:
    left = min(len(rows) for rows in chosen.values())
    if left >= match.minimum:
        return
    what = {"only": "correct", "any": "usable", "same": "equally correct"}[match.correct]
    of = "that all origins have in common " if match.questions else ""
    raise StageFailed(
        f"select: {left} questions with {what} responses {of}are left, at least {match.minimum} are needed "
        f"(match.minimum). {_limit(usable, why)}"
    )


def few(scored: Mapping[str, Rows], match: Match, longest: int | None) -> dict[str, tuple[int, str]]:
    """Origins with fewer than `match.minimum` questions with a response that may be taken: how many they have, and
    what keeps the others out."""
    found = {origin: candidates(rows, match, longest, origin) for origin, rows in scored.items()}
    return {
        origin: (len(of.questions), in_words(of.questions_left_out))
        for origin, of in found.items()
        if len(of.questions) < match.minimum
    }


def _limit(usable: Mapping[str, int], why: Mapping[str, Counter[str]]) -> str:
    fewest = min(usable, key=lambda origin: usable[origin])
    counts = ", ".join(f"{origin} {number}" for origin, number in usable.items())
    return f"{fewest} limits it: questions with a usable response are {counts}{in_words(why[fewest])}"


def _facts(rows: Rows, offered: Candidates, taken: np.ndarray, why: Counter[str]) -> dict[str, Any]:
    import numpy as np

    responses = offered.verdicts.total() - offered.verdicts["missing"]
    facts: dict[str, Any] = {
        "asked": len(taken) + why.total(),
        "left_out": {reason: why[reason] for reason in REASONS if why[reason]},
        "responses_left_out": dict(offered.responses_left_out),
        "questions": offered.asked,
        "responses": responses,
        "verdicts": {verdict: offered.verdicts[verdict] for verdict in get_args(Outcome)},
        "pass_rate": offered.verdicts["correct"] / responses if responses else math.nan,
        "questions_passed": offered.passed,
        "taken": len(taken),
        "taken_correct": int(
            equal(pa.table({"verdict": values_at(rows, "verdict", taken)}), "verdict", "correct").sum()
        ),
    }
    for column, summaries in (("tokens", ("mean",)), ("perplexity", ("mean", "median"))):
        if column not in rows.columns:
            continue
        values = pc.cast(pc.drop_null(values_at(rows, column, taken)), pa.float64()).to_numpy()
        for summary in summaries:
            of = np.median if summary == "median" else _mean
            facts[f"{column}_{summary}"] = float(of(values)) if len(values) else math.nan
    return facts


def _mean(values: np.ndarray) -> float:
    return math.fsum(values) / len(values)
