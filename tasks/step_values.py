"""What each step of a response is worth: how often the student gets the question right when it goes on from there."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType

from tasks.engine.live_adapter import live_folder
from tasks.engine.pool import rank_of
from tasks.models.model import Model
from tasks.models.rendering import Renderer, renderer
from tasks.models.sampling import Sampling
from tasks.pipeline.declaration import Compute, Fact
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.steps.rollouts import Asked, Prefix, Rolled, Roller, RolloutLog
from tasks.steps.search import Search, Where
from tasks.steps.splitting import Steps, split
from tasks.storage.append_only_file import file_name
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row, Rows
from tasks.verify import ERROR_SHARE, believe

STEP_VALUES = ("steps", "step_ends", "rollouts", "rollouts_correct", "pit", "rescue")
TOGETHER = 64
"""Responses that are searched at the same time: enough rollouts to keep an engine busy."""
USUAL_STEPS = 6


def _rollouts(node: Node) -> int:
    """About how many rollouts a step makes: a plan knows no response, and takes them to have `USUAL_STEPS` steps."""
    look, each = node.values["where"], node.values["sampling"].n
    prefixes = USUAL_STEPS if look == "all" else USUAL_STEPS.bit_length()
    return node.upstream[0].expected_rows * (prefixes * each + node.values["again"])


ROLLING = Compute("roll out", "continuations", flops=2, efficiency=0.10, writes=True, rows=_rollouts)


def _as_many(node: Node) -> int:
    return node.upstream[0].expected_rows


def summary(rows: Rows) -> dict[str, int]:
    """Of all responses: how many lost the answer at a step, how many never had it, and how many had no room."""
    found: Counter[str] = Counter(pits=0, hopeless=0, unsplit=0)
    for batch in rows.batches(["steps", "pit", "verdict"]):
        for steps, pit, verdict in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            found["unsplit"] += steps is None
            found["pits"] += pit is not None
            found["hopeless"] += steps is not None and pit is None and verdict != "correct"
    return dict(found)


@stage(
    per_row=True,
    slot="engine",
    unit="responses",
    adds=STEP_VALUES,
    rows=_as_many,
    summary=summary,
    compute=ROLLING,
    facts=(
        Fact("continuations", "rolled out", shares="add", total=True),
        Fact("tokens", "tokens of rollouts", shares="add", total=True),
        Fact("pits", "responses with a step that lost the answer", reported=True),
        Fact("hopeless", "never right, not even from the question", reported=True, unless_zero=True),
        Fact("unsplit", "too long to be gone on from", reported=True, unless_zero=True),
    ),
)
def step_values(
    responses: Rows,
    model: Model,
    prompt: str,
    verifier: FunctionType,
    way: str,
    where: Where,
    sampling: Sampling,
    again: int,
    seed: int,
    adapter: Artifact | None = None,
    attested: Artifact | None = None,
    *,
    work: Work,
) -> Iterator[Row]:
    """Roll the student out from prefixes of complete, judged responses.

    Adds `steps` (texts that join to the response), `step_ends` (tokens of the response up to the end of each step),
    `rollouts` and `rollouts_correct` (of the prefix with 0, 1, … steps, the whole response left out; 0 where a prefix
    was not looked at), `pit` (the first step, from 0, from which the student was never right again; null for a correct
    response and where it was not right from the question either), `rescue` (the response that the shortest correct
    rollout from before the pit makes; null where there is none). A response that leaves the model no room has nulls.

    Args:
        way: how a response is split into steps (tasks/steps/splitting.py).
        where: "pit" searches for the first pit alone, "all" rolls out from every prefix.
        sampling: how rollouts are drawn; `n` from each prefix.
        again: more from one from which all failed, before it counts as failing.
        adapter: `finetune`'s artifact, by which the student goes on (None: as it is).
        attested: `attest`'s artifact for this adapter.

    Raises:
        StageFailed: too many rollouts cannot be judged; the adapter was not shown to be live.
    """
    folder = live_folder(adapter, attested)
    rendering = renderer(model)
    log = RolloutLog(work.scratch / f"{file_name(work.run_name)}.jsonl")
    work.facts |= {"template": rendering.hash}
    waiting = iter(responses)
    batch = list(itertools.islice(waiting, TOGETHER))
    if not batch:
        return
    with work.runtime.engines.use(model, rank_of(folder) if folder else 0, work.note) as engine:
        roller = Roller(engine, rendering, folder, sampling, seed, verifier, log)
        while batch:
            searched = [_begin(row, rendering, prompt, way, where, sampling.n, again) for row in batch]
            while any(wanted := [each.wanted() for each in searched]):
                found = roller.roll(asked for of_one in wanted for asked in of_one.values())
                for each, of_one in zip(searched, wanted, strict=True):
                    each.take(of_one, found)
            yield from (each.row() for each in searched)
            batch = list(itertools.islice(waiting, TOGETHER))
    work.facts |= {"continuations": log.made, "tokens": log.tokens}
    believe([], log.errors, log.made, ERROR_SHARE, where=work.run_name)


@dataclass
class _Searched:
    """One response, its steps, and how far the search in it is."""

    response: Row
    prompt: tuple[int, ...]
    begun: tuple[int, ...]
    """Token ids of the whole response."""
    steps: Steps | None
    search: Search
    rescues: dict[int, str]
    """By the steps of a prefix: the response that the shortest correct rollout makes of it."""

    def wanted(self) -> dict[int, Asked]:
        """What to roll out next, by the steps of the prefix; nothing where the search is done."""
        if self.steps is None:
            return {}
        ends = [0, *self.steps.ends]
        return {
            prefix: Asked(Prefix(self.response, self.prompt, self.begun[: ends[prefix]]), made, more)
            for prefix, made, more in self.search.wanted()
        }

    def take(self, wanted: Mapping[int, Asked], found: Mapping[str, Rolled]) -> None:
        """What the rollouts came to that were wanted."""
        for prefix, asked in wanted.items():
            rolled = found[asked.key]
            self.search.add(prefix, rolled.made, rolled.correct)
            if rolled.shortest is not None:
                self.rescues.setdefault(prefix, rolled.shortest)

    def row(self) -> Row:
        if self.steps is None:
            return {**self.response, **dict.fromkeys(STEP_VALUES)}
        search, prefixes = self.search, range(len(self.steps.texts))
        return {
            **self.response,
            "steps": self.steps.texts,
            "step_ends": self.steps.ends,
            "rollouts": [search.made.get(prefix, 0) for prefix in prefixes],
            "rollouts_correct": [search.correct.get(prefix, 0) for prefix in prefixes],
            "pit": search.pit,
            "rescue": None if search.pit is None else self.rescues.get(search.pit),
        }


def _begin(row: Row, rendering: Renderer, prompt: str, way: str, where: Where, rollouts: int, again: int) -> _Searched:
    ids = tuple(rendering.prompt(prompt, row))
    begun = tuple(rendering.beginning(row["response"]))
    steps = split(row["response"], way, rendering)
    right = row["verdict"] == "correct"
    search = Search(len(steps.texts), right, where, rollouts, again)
    before_last = steps.ends[-2] if len(steps.ends) > 1 else 0
    room = len(ids) + before_last < rendering.context
    return _Searched(row, ids, begun, steps if room else None, search, {})
