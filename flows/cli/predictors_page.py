"""`mothertongue predictors`: how well numbers known before training would have picked, over all results there are."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from data.errors import InputError
from flows.cli.text_table import columns_of
from flows.config import imported_file
from flows.results import imported_results, own_results
from flows.results.json_output import say
from tasks.comparison.predictor_combination import Combination
from tasks.comparison.predictor_groups import Choice, Results
from tasks.comparison.predictor_noise import BeyondNoise
from tasks.comparison.predictor_overview import LEFT_OUT, LENGTH, Overview, overview
from tasks.comparison.predictor_record import GroupRecord, PredictorRecord
from tasks.comparison.statistics import Estimate
from tasks.reporting.formatting import coefficient, percent, points

NO_RECORD = "No record yet: no study with predictors was finished here (in runs/), and no results are imported."
MOST_PICKED = 3
"""Options of a tie that are named."""


def show(imported: Sequence[str], overrides: list[str], own_alone: bool, predictor: str | None, as_json: bool) -> None:
    """Print the record of every study finished here and of imported results.

    Args:
        imported: files of imported results, or names of those that come with the project; empty: all of these.
        overrides: `--set` values laid over each of the files.
        own_alone: leave imported results out.
        predictor: print each choice of this one instead.

    Raises:
        InputError: a file or a table is wrong, or there is no such predictor.
    """
    found = _results(imported, overrides, own_alone)
    overviews = [overview(results) for results in found]
    if predictor is not None:
        _check_predictor(predictor, found)
    if as_json:
        say({"results": [_plain(each) for each in overviews]})
        return
    if not found:
        print(NO_RECORD)
        return
    if predictor is not None:  # of several results together all choices stand below, under what they are of
        overviews = [each for each in overviews if each.results.together == 0]
    pages = (_choices(each, predictor) if predictor is not None else _page(each) for each in overviews)
    print("\n\n".join("\n".join(page) for page in pages))


def _results(imported: Sequence[str], overrides: list[str], own_alone: bool) -> list[Results]:
    """Own studies, together too where there are several, then imported results, together too."""
    if own_alone and imported:
        raise InputError("--own leaves imported results out; allowed is one of --own and --imported")
    if own_alone and overrides:
        raise InputError("--set is laid over imported results; --own leaves those out")
    own = own_results.finished()
    files = [] if own_alone else list(dict.fromkeys(imported)) or imported_file.published()
    others = [imported_results.read(imported_file.load(file, overrides)) for file in files]
    return [*_with_all("all studies here", own), *_with_all("all imported results", others)]


def _with_all(name: str, found: list[Results]) -> list[Results]:
    """The results, and where there are several all of them as one, first."""
    if len(found) < 2:
        return found
    better: dict[str, bool] = {}
    for results in found:
        for predictor, higher in results.better.items():
            if better.setdefault(predictor, higher) != higher:
                raise InputError(
                    f"{results.name}: lower values of {predictor!r} are better here and higher ones elsewhere; allowed "
                    "are names of their own for predictors that differ"
                )
    groups = tuple(group for results in found for group in results.groups)
    baselines = tuple(dict.fromkeys(each for results in found for each in results.baselines))
    about = ", ".join(each.name for each in found)
    return [Results(name, groups, better, about, baselines=baselines, together=len(found)), *found]


def _check_predictor(predictor: str, found: Sequence[Results]) -> None:
    known = list(dict.fromkeys(name for results in found for name in results.better))
    if found and predictor not in known:
        raise InputError(f"--predictor {predictor}: there is none of this name; allowed: {', '.join(known)}")


def _page(found: Overview) -> Iterator[str]:
    yield from _head(found)
    if not found.results.groups:
        return
    yield ""
    yield from _records("", found.records, found.against)
    for student, of_student in found.by_student.items():
        yield ""
        yield from _records(student, of_student, {})
    if found.beyond_noise:
        yield ""
        yield from _noise(found.beyond_noise, found.apart, len(found.results.groups))
    for each in found.combinations:
        yield ""
        yield from _combination(each)
    tested = {each.left_out for each in found.combinations}
    if untested := [what for what in LEFT_OUT if what not in tested]:
        yield f"\nToo few choices to learn from the rest with each {' or '.join(untested)} left out."


def _head(found: Overview) -> Iterator[str]:
    results = found.results
    yield f"{results.name}: {results.about}" if results.about else results.name
    if results.source:
        yield f"source: {results.source}"
    choices = found.choices
    counts = [
        _counted(len(choices), "choice"),
        _counted(len({each.student for each in choices}), "student"),
        _counted(len({each.benchmark for each in choices}), "benchmark"),
        _counted(sum(len(group.options) for group in results.groups), "trained arm"),
    ]
    over = "items and seeds drawn anew, benchmarks as they are"
    if found.over_benchmarks:
        over = "benchmarks drawn anew"
    elif any(group.replicates is None for group in results.groups):
        over = "none, of fewer than six benchmarks and accuracies whose noise is not known"
    yield f"{', '.join(counts)}; 95 % intervals: {over}"
    yield from (f"{note}." for note in results.notes)
    if LENGTH not in results.better:
        yield "Length, the baseline that every predictor must beat, is not among these."


def _records(
    called: str, records: Sequence[PredictorRecord], against: dict[str, dict[str, Estimate]] | Any
) -> Iterator[str]:
    """One line a predictor; regrets and accuracies in points."""
    head = ["better", "rank correlation", "of", "regret", "above chance", "best picked", "of"]
    rows = []
    for each in records:
        beside = [_points(of[each.predictor]) if each.predictor in of else "" for of in against.values()]
        rows.append(
            [
                each.predictor,
                "higher" if each.higher_is_better else "lower",
                _correlation(each.correlation),
                f"{each.ranked}",
                _points(each.regret, sign=False),
                _points(each.above_chance),
                f"{percent(each.right)} %" if each.picks else "–",
                f"{each.picks}",
                *beside,
            ]
        )
    if records:
        chance = _chance(records)
        rows.append(["chance", "", "0.00", "", *chance, "", *([""] * len(against))])
    yield from columns_of([called, *head, *(f"regret less {name}'s" for name in against)], rows)


def _chance(records: Sequence[PredictorRecord]) -> list[str]:
    """Regret and share of best picks of an option drawn at random, over all choices with two options at least."""
    groups = [each for each in records[0].groups if each.options > 1]
    if not groups:
        return ["–", "–", "–"]
    regret = sum(each.best_accuracy - each.chance for each in groups) / len(groups)
    best = sum(len(each.best) / each.options for each in groups) / len(groups)
    return [_number(regret), "0.0", f"{percent(best)} %"]


def _noise(found: Sequence[BeyondNoise], apart: int, choices: int) -> Iterator[str]:
    yield f"Where arms differ by more than the noise of seeds and test items ({apart} of {choices}), and elsewhere:"
    rows = [
        [
            each.predictor,
            *(text for part in (each.apart, each.alike) for text in _ranked(part)),
            _share(each.ordered),
            f"{each.pairs}",
        ]
        for each in found
    ]
    head = ["rank correlation", "of", "regret", "elsewhere", "of", "regret", "pairs ordered right", "of"]
    yield from columns_of(["", *head], rows)


def _ranked(record: PredictorRecord) -> list[str]:
    return [_correlation(record.correlation), f"{record.ranked}", _points(record.regret, sign=False)]


def _combination(found: Combination) -> Iterator[str]:
    yield f"Learnt from the rest, tested on the {found.left_out} left out ({found.folds} in turn):"
    named = [
        (f"all {len(found.weights)} predictors combined", found.combined),
        (f"{found.single_name}, the best by itself in hindsight", found.single),
        ("the arm that is usually the best", found.usual),
    ]
    rows = [[name, *_ranked(each), _points(each.above_chance), f"{percent(each.right)} %"] for name, each in named]
    yield from columns_of(["", "rank correlation", "of", "regret", "above chance", "best picked"], rows)
    yield (
        f"Combining adds {_correlation(found.more)} in rank correlation and {_points(found.regret_less)} points of "
        f"regret to {found.single_name} alone."
    )


def _choices(found: Overview, predictor: str | None) -> Iterator[str]:
    """Each choice of one predictor, then each benchmark over all its choices."""
    yield from _head(found)
    record = next((each for each in found.records if each.predictor == predictor), None)
    if record is None:
        yield f"No {predictor} here."
        return
    yield ""
    rows = [[str(each.group), *_choice(each)] for each in record.groups]
    head = ["rank correlation", "of", "pick", "accuracy", "regret", "best", "accuracy", "chance"]
    yield from columns_of([record.predictor, *head], rows)
    if len(found.by_benchmark) < len(found.choices):
        yield ""
        means = ([name, _correlation(of[record.predictor])] for name, of in found.by_benchmark.items())
        yield from columns_of(["mean over students", "rank correlation"], list(means))


def _choice(record: GroupRecord) -> list[str]:
    return [
        _correlation(record.correlation),
        f"{record.options - len(record.without_value)}",
        _names(record.pick),
        percent(record.accuracy.value),
        _points(record.regret, sign=False),
        _names(record.best),
        percent(record.best_accuracy),
        percent(record.chance),
    ]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _names(options: Sequence[str]) -> str:
    more = f" and {len(options) - MOST_PICKED} more" if len(options) > MOST_PICKED else ""
    return (", ".join(options[:MOST_PICKED]) or "–") + more


def _correlation(found: Estimate) -> str:
    if math.isnan(found.value):
        return "–"
    return coefficient(found.value) + _interval(coefficient(found.low), coefficient(found.high), found)


def _points(found: Estimate, sign: bool = True) -> str:
    if math.isnan(found.value):
        return "–"
    value, low, high = (points(each) if sign else _number(each) for each in (found.value, found.low, found.high))
    return value + _interval(low, high, found)


def _share(found: Estimate) -> str:
    if math.isnan(found.value):
        return "–"
    return f"{percent(found.value)} %" + _interval(percent(found.low), percent(found.high), found)


def _number(share: float) -> str:
    return points(share).lstrip("+")


def _interval(low: str, high: str, found: Estimate) -> str:
    return "" if math.isnan(found.low) else f" ({low} to {high})"


def _plain(found: Overview) -> dict[str, Any]:
    """The overview as JSON has it: NaN and infinity as null."""
    results = found.results
    return {
        "name": results.name,
        "about": results.about,
        "source": results.source,
        "notes": list(results.notes),
        "intervals_over": "benchmarks" if found.over_benchmarks else "items and seeds",
        "choices": len(results.groups),
        "predictors": [_json(each) for each in found.records],
        "by_student": {student: [_json(each) for each in of] for student, of in found.by_student.items()},
        "rank_correlation_by_benchmark": _json(found.by_benchmark),
        "against": {name: {other: _json(each) for other, each in of.items()} for name, of in found.against.items()},
        "choices_beyond_noise": found.apart,
        "beyond_noise": [_json(each) for each in found.beyond_noise],
        "combinations": [_json(each) for each in found.combinations],
    }


def _json(value: Any) -> Any:
    if isinstance(value, Choice):
        return dataclasses.asdict(value)
    if isinstance(value, Estimate):
        return {name: _json(getattr(value, name)) for name in ("value", "low", "high")}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(name): _json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
