"""The arms of a study: what each trains on, by which method, from where it starts, and what it is matched with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from data import kinds
from data.errors import shown
from data.options import OptionError, checked, of_kind
from flows.config.form import Kinds
from flows.config.study_parts import Control
from tasks.kinds import methods
from tasks.kinds.methods import Method
from tasks.kinds.origins import Origin
from tasks.selection.match import Match

AnyMethod = Annotated[SerializeAsAny[Method], Kinds(methods.kinds_by_name, "Method")]
STUDY = "*"
"""The match of the study itself, beside those of controls and of single arms."""


class ArmOptions(BaseModel):
    """One arm of a study, as its file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: str = Field(description="the origin whose responses, or pairs, it trains on")
    method: AnyMethod | None = Field(None, description="how it learns; null for the study's `method`")
    after: str = Field("", description="the arm whose adapter it starts from, and is held against; empty: no training")
    match: Match | None = Field(
        None, description="what it is matched for, with the arms of an equal `match`; null for the study's `match`"
    )

    @classmethod
    def parse(cls, options: Mapping[str, Any], where: str) -> "ArmOptions":
        """An arm as a study file has it.

        Raises:
            OptionError: a value is wrong; one line that names its key, which begins with `where`.
        """
        method = options.get("method")
        if method is not None:
            method = of_kind(methods.kinds_by_name(), method, "sft", f"{where}.method", "method")
        arm = checked(cls, {**options, "method": method}, where)
        assert isinstance(arm, cls)
        return arm


@dataclass(frozen=True)
class ArmPlan:
    """One arm of a study, with all that was left to the study filled in."""

    name: str
    on: str
    """The name of its origin in the study."""
    origin: str
    """What tables call its origin: in a study without `arms` a control's arm is called by its own name."""
    method: Method
    after: str
    match: Match
    group: str
    """Arms of one group are matched among themselves."""
    control: Control | None = None

    @property
    def pool(self) -> str:
        """What `select` calls its rows."""
        return self.origin


def planned(
    origins: Iterable[str],
    arms: Mapping[str, ArmOptions],
    controls: Mapping[str, Control],
    method: Method,
    match: Match,
) -> Iterator[ArmPlan]:
    """A study's arms: those it names; or one for each origin, and one for each origin of each control."""
    groups: dict[Match, str] = {match: STUDY}
    for name, arm in arms.items():
        own = arm.match or match
        group = groups.setdefault(own, name)
        yield ArmPlan(name, arm.on, arm.on, arm.method or method, arm.after, own, group)
    if arms:
        return
    for name in origins:
        yield ArmPlan(name, name, name, method, "", match, STUDY)
    for control_name, control in controls.items():
        for origin in control.origins:
            name = f"{origin}@{control_name}"
            yield ArmPlan(name, origin, name, method, "", control.match, control_name, control)


def check_arms(arms: Sequence[ArmPlan], origins: Mapping[str, Origin], named: bool, students: Sequence[str]) -> None:
    """See that arms and origins name each other rightly, and that every method gets the rows that it takes.

    Args:
        named: whether the study names its arms.
        students: what the study's models are called.

    Raises:
        OptionError: one line with the key, its value and what is allowed.
    """
    names = [arm.name for arm in arms]
    for name, origin in origins.items():
        for arm_name in origin.arms_needed:
            _check_arm(f"origins.{name}.by", arm_name, names, students)
        for other in origin.origins_needed:
            if other not in origins:
                raise OptionError(f"origins.{name}.of: {kinds.unknown('origin', other, origins)}")
    for arm in arms:
        where = f"arms.{arm.name}"
        if arm.on not in origins:
            raise OptionError(f"{where}.on: {kinds.unknown('origin', arm.on, origins)}")
        if arm.after:
            _check_arm(f"{where}.after", arm.after, names, students)
        gives = origins[arm.on].gives
        if arm.method.takes != gives:
            fitting = [name for name, origin in origins.items() if origin.gives == arm.method.takes]
            raise OptionError(
                f"{f'{where}.method' if named else 'method'}: {arm.method.kind} learns from {arm.method.takes}, and "
                f"{arm.on} gives {gives}. Allowed: a method that takes {gives}, or an origin that gives "
                f"{arm.method.takes} ({', '.join(fitting) or 'the study has none'})"
            )
    by_name = {arm.name: arm for arm in arms}
    _check_order(by_name, origins)
    _check_questions(by_name, origins)
    for arm in arms:
        if arm.after:
            _check_start(arm, by_name[arm.after])


def _check_arm(where: str, name: str, names: Sequence[str], students: Sequence[str]) -> None:
    student, slash, rest = name.rpartition("/")
    if slash and student in students and rest in names:
        raise OptionError(f"{where}: {name} is not allowed: it is the arm {rest} of the same student; write {rest}")
    if name not in names:
        raise OptionError(f"{where}: {kinds.unknown('arm', name, names)}")


def _check_start(arm: ArmPlan, start: ArmPlan) -> None:
    """See that an arm's adapter has the shape of the one that its training starts from.

    Raises:
        OptionError: it has not.
    """
    for key in ("rank", "alpha", "targets"):
        own, first = getattr(arm.method, key), getattr(start.method, key)
        own, first = (sorted(set(value)) if isinstance(value, tuple) else value for value in (own, first))
        if own != first:
            raise OptionError(
                f"arms.{arm.name}.method.{key}: {shown(own)} is not allowed: it goes on from the adapter of arm "
                f"{start.name}, with {key} {shown(first)}; allowed is the same for both"
            )


def _check_order(arms: Mapping[str, ArmPlan], origins: Mapping[str, Origin]) -> None:
    """See that no arm needs itself, by way of others.

    Raises:
        OptionError: one does; names the way.
    """
    done: set[str] = set()

    def visit(what: str, name: str, way: list[str]) -> None:
        step = f"{what} {name}"
        if step in way:
            circle = [*way[way.index(step) :], step]
            where = "arms" if any(each.startswith("arm ") for each in circle) else "origins"
            raise OptionError(f"{where}: {' needs '.join(circle)}, which has no beginning")
        if step in done:
            return
        for needed in _needs(what, name, arms, origins):
            visit(*needed, [*way, step])
        done.add(step)

    for name in arms:
        visit("arm", name, [])
    for name in origins:
        visit("origin", name, [])


def _needs(
    what: str, name: str, arms: Mapping[str, ArmPlan], origins: Mapping[str, Origin]
) -> Iterator[tuple[str, str]]:
    if what == "arm":
        yield "origin", arms[name].on
        if arms[name].after:
            yield "arm", arms[name].after
        return
    yield from (("origin", other) for other in origins[name].origins_needed)
    yield from (("arm", arm) for arm in origins[name].arms_needed)


def _check_questions(arms: Mapping[str, ArmPlan], origins: Mapping[str, Origin]) -> None:
    """See that an origin works on responses to the same questions, and that arms which are to train on the same ones
    can.

    Raises:
        OptionError: it does not, or they cannot.
    """
    for name, origin in origins.items():
        if len(answered := {posed_by(other, origins): other for other in origin.origins_needed}) > 1:
            others = " and ".join(answered.values())
            raise OptionError(f"origins.{name}.of: {others} answer different questions; allowed are the same ones")
    matched: dict[tuple[str, int], dict[str, str]] = {}
    for arm in arms.values():
        if not arm.match.questions:
            continue
        key = f"controls.{arm.group}." if arm.control else "" if arm.group == STUDY else f"arms.{arm.group}."
        if option := origins[arm.on].own_questions:
            raise OptionError(
                f"{key}match.questions: true is not allowed: arm {arm.name} trains on questions of its own too "
                f"(origins.{arm.on}.{option}); allowed: false"
            )
        group = matched.setdefault((arm.group, depth(arm, arms, origins)), {})
        group.setdefault(posed_by(arm.on, origins), arm.name)
        if len(group) > 1:
            raise OptionError(
                f"{key}match.questions: true is not allowed: arms {' and '.join(group.values())} train on other "
                f"questions ({next(filter(None, group))} poses its own); allowed: false, or another match for one"
            )


def posed_by(name: str, origins: Mapping[str, Origin]) -> str:
    """The origin that poses the questions that an origin's rows answer: itself, or one whose responses it works on;
    empty for the benchmark's questions."""
    origin = origins[name]
    if origin.posed_at_most is not None:
        return name
    return next((posed_by(other, origins) for other in origin.origins_needed if other in origins), "")


def written_by_arms(name: str, origins: Mapping[str, Origin]) -> bool:
    """Whether an origin's rows need an arm to be trained first, its own or those of an origin it works on."""
    origin = origins[name]
    return bool(origin.arms_needed) or any(
        written_by_arms(other, origins) for other in origin.origins_needed if other in origins and other != name
    )


def depth(arm: ArmPlan, arms: Mapping[str, ArmPlan], origins: Mapping[str, Origin]) -> int:
    """How many arms have to be trained, one after the other, before this arm's rows can be had.

    Only arms of the same depth can be matched with each other: the rows of the later are not there yet when the
    earlier are trained.
    """

    def of_origin(name: str) -> int:
        origin = origins[name]
        before = [depth(arms[writer], arms, origins) + 1 for writer in origin.arms_needed if writer in arms]
        return max([0, *before, *(of_origin(other) for other in origin.origins_needed if other in origins)])

    return of_origin(arm.on)
