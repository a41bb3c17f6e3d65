"""What a study would be stopped by once it runs, found before: whatever files on this machine say without much work.

Read are the questions of local files and of generators, ready-made responses, gold answers and templates; nothing is
fetched, loaded or generated. Of large files only the beginning is looked at.
"""

import itertools

from data.benchmark import Benchmark, all_questions, chosen
from data.errors import InputError, at
from data.source import Files, Generated, Hub, Listed
from flows.config.results_folder import folder
from flows.config.schema import Study
from flows.planning import row_notes
from tasks.kinds import stages, verifiers
from tasks.kinds.origins import Look, Origin
from tasks.models import template_trial
from tasks.models.template_trial import Trial
from tasks.questions import as_rows
from tasks.storage.opening import open_store
from tasks.storage.rows import Row, Rows
from tasks.verification import golds
from tasks.verify import ERROR_SHARE

SMALL = 16 * 2**20
"""Bytes of a benchmark's files, or of a file of responses, that are read whole."""
FEW = 500
"""Rows that are looked at of larger ones."""
GENERATED = 20
"""Questions that a generator of the project's is asked for: all that it makes are of one form."""


def check(study: Study) -> tuple[str, ...]:
    """Look at everything that can be looked at.

    Returns:
        What a user should know of the rows, a line each.

    Raises:
        InputError: one line with the key of the study file, the value, and what is allowed.
    """
    with at(study.file):
        return tuple(_check(study))


def _check(study: Study) -> list[str]:
    _check_results(study)
    notes = _unanswered(study)
    counts = study.questions
    trials: list[Trial] = []
    seen: dict[str, Rows] = {}
    for key, patterns, split, asked in (
        ("train", study.train, counts.train_split, counts.to_train),
        ("evaluate", study.evaluate, counts.evaluate_split, counts.to_evaluate),
    ):
        for benchmark in _found(study, patterns):
            each = counts.train_each if key == "train" else counts.evaluate_each
            place = f"questions.{key}_each.{benchmark.name}" if benchmark.name in each else f"questions.{key}"
            held = _questions(study, benchmark.only(split), split, asked(benchmark.name), place, notes)
            if not held:
                continue
            with at(f"benchmarks.{benchmark.name}" if benchmark.name in study.benchmarks else key):
                rows = as_rows(held, f"{benchmark.name}/{split}")
            _check_golds(study, benchmark, split, rows)
            where = f"benchmarks.{benchmark.name}.prompt" if benchmark.name in study.benchmarks else key
            trials.append(Trial(where, benchmark.prompt, rows[0]))
            if key == "train":
                seen[benchmark.name] = rows
                _check_kept(study, benchmark, rows)
    own = {f"arms.{name}.method": arm.method for name, arm in study.arms.items() if arm.method is not None}
    models = study.models
    for place, method in {"method": study.method, **own}.items():
        with at(place, f"{place}."):
            method.check(models, place)
    for name, origin in study.origins.items():
        look = Look(name, study.roots, SMALL)
        _check_origin(origin, list(seen.values()), look, whole=len(seen) == len(study.names(study.train)))
        for rows in seen.values():
            templates = origin.templates(look)
            for option, (text, more) in templates.items():
                trials.append(Trial(f"origins.{name}.{option}", text, {**rows[0], **more}))
    template_trial.check(list({(trial.where, trial.template): trial for trial in trials}.values()))
    return notes


def _unanswered(study: Study) -> list[str]:
    train, evaluate = study.names(study.train), study.names(study.evaluate)
    if set(train) & set(evaluate):
        return []
    return [
        f"No benchmark that is trained on is evaluated: there will be scores, and no verdict on what is best; for one, "
        f"add {train[0]} to `evaluate`."
    ]


def _check_results(study: Study) -> None:
    place, store = folder(study).absolute(), open_store().root
    if place.is_relative_to(store):
        raise InputError(f"name: {study.name} is not allowed: its results would lie in the store ({store})")


def _check_origin(origin: Origin, seen: list[Rows], look: Look, whole: bool) -> None:
    """An origin without responses to one benchmark is an arm less; one without any is a slip of the study file.

    Args:
        seen: questions of the training benchmarks that were looked at.
        whole: whether these are all of them.
    """
    wrong: list[InputError] = []
    for rows in seen:
        try:
            origin.check(rows, look)
        except InputError as error:
            wrong.append(error)
    if whole and seen and len(wrong) == len(seen):
        with at(f"origins.{look.origin}"):
            raise wrong[0]


def _found(study: Study, patterns: list[str]) -> list[Benchmark]:
    return list({found.name: found for pattern in patterns for found in study.find(pattern)}.values())


def _questions(
    study: Study, benchmark: Benchmark, split: str, count: int | None, place: str, notes: list[str]
) -> list[Row]:
    """The questions that a study would take of a split, or some of them where they are many; none where they lie
    elsewhere.

    Args:
        place: the key that says how many, for errors.
        notes: what a user should know of them is added here.
    """
    source, seed, contract = benchmark.source, study.questions.seed, stages.contract(benchmark.verifier)
    if isinstance(source, Hub) or (isinstance(source, Generated) and count is None):
        return []
    where = f"benchmarks.{benchmark.name}" if benchmark.name in study.benchmarks else place
    if isinstance(source, Generated):
        with at(where):
            return list(all_questions(benchmark, split, min(GENERATED, count or GENERATED), seed, contract))
    with at(where):
        if _size(source, split) > SMALL:
            return list(itertools.islice(all_questions(benchmark, split, count, seed, contract), FEW))
        notes += filter(None, [row_notes.check_empty(benchmark, split)])
        rows = list(all_questions(benchmark, split, count, seed, contract))
    if count is not None and count > len(rows) and not isinstance(source, Listed):
        raise InputError(
            f"{place}: {count:,} questions are asked for, {benchmark.name}/{split} has {len(rows):,}; allowed: at most "
            f"{len(rows):,}, or null for all of them"
        )
    with at(where):
        taken = [rows[position] for position in chosen(benchmark, split, len(rows), count, seed)]
    notes += filter(None, [row_notes.repeated(benchmark, split, taken)])
    return taken


def _size(source: Files | Listed, split: str) -> int:
    return 0 if isinstance(source, Listed) else sum(path.stat().st_size for path in source.paths[split])


def _check_golds(study: Study, benchmark: Benchmark, split: str, rows: Rows) -> None:
    """As many as the run would not put up with; see `tasks.verify.believe`."""
    found = list(golds.unusable(rows, verifiers.find(benchmark.verifier)))
    if len(found) <= ERROR_SHARE * len(rows):
        return
    row, why = found[0]
    key = f"benchmarks.{benchmark.name}" if benchmark.name in study.benchmarks else "questions"
    raise InputError(
        f"{key}: {len(found):,} of {len(rows):,} gold answers of {split} cannot be used by the verifier "
        f"{benchmark.verifier}, the first in question {row['id']}: {why}"
    )


def _check_kept(study: Study, benchmark: Benchmark, rows: Rows) -> None:
    kept = study.questions.keep
    asked = study.questions.to_train(benchmark.name)
    total = asked if asked is not None else len(rows) if _is_whole(benchmark) else None
    if total is None:
        return
    if kept is not None and kept > total:
        raise InputError(
            f"questions.keep: {kept:,} is not allowed: {benchmark.name} has {total:,} training questions; allowed: at "
            "most so many, or null for as many as all origins have"
        )
    for size in study.sizes:
        if size > total:
            raise InputError(
                f"sizes: {size:,} is not allowed: {benchmark.name} has {total:,} training questions; allowed: at most "
                "so many"
            )
    own = {f"arms.{name}.match": arm.match for name, arm in study.arms.items() if arm.match is not None}
    used = {} if study.arms and len(own) == len(study.arms) else {"match": study.match}
    for place, match in {**used, **own}.items():
        if match.minimum > total:
            raise InputError(
                f"{place}.minimum: {match.minimum:,} is not allowed: {benchmark.name} has {total:,} training "
                "questions; allowed: at most so many, or more of these"
            )


def _is_whole(benchmark: Benchmark) -> bool:
    source = benchmark.source
    return isinstance(source, Files) and all(_size(source, split) <= SMALL for split in source.paths)
