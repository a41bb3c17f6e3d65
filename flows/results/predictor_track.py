"""How often what a predictor picks came out best: its record, for what is recommended by it today."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.config import imported_file
from flows.results import imported_results, own_results
from tasks.comparison.predictor_groups import Group, Results
from tasks.comparison.predictor_record import PredictorRecord, records

HERE = "studies here"
FEWEST = 6
"""Choices below which a record of studies here is not preferred to a published one."""


@dataclass(frozen=True)
class Track:
    """What came of a predictor's picks: in how many of `choices` it picked the best arm (`right`, ties shared), and its
    mean regret, beside those of an arm drawn at random among the same."""

    where: str
    choices: int
    right: float
    regret: float
    chance_right: float
    chance_regret: float

    @property
    def left(self) -> float:
        """The share of chance's regret that is left when one follows the predictor: below 1 it is of use."""
        return self.regret / self.chance_regret if self.chance_regret > 0 else 1.0


def tracks() -> Mapping[str, Sequence[Track]]:
    """By predictor, its record in the studies finished here, then in each of the published results that have it."""
    found: dict[str, list[Track]] = {}
    own = own_results.finished()
    better = {name: higher for results in own for name, higher in results.better.items()}
    groups = [group for results in own for group in results.groups]
    everywhere = [Results(HERE, tuple(groups), better)] if groups else []
    everywhere += [imported_results.read(imported_file.load(name)) for name in imported_file.published()]
    for results in everywhere:
        for record in records(results.groups, results.better):
            if record.picks:
                ours = results.same_as.get(record.predictor, record.predictor)
                found.setdefault(ours, []).append(_track(results.name, record, results.groups))
    return found


def best(known: Mapping[str, Sequence[Track]], predictors: Sequence[str]) -> tuple[str, Track] | None:
    """The predictor whose picks left the least of chance's regret: in the studies here, where they had `FEWEST`
    choices, else in published results. None where none of these predictors has a record that beats chance."""
    for here in (True, False):
        among = [
            (track.left, name, track)
            for name in predictors
            for track in known.get(name, ())
            if (track.where == HERE) == here and track.choices >= FEWEST and track.left < 1
        ]
        if among:
            _, name, track = min(among, key=lambda each: each[:2])
            return name, track
    return None


def _track(where: str, record: PredictorRecord, groups: Sequence[Group]) -> Track:
    picked = [each for each in record.groups if each.pick]
    count = len(picked)
    return Track(
        where=where,
        choices=count,
        right=sum(each.right for each in picked),
        regret=record.regret.value,
        chance_right=sum(len(each.best) / each.options for each in picked),
        chance_regret=sum(each.best_accuracy - each.chance for each in picked) / count,
    )
