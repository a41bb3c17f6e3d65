"""Whether the parts of a study fit together: what one names, another has."""

from collections.abc import Iterable, Mapping, Sequence

from data import kinds
from data.options import OptionError
from flows.config.arms import ArmOptions, ArmPlan, posed_by
from flows.config.study_parts import Control, Questions
from tasks.comparison.cell import UNTRAINED
from tasks.comparison.contrast import Contrast
from tasks.comparison.phrasing import listed
from tasks.kinds.origins import Origin
from tasks.models import endpoint


def check_endpoints(endpoints: Iterable[str], origins: Mapping[str, Origin]) -> None:
    """See that each endpoint with settings is asked by an origin.

    Raises:
        OptionError: one is not; as all of these, one line with the key, its value and what is allowed.
    """
    named = (name for origin in origins.values() for name in origin.models_asked)
    asked = {name.removeprefix(endpoint.PREFIX) for name in named if name.startswith(endpoint.PREFIX)}
    for id in endpoints:
        if id not in asked:
            raise OptionError(f"endpoints.{id}: {kinds.unknown('teacher', id, sorted(asked))}")


def check_models(
    students: Sequence[str], origins: Mapping[str, Origin], trusted: Sequence[str], thinking: Iterable[str]
) -> None:
    """See that models which are trusted, or think, are models of the study, and served here.

    Raises:
        OptionError: one is not.
    """
    known = [*students, *(name for origin in origins.values() for name in origin.models_asked)]
    named = {f"trust_remote_code.{number}": name for number, name in enumerate(trusted)}
    for where, name in [*named.items(), *((f"thinking.{name}", name) for name in thinking)]:
        if name not in known:
            raise OptionError(f"{where}: {kinds.unknown('model of this study', name, known)}")
        if name.startswith(endpoint.PREFIX):
            raise OptionError(f"{where}: {name} is behind an endpoint, whose server decides this")


def check_controls(arms: Mapping[str, ArmOptions], controls: Mapping[str, Control]) -> None:
    """See that a study has arms or controls, not both.

    Raises:
        OptionError: it has both.
    """
    if arms and controls:
        raise OptionError(
            f"controls.{next(iter(controls))}: a study that names its arms has no controls: give an arm a `match` of "
            "its own"
        )


def check_sizes(
    sizes: Sequence[int], questions: Questions, arms: Sequence[ArmPlan], origins: Mapping[str, Origin]
) -> None:
    """See that no size is larger than the number of training questions, where the study says that, or too small.

    Raises:
        OptionError: one is, or arms get a fixed number of questions in another way too.
    """
    posers = {posed_by(arm.on, origins) for arm in arms}
    most = [(origins[name].posed_at_most, f"what origins.{name} poses") for name in sorted(posers - {""})]
    if "" in posers:
        most.append((questions.train, "questions.train"))
        most += [(count, f"questions.train_each.{name}") for name, count in questions.train_each.items()]
    for size in sizes:
        for count, where in most:
            if count is not None and size > count:
                raise OptionError(f"sizes: {size} is more than there are questions: {where} is {count} at most")
    for arm in arms:
        if sizes and (option := origins[arm.on].own_questions):
            raise OptionError(
                f"sizes: they are of the benchmark's questions, and arm {arm.name} trains on others as well; allowed "
                f"without origins.{arm.on}.{option}"
            )
    if sizes and questions.keep is not None:
        raise OptionError("sizes: they say how many questions an arm gets; allowed without questions.keep")
    for arm in arms:
        for size in sizes:
            if size < arm.match.minimum:
                raise OptionError(
                    f"sizes: {size} is not allowed: arm {arm.name} needs at least {arm.match.minimum} questions "
                    "(match.minimum)"
                )


def check_reference(reference: str, sizes: Sequence[int], arms: Iterable[ArmPlan]) -> None:
    """See that the reference is an arm of the study, no control, and that there are sizes to count by.

    Raises:
        OptionError: it is not, or there are none.
    """
    known = [arm.name for arm in arms if arm.control is None]
    if reference and not sizes:
        raise OptionError(f"reference: {reference} is not allowed without `sizes`, over which its error is measured")
    if reference and reference not in known:
        raise OptionError(f"reference: {kinds.unknown('arm', reference, known)}")


def check_contrasts(contrasts: Sequence[Contrast], arms: Sequence[str], sizes: Sequence[int]) -> None:
    """See that contrasts are between arms of the study, or with the untrained student, at sizes of the study.

    Raises:
        OptionError: one is not.
    """
    known = (*arms, UNTRAINED)
    for number, contrast in enumerate(contrasts):
        for side in ("better", "than"):
            if getattr(contrast, side) not in known:
                where = f"contrasts.{number}.{side}"
                raise OptionError(f"{where}: {kinds.unknown('arm', getattr(contrast, side), known)}")
            size = getattr(contrast, f"{side}_size")
            untrained = getattr(contrast, side) == UNTRAINED
            if size and (size not in sizes or untrained):
                allowed = "0 for no training" if untrained else "0 in a study without sizes"
                if sizes and not untrained:
                    allowed = f"0 and the study's sizes ({listed([str(size) for size in sizes])})"
                raise OptionError(f"contrasts.{number}.{side}_size: {size} is not allowed; allowed: {allowed}")
