"""What is known of answer sets before any training: verdicts, and what a student makes of every token."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.cli.answer_sets import AnswerSets
from flows.cli.user_file import run_stage, stage_row
from flows.cli.verify_file import check_golds
from tasks.kinds import predictors, verifiers
from tasks.kinds.predictors import Need, TrainingSet
from tasks.models.model import Model
from tasks.models.rendering import Renderer, renderer
from tasks.prediction.training_set import candidates, lacks, responses, values
from tasks.resources.errors import Transient
from tasks.scoring import token_numbers
from tasks.storage.rows import Row, Rows
from tasks.verification import golds

RESAMPLES = 2000
JUDGED = ("correct", "wrong", "unparseable")
LACKING: Mapping[Need, str] = {
    "verdicts": "no right answers are known",
    "own": "needs responses that the student wrote itself",
    "local": "responses of more than five steps need further passes, which a study makes (measures.further_passes)",
    "in_context": "needs further passes, which a study makes (measures.further_passes)",
}
"""Why a predictor has no value here, where one pass over each response is made."""
UNREAD = "no response fits the model's context"
ONE_VALUE = "only one set has a value"
ALIKE = "the same for all sets"


@dataclass(frozen=True)
class SetFigures:
    """One answer set: its rows that were compared and of these those read, verdicts (None where no right answer is
    known), tokens and perplexity with its interval, and each predictor's value, NaN where it has none."""

    name: str
    rows: int
    too_long: int
    correct: int | None
    judged: int
    tokens: float
    perplexity: float
    low: float
    high: float
    values: dict[str, float]

    @property
    def interval(self) -> tuple[float, float, float]:
        """The perplexity, and from where to where."""
        return self.perplexity, self.low, self.high


def figures(sets: AnswerSets, student: Model, template: str) -> tuple[list[SetFigures], dict[str, str]]:
    """The figures of each set, and by predictor why it picks none, where it does not.

    Raises:
        InputError: a right answer is none that the verifier can use, or the prompt names a column that rows lack.
        Transient: memory ran out with a single row.
    """
    turned = renderer(student)
    rows = {name: _judged(sets, name) for name in sets.rows}
    every = [row for name in rows for row in rows[name]]
    read = {row["id"]: row for row in _read(student, turned, template, every)}
    found = []
    kinds = predictors.kinds_by_name()
    lacking: dict[str, str] = {}
    for name, given in rows.items():
        known = [{**row, "id": row["key"], **read[row["id"]]} for row in given if row["id"] in read]
        offered = candidates(Rows.of([_candidate(row) for row in known])) if known else []
        training = TrainingSet(responses(known, turned), offered)
        for each, kind in kinds.items():
            if training.responses and kind.needs and lacks(kind, training):
                lacking[each] = LACKING[kind.needs]
        found.append(_figures(name, given, known, values(kinds, training)))
    return found, {each: lacking.get(each) or _why(found, each) for each in kinds}


def _why(found: Sequence[SetFigures], predictor: str) -> str:
    """Why a predictor picks no set, if it does not."""
    known = sum(not math.isnan(each.values[predictor]) for each in found)
    return ALIKE if known > 1 else ONE_VALUE if known else UNREAD


def _candidate(row: Row) -> Row:
    return {name: row.get(name) for name in ("id", "nll", "tokens", "verdict")}


def _judged(sets: AnswerSets, name: str) -> list[Row]:
    """A set's rows that have a response, with `verdict` where their right answer is known."""
    from tasks.verify import verify

    rows = [row for row in sets.chosen(name) if row["response"] is not None]
    with_gold = [row for row in rows if "gold" in row]
    if sets.judge is None or not with_gold:
        return [{**row, "verdict": None} for row in rows]
    judging = verifiers.find(sets.judge.verifier)
    check_golds(list(golds.unusable(with_gold, judging)), None)
    verdicts = {row["id"]: row["verdict"] for row in run_stage(verify.function, with_gold, judging)}
    return [{**row, "verdict": verdicts.get(row["id"])} for row in rows]


def _read(student: Model, turned: Renderer, template: str, rows: Sequence[Row]) -> Iterator[Row]:
    """`id`, `tokens`, `nll` and the numbers of each token of the rows that fit the model's context."""
    from tasks.score import BUDGET, loaded
    from tasks.scoring.likelihood import negative_log_likelihoods

    rendered = [(row["id"], turned.row(template, stage_row(row))) for row in rows]
    short = [(id, each) for id, each in rendered if len(each.ids) <= turned.context]
    if not short:
        return
    with loaded(student, None) as shared:
        examples = [each for _, each in short]
        try:
            for at, numbers in negative_log_likelihoods(
                shared.likelihood, examples, BUDGET, shared.threads, ranks=True
            ):
                nll, rank = numbers.float().numpy()
                total = float(nll.sum(dtype="float64"))
                yield {"id": short[at][0], "tokens": len(nll), "nll": total, **token_numbers.packed(nll, rank)}
        except MemoryError as error:
            raise Transient(f"out of memory while reading: {error}") from error


def _figures(name: str, rows: Sequence[Row], read: Sequence[Row], known: dict[str, float]) -> SetFigures:
    verdicts = [row["verdict"] for row in rows if row["verdict"] in JUDGED]
    value, low, high = _perplexity(read)
    return SetFigures(
        name=name,
        rows=len(rows),
        too_long=len(rows) - len(read),
        correct=verdicts.count("correct") if verdicts else None,
        judged=len(verdicts),
        tokens=sum(row["tokens"] for row in read) / len(read) if read else math.nan,
        perplexity=value,
        low=low,
        high=high,
        values=known,
    )


def _perplexity(read: Sequence[Row]) -> tuple[float, float, float]:
    """The mean perplexity of rows with its 95 % interval: percentiles over questions drawn anew, whose rows stay
    together."""
    import numpy as np

    if not read:
        return math.nan, math.nan, math.nan
    each = np.exp(np.minimum(700.0, [row["nll"] / row["tokens"] for row in read]))
    keys = {key: number for number, key in enumerate(dict.fromkeys(row["id"] for row in read))}
    of = np.array([keys[row["id"]] for row in read])
    sums, counts = np.bincount(of, each), np.bincount(of)
    if len(keys) < 2:
        return float(each.mean()), math.nan, math.nan
    drawn = np.random.default_rng(0).multinomial(len(keys), np.full(len(keys), 1 / len(keys)), size=RESAMPLES)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [0.025, 0.975])
    return float(each.mean()), float(low), float(high)
