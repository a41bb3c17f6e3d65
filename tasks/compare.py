"""Compare: every evaluated answer in one table, scores with paired intervals, perplexities, and the verdict.

Writes, beside what tasks/comparison/examples.py picks:
  items.parquet      one row per arm, seed, evaluation benchmark and answer (the base model's rows too, arm "base")
  summary.csv        one row per arm, size and evaluation benchmark, seeds pooled (comparison/tables.py)
  scaling.csv        in a study of several sizes, each arm's score in domain at each (comparison/scaling.py)
  efficiency.csv     of such a study with a reference arm, how many times its questions each other arm is worth
                     (comparison/data_efficiency.py)
  perplexity.csv     one row per training benchmark and arm, over all scored responses (comparison/responses.py)
  cells.csv          one row per cell: score and verdict counts of each seed
  pass_at_k.csv      one row per arm, evaluation benchmark and k; empty where each question was answered once
  graded.csv         one row per arm and part of an evaluation benchmark whose answers can be partly right
  responses.parquet  verdict, tokens, nll and perplexity of every scored response, and whether it was trained on
  approaches.csv     of benchmarks that tell it, by arm how the answers, and the responses trained on, go about their
                     questions (comparison/approaches.py)
  surprise.csv       by arm, nats a token along the response (tasks/scoring/token_surprise.py)
  predictors.csv     by arm of the largest size and predictor, its value before training (comparison/predictions.py)
  predictor_record.csv  how well each predictor would have picked among the arms
  divergence.csv     by adapter, the KL from the untrained student, where it was measured (comparison/divergence.py)
  forgetting.csv     by training benchmark, how it goes with what was lost on other benchmarks
  verdict.json       the claims as data (tasks/comparison/verdict.py), trivial baselines, what is missing
and each table as Parquet too (comparison/results.py). `arm` is the name of an arm in the study, `origin` whose
responses it trains on, `size` its training questions (0 where the study does not vary them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING

from tasks.comparison import predictions
from tasks.comparison.approaches import Approaches, approaches_of, shares
from tasks.comparison.baselines import baselines
from tasks.comparison.contrast import Contrast
from tasks.comparison.data_efficiency import efficiency
from tasks.comparison.divergence import divergences, forgetting
from tasks.comparison.examples import examples
from tasks.comparison.items import answers, matrices
from tasks.comparison.peers import peers
from tasks.comparison.records import Evaluated, MissingCell, Moved, Offered
from tasks.comparison.responses import (
    OF_FEEDBACK,
    by_question,
    log_perplexities,
    of_largest,
    perplexities,
    responses_of,
)
from tasks.comparison.results import write_table
from tasks.comparison.scaling import scaling
from tasks.comparison.statistics import Measured
from tasks.comparison.tables import cell_counts, graded, partly_right, passes, summary
from tasks.comparison.verdict import plain, verdicts
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.scoring.token_surprise import COLUMNS, curves
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import pandas as pd

NO_DIRECTIONS: predictions.Directions = MappingProxyType({})
NO_APPROACHES: Mapping[str, Approaches] = MappingProxyType({})


@stage()
def compare(
    cells: tuple[Evaluated[Rows], ...],
    offered: tuple[Offered[Rows], ...] = (),
    missing: tuple[MissingCell, ...] = (),
    contrasts: tuple[Contrast, ...] = (),
    judges: Mapping[str, FunctionType] | None = None,
    approaches: Mapping[str, Approaches] = NO_APPROACHES,
    reference: str = "",
    directions: predictions.Directions = NO_DIRECTIONS,
    moved: tuple[Moved[Rows], ...] = (),
    *,
    work: Work,
) -> None:
    """Compare arms on the same items and answer whose responses the student learns best from.

    Args:
        cells: the judged answers.
        offered: the responses that each arm chose from.
        missing: cells that were planned and could not be made.
        contrasts: the claims of the study file.
        judges: the verifier of each evaluation benchmark, for baselines where an answer can be partly right.
        approaches: by benchmark, how its responses can go about its questions, where it tells.
        reference: the arm in whose training questions the others' are counted; empty for none.
        directions: title of each predictor, and which of its values are said to be better.
        moved: what the untrained student said, scored before and after training, where that was asked for.

    Raises:
        StageFailed: two cells of the same name, no cell that was made, or a benchmark's `approach` fails.
    """
    names = [cell.cell for cell in cells]
    if not cells or len(set(names)) != len(names):
        raise StageFailed(f"{work.run_name}: {len(cells)} cells under {len(set(names))} different names")
    items = answers(cells)
    items["approach"] = approaches_of(items, "eval_benchmark", approaches)
    write_parquet(items, work.folder / "items.parquet")
    responses = responses_of(offered)
    answering = responses[OF_FEEDBACK].isna()
    responses["approach"] = approaches_of(responses, "train_benchmark", approaches).where(answering)
    kept = responses.drop(columns=["question", "gold", "response", OF_FEEDBACK, *COLUMNS])
    write_parquet(kept, work.folder / "responses.parquet")

    scores = matrices(items)
    sample = Measured(scores, peers=peers(scores))
    planned = [*names, *(lost.cell for lost in missing)]
    arms = sorted({name.of for name in planned if name.trained})
    benchmarks = sorted({name.eval_benchmark for name in planned})
    lost = frozenset((lost.cell.of, lost.cell.eval_benchmark) for lost in missing)
    compared = of_largest(responses)
    tables = {
        "summary": summary(sample, arms, benchmarks),
        "scaling": scaling(sample, arms, benchmarks, lost),
        "efficiency": efficiency(sample, arms, benchmarks, lost, reference),
        "cells": cell_counts(items),
        "pass_at_k": passes(items),
        "graded": graded(items, cells),
        "perplexity": perplexities(responses),
        "surprise": curves(compared),
        "approaches": shares(items, responses, approaches, arms),
    }
    known = predictions.values(offered, sample, arms, directions)
    far = divergences(moved, tables["cells"])
    tables |= {
        "predictors": known,
        "predictor_record": predictions.record(known, sample, lost),
        "divergence": far,
        "forgetting": forgetting(far, sample, benchmarks, lost),
    }
    for name, table in tables.items():
        write_table(table, name, work.folder)

    familiarity = Measured(log_perplexities(compared), limits=(float("-inf"), float("inf")))
    by_grade = partly_right(items)
    measure = "score" if by_grade else "accuracy"
    answered = verdicts(sample, familiarity, arms, benchmarks, contrasts, by_question(compared), measure, lost)
    found = {
        "verdicts": [plain(verdict) for verdict in answered],
        "partly_right": by_grade,
        "baselines": baselines(items, cells, judges or {}),
        "missing": [{**asdict(lost.cell), "why": lost.why} for lost in sorted(missing, key=lambda lost: lost.cell)],
    }
    write_json(found, work.folder / "verdict.json")
    write_json(examples(items, compared), work.folder / "examples.json")
    work.facts.update(cells=len(cells), missing=len(missing), answers=len(items))


def write_parquet(frame: pd.DataFrame, path: object) -> None:
    frame.to_parquet(path, index=False)  # type: ignore[call-overload]


def write_json(data: object, path: object) -> None:
    with open(path, "w", encoding="utf-8") as file:  # type: ignore[call-overload]
        json.dump(data, file, indent=1, ensure_ascii=False, allow_nan=False)
