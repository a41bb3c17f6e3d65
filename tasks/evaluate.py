"""Have a model answer an evaluation benchmark, with an adapter or without, and judge the answers."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from types import FunctionType

from tasks.engine.live_adapter import live_folder
from tasks.generate import FACTS, GENERATING, responses
from tasks.kinds.verifiers import Verdict
from tasks.models.model import Model
from tasks.models.sampling import GENERATED, Sampling
from tasks.pipeline.stage import stage
from tasks.pipeline.work import Work
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row, Rows
from tasks.verification.parallel_verdicts import judged_all
from tasks.verification.verdict import VERDICT
from tasks.verify import ERROR_SHARE, believe, judged_ones


@stage(
    per_row=True,
    slot="engine",
    unit="questions",
    adds=(*(column for column in GENERATED if column != "model"), *VERDICT),
    compute=GENERATING,
    facts=FACTS,
    adopted=judged_ones,
    samples="sampling",
)
def evaluate(
    questions: Rows,
    model: Model,
    adapter: Artifact | None,
    attested: Artifact | None,
    prompt: str,
    verifier: FunctionType,
    sampling: Sampling,
    seed: int,
    *,
    work: Work,
) -> Iterator[list[Row]]:
    """Answer each question, `sampling.n` times, and judge every answer by the verifier.

    Adds `sample`, `response`, `finish` (as `generate`) and `verdict`, `answer`, `score` (as `verify`). A question with
    an error among its verdicts is held back until the rest is judged, so that the next try judges it again.

    Args:
        adapter: `finetune`'s artifact, or None for the base model.
        attested: `attest`'s artifact for this adapter: nothing is evaluated that was not shown to be live.

    Raises:
        StageFailed: more than 1 % of all verdicts are errors; a prompt leaves no room for a response; `attested` is
            missing or another adapter's.
    """
    folder = live_folder(adapter, attested)
    held: list[list[Row]] = []
    errors: list[Row] = []
    reasons: Counter[str] = Counter()
    for rows in _judged_together(responses(questions, model, folder, prompt, sampling, seed, work), verifier):
        broken = [(row, verdict) for row, verdict in rows if verdict.verdict == "error"]
        errors.extend(row for row, _ in broken)
        reasons.update(verdict.reason for _, verdict in broken)
        made = [row for row, _ in rows]
        if broken:
            held.append(made)
        else:
            yield made
    believe(errors, reasons, max(work.total, len(questions)) * sampling.n, ERROR_SHARE, where="evaluate")
    if not work.partial:
        yield from held


def _judged_together(questions: Iterable[list[Row]], verifier: FunctionType) -> Iterator[list[tuple[Row, Verdict]]]:
    """The rows of each question with their verdicts, which are filled in. Questions come in order."""
    sizes: deque[int] = deque()

    def each() -> Iterator[Row]:
        for rows in questions:
            sizes.append(len(rows))
            yield from rows

    together: list[tuple[Row, Verdict]] = []
    for row, verdict in judged_all(each(), verifier):
        row |= {"verdict": verdict.verdict, "answer": verdict.answer, "score": verdict.score}
        together.append((row, verdict))
        if len(together) == sizes[0]:
            yield together
            together = []
            sizes.popleft()
