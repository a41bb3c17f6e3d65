"""`mothertongue advise`: which of several answer sets to fine-tune on, as far as it can be said without training."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data import benchmark as benchmarks
from data.errors import InputError
from data.prompt import read
from flows.cli import settling_study
from flows.cli.answer_sets import AnswerSets, Asked, answer_sets
from flows.cli.read_answers import SetFigures, figures
from flows.cli.settling_study import BARE_QUESTION, Written
from flows.cli.text_table import columns_of
from flows.results import predictor_track
from flows.results.json_output import say
from flows.results.predictor_track import HERE, Track
from tasks.kinds import predictors
from tasks.models import template_trial
from tasks.models.model import weights
from tasks.models.template_trial import Trial
from tasks.reporting.formatting import percent, points, ratio

NO_RECORD = "no record yet"


def advise(
    files: Sequence[Path],
    model: str,
    asked: Asked,
    prompt: Path | None,
    thinking: bool | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Print what is known of answer sets before any training, what each predictor picks, and how often its picks were
    right; write the study that would settle it. Nothing is trained.

    Raises:
        InputError: one line on what is wrong with the files, the options or the model.
    """
    from flows.planning import rendering_checks

    target = settling_study.place(files, out)
    student = weights(model).choosing(thinking)
    rendering = rendering_checks.loaded(student)
    rendering.check()
    template = _template(prompt, asked.benchmark)
    sets = answer_sets(files, asked)
    first = sets.chosen(next(iter(sets.rows)))[0]
    template_trial.check([Trial(f"--prompt {prompt}" if prompt else "the prompt", template, first)])
    found, lacking = figures(sets, student, template)
    known = predictor_track.tracks()
    picks = {name: _picked(name, found) for name in predictors.names()}
    picks = {name: pick for name, pick in picks.items() if pick}
    chosen = predictor_track.best(known, list(picks))
    settled = _settled(sets, model, template, target)
    if as_json:
        say(_plain(sets, found, picks, known, chosen, settled, rendering.notes))
    else:
        print("\n".join(_page(student.name, sets, found, lacking, picks, known, chosen)))
        for note in (*rendering.notes, *(settled.notes if isinstance(settled, Written) else ())):
            print(note)
    if isinstance(settled, str) and out is not None:
        raise InputError(f"--out {out}: no study file: {settled}")
    if as_json:
        return
    if isinstance(settled, str):
        print(f"\nNo study file: {settled}")
        return
    counts = f"{settled.train:,} questions to train on, {settled.test:,} to test on"
    print(f"\nWhat would settle it: {settled.command}  ({counts})")


def _settled(sets: AnswerSets, model: str, template: str, target: Path) -> Written | str:
    """The study file that was written, or why there is none."""
    try:
        if target.exists():
            return f"{target} is there already and stays as it is; another name: --out FILE.yaml"
        return settling_study.write(sets, model, template, target)
    except InputError as error:
        return str(error)


def _template(prompt: Path | None, benchmark: str | None) -> str:
    if prompt is None:
        return BARE_QUESTION if benchmark is None else benchmarks.find(benchmark).prompt
    try:
        return read(prompt)
    except InputError as error:
        raise InputError(f"--prompt {error}") from None


def _picked(predictor: str, found: Sequence[SetFigures]) -> tuple[str, ...]:
    """The sets that a predictor picks, several where they tie; none where it has fewer than two values, or all are the
    same."""
    values = {each.name: each.values[predictor] for each in found if not math.isnan(each.values[predictor])}
    if len(values) < 2 or len(set(values.values())) == 1:
        return ()
    wanted = (max if predictors.find(predictor).better == "higher" else min)(values.values())
    return tuple(name for name, value in values.items() if value == wanted)


def _page(
    student: str,
    sets: AnswerSets,
    found: Sequence[SetFigures],
    lacking: Mapping[str, str],
    picks: Mapping[str, tuple[str, ...]],
    known: Mapping[str, Sequence[Track]],
    chosen: tuple[str, Track] | None,
) -> Iterator[str]:
    if sets.columns:
        yield f"Taken by the columns' names: {sets.columns}"
    yield from sets.notes
    yield _compared(sets)
    yield ""
    yield from columns_of([student, "rows", "correct", "tokens", "perplexity, mean (95 %)"], [_row(e) for e in found])
    if too_long := sum(each.too_long for each in found):
        yield f"Rows longer than the model's context, left out of all but the counts: {too_long:,}."
    yield ""
    rows = [
        [
            predictors.find(name).title,
            predictors.find(name).better,
            ", ".join(pick),
            *(_value(each.values[name]) for each in found),
            _record(known.get(name, ())),
        ]
        for name, pick in picks.items()
    ]
    head = ["", "better", "picks", *(each.name for each in found), "its picks so far"]
    if rows:
        yield from columns_of(head, rows)
    silent: dict[str, list[str]] = {}
    for name in predictors.names():
        if name not in picks:
            silent.setdefault(lacking[name], []).append(predictors.find(name).title)
    for why, titles in silent.items():
        yield f"No pick by {'; '.join(titles)}: {why}."
    yield ""
    yield _recommendation(picks, chosen)


def _compared(sets: AnswerSets) -> str:
    total = len({row["key"] for rows in sets.rows.values() for row in rows})
    if sets.compared is None:
        return (
            f"{len(sets.rows)} sets that share no question: each is read whole, and differences may be of the questions"
        )
    some = f", {len(sets.compared):,} of them are read" if len(sets.compared) < sets.shared else ""
    return f"{len(sets.rows)} sets; of {total:,} questions {sets.shared:,} are answered by all{some}"


def _row(found: SetFigures) -> list[str]:
    correct = "–" if found.correct is None else f"{percent(found.correct / found.judged)} %"
    interval = "" if math.isnan(found.low) else f" ({ratio(found.low)} to {ratio(found.high)})"
    tokens = "–" if math.isnan(found.tokens) else f"{found.tokens:.1f}"
    return [found.name, f"{found.rows:,}", correct, tokens, ratio(found.perplexity) + interval]


def _value(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"


def _record(tracks: Sequence[Track]) -> str:
    return "; ".join(_track(track) for track in tracks) or NO_RECORD


def _track(track: Track) -> str:
    return (
        f"{track.where}: best in {track.right:.3g} of {track.choices} (chance {track.chance_right:.2g}), "
        f"regret {_points(track.regret)} (chance {_points(track.chance_regret)})"
    )


def _points(share: float) -> str:
    return points(share).lstrip("+")


def _recommendation(picks: Mapping[str, tuple[str, ...]], chosen: tuple[str, Track] | None) -> str:
    if not picks:
        return "Recommendation: none; no predictor tells the sets apart."
    if chosen is None:
        votes = [each for pick in picks.values() for each in pick]
        most = max(dict.fromkeys(votes), key=votes.count)
        return (
            f"Recommendation: {most}, which {votes.count(most)} of {len(picks)} predictors pick. How often that is "
            f"right: {NO_RECORD}."
        )
    name, track = chosen
    where = track.where if track.where == HERE else f"the published results {track.where}"
    here = "" if track.where == HERE else f" In studies here: {NO_RECORD}."
    same = sum(set(picks[name]) <= set(pick) for pick in picks.values())
    return (
        f"Recommendation: {' or '.join(picks[name])}, by {predictors.find(name).title} ({same} of {len(picks)} "
        f"predictors pick so), whose picks have the best record: in {where} the best arm in {track.right:.3g} of "
        f"{track.choices} choices (chance: {track.chance_right:.2g}), on average {_points(track.regret)} points of "
        f"accuracy below it (chance: {_points(track.chance_regret)}).{here}"
    )


def _plain(
    sets: AnswerSets,
    found: Sequence[SetFigures],
    picks: Mapping[str, tuple[str, ...]],
    known: Mapping[str, Sequence[Track]],
    chosen: tuple[str, Track] | None,
    settled: Written | str,
    notes: Sequence[str],
) -> dict[str, Any]:
    """The same for machines; NaN as null."""
    return {
        "shared_questions": sets.shared,
        "compared_questions": None if sets.compared is None else len(sets.compared),
        "sets": [
            {
                "name": each.name,
                "rows": each.rows,
                "correct": each.correct,
                "judged": each.judged,
                "too_long": each.too_long,
                "tokens": _number(each.tokens),
                "perplexity": dict(zip(("mean", "low", "high"), map(_number, each.interval), strict=True)),
                "predictors": {name: _number(value) for name, value in each.values.items()},
            }
            for each in found
        ],
        "picks": {
            name: {"sets": list(pick), "record": [vars(track) for track in known.get(name, ())]}
            for name, pick in picks.items()
        },
        "recommendation": None
        if chosen is None
        else {"sets": list(picks[chosen[0]]), "by": chosen[0], "record": vars(chosen[1])},
        "study": str(settled.path) if isinstance(settled, Written) else None,
        "no_study": settled if isinstance(settled, str) else None,
        "notes": [*sets.notes, *notes],
    }  # fmt: skip


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
