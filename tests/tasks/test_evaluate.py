"""Evaluation as a stage: base and adapters, verdicts, and errors that stop it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.evaluate import evaluate
from tasks.generate import generate
from tasks.kinds.verifiers import Verdict
from tasks.models.model import Model
from tasks.models.sampling import Sampling
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Artifact
from tasks.storage.rows import Row, Rows

PROMPT = "{{ question }}"
QUESTIONS = Rows.of([{"id": f"q{i}", "question": f"What is {i}?", "gold": str(i)} for i in range(30)])


def even(response: str, row: Row) -> Verdict:
    return Verdict("correct" if int(row["gold"]) % 2 == 0 else "wrong", response[:1])


def broken(response: str, row: Row) -> Verdict:
    if row["gold"] == "7":
        raise ZeroDivisionError("no seven")
    return even(response, row)


def manifest(key: str, **facts: str) -> dict[str, Any]:
    return {"key": key, "facts": facts, "files": {"weights": {"sha256": key, "bytes": 1}}}


def test_a_response_that_is_missing_stops_it(runtime: Runtime, tmp_path: Path) -> None:
    rows = Rows.of([{"id": "q0", "sample": 0, "gold": "0", "response": None, "finish": "no_room"}])
    with pytest.raises(StageFailed, match="row q0: its prompt leaves the model no room for a response"):
        list(evaluate.function(rows, even, work=Work(tmp_path, runtime, "evaluate", {}, 1)))


def run(
    runtime: Runtime,
    folder: Path,
    model: Model,
    adapter: Artifact | None,
    attested: Artifact | None,
    sampling: Sampling,
    verifier: Callable[[str, Row], Verdict] = even,
    total: int = 0,
) -> dict[tuple[str, int], Row]:
    work = Work(folder, runtime, "generate", {}, total)
    made = generate.function(QUESTIONS, model, PROMPT, sampling, 0, adapter, attested, work=work)
    answers = Rows.of([row for rows in made for row in rows])
    judged = evaluate.function(answers, verifier, work=Work(folder, runtime, "evaluate", {}, total))
    return {(row["id"], row["sample"]): row for row in judged}


def test_base_and_adapters_answer_in_their_own_ways(
    runtime: Runtime, tiny: Model, make_adapter: Callable[..., Path], tmp_path: Path
) -> None:
    greedy = Sampling(max_tokens=12)
    base = run(runtime, tmp_path, tiny, None, None, greedy)
    assert [base[f"q{i}", 0]["verdict"] for i in range(4)] == ["correct", "wrong"] * 2
    assert base["q0", 0]["answer"] == base["q0", 0]["response"][:1]
    texts = [tuple(row["response"] for _, row in sorted(base.items()))]
    for seed in range(3):
        adapter = Artifact(make_adapter(seed, 0.3).parent, manifest(f"a{seed}"))
        live = Artifact(tmp_path, manifest("t", adapter=adapter.content))
        rows = run(runtime, tmp_path, tiny, adapter, live, greedy)
        texts.append(tuple(row["response"] for _, row in sorted(rows.items())))
    assert len(set(texts)) == 4
    assert texts[0] == tuple(
        row["response"] for _, row in sorted(run(runtime, tmp_path, tiny, None, None, greedy).items())
    )


def test_only_what_was_attested_is_evaluated(
    runtime: Runtime, tiny: Model, make_adapter: Callable[..., Path], tmp_path: Path
) -> None:
    adapter = Artifact(make_adapter(0, 0.3).parent, manifest("a"))
    other = Artifact(tmp_path, manifest("b"))
    for attested in (None, Artifact(tmp_path, manifest("t", adapter=other.content))):
        with pytest.raises(StageFailed, match="not shown to be live"):
            run(runtime, tmp_path, tiny, adapter, attested, Sampling())


def test_errors_beyond_one_percent_stop_it_and_are_held_back(runtime: Runtime, tiny: Model, tmp_path: Path) -> None:
    sampling = Sampling(n=2, temperature=1.0, max_tokens=4)
    with pytest.raises(StageFailed, match=r"evaluate: 2 of 60 .* no seven"):
        run(runtime, tmp_path, tiny, None, None, sampling, broken)
    rows = run(runtime, tmp_path, tiny, None, None, sampling, broken, total=1000)
    assert len(rows) == 60
    assert list(rows)[-2:] == [("q7", 0), ("q7", 1)]
    assert rows["q7", 1]["verdict"] == "error"
