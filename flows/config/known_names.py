"""Whether the benchmarks, splits and verifiers of a study are there, and whether it is not too large to plan."""

import math

from data import kinds
from data.errors import InputError, at
from data.user_benchmark import UserBenchmark
from flows.config.schema import Study
from tasks.kinds import verifiers

MOST_CELLS = 20_000
"""Adapters times benchmarks they are evaluated on: a plan of more takes minutes to write down."""


def check(study: Study) -> None:
    """What can be checked only when the benchmarks are known.

    Raises:
        InputError: a name that is nothing's, a benchmark that cannot be used, or more cells than can be planned.
    """
    for name, own in study.benchmarks.items():
        if isinstance(own, UserBenchmark) and own.verifier not in verifiers.names():
            why = kinds.unknown("verifier", own.verifier, verifiers.names())
            raise InputError(f"benchmarks.{name}.verifier: {why}")
    ask = study.questions
    _check_splits(study, study.train, "train", "train_split", ask.train_split)
    _check_splits(study, study.evaluate, "evaluate", "evaluate_split", ask.evaluate_split)
    train, evaluate = study.names(study.train), study.names(study.evaluate)
    asked = [("questions.train_each", ask.train_each, train), ("questions.evaluate_each", ask.evaluate_each, evaluate)]
    for where, given, known in asked:
        for name in given:
            if name not in known:
                raise InputError(f"{where}: {kinds.unknown('benchmark of this study', name, known)}")
    for control_name, control in study.controls.items():
        where = f"controls.{control_name}.train"
        with at(where, "benchmarks."):
            controlled = study.names(control.train or ())
        for name in controlled:
            if name not in train:
                raise InputError(f"{where}: {kinds.unknown('benchmark of this study', name, train)}")
    _check_size(study, len(train), len(evaluate))


def _check_splits(study: Study, patterns: list[str], key: str, split_key: str, split: str) -> None:
    for pattern in patterns:
        with at(key, "benchmarks."):
            found = study.find(pattern)
        for benchmark in found:
            if split not in benchmark.splits:
                why = kinds.unknown("split", split, benchmark.splits)
                raise InputError(f"questions.{split_key}: {benchmark.name}: {why}")


def _check_size(study: Study, train: int, evaluate: int) -> None:
    factors = {
        "students": len(study.students),
        "training benchmarks": train,
        "arms": len(study.compared),
        "sizes": len(study.sizes) or 1,
        "seeds": len(study.seeds),
        "evaluation benchmarks": evaluate,
    }
    cells = math.prod(factors.values())
    if cells > MOST_CELLS:
        product = " x ".join(f"{count:,} {what}" for what, count in factors.items())
        raise InputError(f"seeds: {product} are {cells:,} cells; allowed: at most {MOST_CELLS:,}")
