"""How responses go about their questions, where a benchmark tells: answers, and the responses that were trained on.

It is told by the text alone, so it is told here, of all responses at once: a benchmark that learns to tell it, or tells
it better, has no model run again. A right answer can be right by luck: the table says how many are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.comparison.cell import Arm
from tasks.comparison.items import ARM
from tasks.resources.errors import StageFailed

if TYPE_CHECKING:
    import pandas as pd

ANSWERS, TRAINED_ON = "answers", "trained on"
APPROACHES = (*ARM, "eval_benchmark", "rows", "approach", "n", "share", "correct")


@dataclass(frozen=True)
class Approaches:
    """How a benchmark's responses can go about its questions."""

    of: Callable[[str, str], str]
    """`(question, response)` -> one of the words."""
    words: tuple[str, ...]
    """The wanted one first, then the one that is to be told from it, then others."""


def approaches_of(frame: pd.DataFrame, benchmark: str, approaches: Mapping[str, Approaches]) -> pd.Series[str]:
    """The approach of each row's `response` to its `question`; null where there is none or the benchmark tells none.

    Args:
        frame: rows with `question`, `response`, and the name of a benchmark in the column `benchmark`.

    Raises:
        StageFailed: a benchmark's function raises, or answers with a word that is none of its words.
    """
    import pandas as pd

    asked = [*zip(frame[benchmark], frame["question"], frame["response"], strict=True)]
    told = {
        (on, question, response): _told(on, approaches[on], question, response)
        for on, question, response in dict.fromkeys(asked)
        if on in approaches and isinstance(response, str)
    }
    return pd.Series([told.get(one) for one in asked], index=frame.index, dtype="str")


def _told(benchmark: str, one: Approaches, question: str, response: str) -> str:
    try:
        word = one.of(question, response)
    except Exception as error:
        raise StageFailed(
            f"{benchmark}: approach raised {type(error).__name__}: {error}, of {response!r:.80}"
        ) from error
    if word not in one.words:
        raise StageFailed(f"{benchmark}: approach is {word!r}; allowed: {', '.join(one.words)}")
    return word


def shares(
    items: pd.DataFrame, responses: pd.DataFrame, approaches: Mapping[str, Approaches], arms: Sequence[Arm]
) -> pd.DataFrame:
    """One row per arm, size, evaluation benchmark and approach (`APPROACHES`); none where no benchmark tells.

    `rows` says what is counted: the "answers" to the evaluation benchmark, those of the untrained student too, or the
    responses "trained on", which have no evaluation benchmark. `n` is how many of them have the approach, seeds
    together, `correct` how many of these `n` were judged correct, and `share` the approach's share, the mean over
    seeds.

    Args:
        items: all answers, with `approach`.
        responses: all scored responses, with `approach`.
        arms: all arms of the study.
    """
    import pandas as pd

    named = ["student", "train_benchmark", "arm", "size"]
    methods = {(arm.student, arm.train_benchmark, arm.arm, arm.size): arm.method for arm in arms}
    taken = responses[responses["chosen"]]
    taken = taken.assign(
        method=[methods.get(key, "") for key in taken[named].itertuples(index=False, name=None)],
        eval_benchmark="",
        seed=taken["seed"].fillna(0).astype(int),
    )
    rows = [
        *_counted(items, "eval_benchmark", ANSWERS, approaches),
        *_counted(taken, "train_benchmark", TRAINED_ON, approaches),
    ]
    return pd.DataFrame(rows, columns=list(APPROACHES))


def _counted(
    frame: pd.DataFrame, benchmark: str, rows: str, approaches: Mapping[str, Approaches]
) -> list[tuple[object, ...]]:
    """The rows of the table for answers, or for responses that were trained on."""
    known = frame[frame["approach"].notna()]
    made: list[tuple[object, ...]] = []
    for arm, group in known.groupby([*ARM, "eval_benchmark"], observed=True, sort=True):
        of = approaches[str(group[benchmark].iloc[0])]
        for word in of.words:
            having = group["approach"] == word
            share = having.groupby(group["seed"]).mean().mean()
            right = having & (group["verdict"] == "correct")
            made.append((*arm, rows, word, int(having.sum()), share, int(right.sum())))
    return made
