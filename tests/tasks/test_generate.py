"""Generation as a stage: what comes out, that seeds decide it, and that kill -9 loses and repeats nothing."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.errors import InputError
from tasks.generate import generate, responses, without_room
from tasks.kinds.verifiers import find as find_verifier
from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.pipeline.work import Work
from tasks.resources.errors import StageFailed
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tasks.verification.verdict import judged

PROMPT = "{{ question }}"


@stage()
def asked(count: int) -> list[Row]:
    return [{"id": f"q{i}", "question": f"What is {i} and {i * 7 % 31}?", "gold": str(i)} for i in range(count)]


def run(node: Node, runtime: Runtime) -> list[Row]:
    for needed in node.upstream:
        execute(needed, runtime)
    return list(execute(node, runtime)[0].rows())


def work_in(runtime: Runtime, folder: Path) -> Work:
    return Work(folder, runtime, "generate", {})


def test_samples_of_each_question(runtime: Runtime, tiny: Model) -> None:
    node = generate(asked(20), tiny, PROMPT, Sampling(n=3, temperature=1.0, max_tokens=10), 0)
    rows = run(node, runtime)
    assert [(row["id"], row["sample"]) for row in rows] == [(f"q{i}", k) for i in range(20) for k in range(3)]
    assert len({row["response"] for row in rows}) > 50
    assert {row["model"] for row in rows} == {tiny.name}
    assert {row["finish"] for row in rows} <= {"stop", "length"}
    assert rows[0]["gold"] == "0"
    facts = execute(node, runtime)[0].facts
    assert (facts["template"], facts["prompts"]) == (renderer(tiny).hash, 20)
    assert facts["cut_off"] == sum(row["finish"] == "length" for row in rows) / 60


def test_the_prompt_that_is_generated_from_is_the_prompt_that_is_scored(
    runtime: Runtime, tiny: Model, tmp_path: Path
) -> None:
    """Each token of a greedy response is the likeliest one after the ids that scoring and training put before it."""
    import torch

    from tasks.score import load

    questions = Rows.of(asked.function(8))
    sampling = Sampling(temperature=0, max_tokens=10)
    made = generate.function(questions, tiny, PROMPT, sampling, 0, work=work_in(runtime, tmp_path))
    rendering, network = renderer(tiny), load(tiny)
    for row in (row for rows in made for row in rows):
        rendered = rendering.row(PROMPT, row)
        assert rendered.ids[: rendered.prompt_length] == rendering.prompt(PROMPT, row)
        with torch.no_grad():
            likeliest = network(input_ids=torch.tensor([rendered.ids])).logits[0].argmax(-1).tolist()
        written = rendered.response_ids[: len(rendered.response_ids) - len(rendering.end_ids)]
        if row["finish"] == "stop":
            written = rendered.response_ids
        assert likeliest[rendered.prompt_length - 1 :][: len(written)] == written


def test_the_seed_decides_every_response(runtime: Runtime, tiny: Model, tmp_path: Path) -> None:
    sampling = Sampling(n=2, temperature=1.0, max_tokens=10)
    first, same, other = (
        sorted(
            (row["id"], row["sample"], row["response"])
            for rows in generate.function(Rows.of(given), tiny, PROMPT, sampling, seed, work=work_in(runtime, tmp_path))
            for row in rows
        )
        for given, seed in (
            (asked.function(12), 0),
            (asked.function(12)[::-1], 0),
            (asked.function(12), 1),
        )
    )
    assert first == same
    assert sum(a == b for a, b in zip(first, other, strict=True)) < 3


def test_rows_that_are_samples_keep_their_number(runtime: Runtime, tiny: Model, tmp_path: Path) -> None:
    drafts = Rows.of([{"id": "a", "sample": k, "question": f"Mend draft {k}."} for k in range(3)])
    work = work_in(runtime, tmp_path)
    made = list(generate.function(drafts, tiny, PROMPT, Sampling(max_tokens=5), 0, work=work))
    assert sorted((rows[0]["sample"], rows[0]["question"]) for rows in made) == [
        (k, f"Mend draft {k}.") for k in range(3)
    ]
    with pytest.raises(StageFailed, match="samples already"):
        next(generate.function(drafts, tiny, PROMPT, Sampling(n=2), 0, work=work))


def test_wrong_input_names_its_row(runtime: Runtime, tiny: Model, tmp_path: Path) -> None:
    work = work_in(runtime, tmp_path)
    long = Rows.of([{"id": "ok", "question": "1 + 1?"}, {"id": "endless", "question": "no " * 3000}])
    with pytest.raises(StageFailed, match="row endless: its prompt has"):
        list(responses(long, tiny, None, PROMPT, Sampling(max_tokens=5), 0, work))
    with pytest.raises(InputError, match="needs story, which row ok lacks"):
        list(generate.function(long, tiny, "{{ story }}", Sampling(max_tokens=5), 0, work=work))
    with runtime.engines.use(tiny) as engine:
        assert not engine.engine._streams


def test_a_question_that_fills_the_context_has_no_response_and_costs_no_other(
    runtime: Runtime, tiny: Model, tmp_path: Path
) -> None:
    work = work_in(runtime, tmp_path)
    asked_too = Rows.of([{"id": "endless", "question": "no " * 3000}, {"id": "ok", "question": "1 + 1?"}])
    made = list(generate.function(asked_too, tiny, PROMPT, Sampling(n=2, max_tokens=5), 0, work=work))
    found = [(row["id"], row["sample"], row["response"], row["finish"]) for row in made[1]]
    assert found == [("endless", 0, None, "no_room"), ("endless", 1, None, "no_room")]
    assert {row["finish"] for row in made[0]} <= {"stop", "length"}
    assert work.facts["prompts"] == 1
    assert without_room(Rows.of([row for rows in made for row in rows])) == {"no_room": 1}
    for row in made[1]:
        assert judged(row, find_verifier("number")).verdict == "missing"


@pytest.mark.slow
def test_kill_9_in_the_middle_and_again(runtime: Runtime, tiny: Model, tmp_path: Path) -> None:
    count = 600
    script = f"""
        from pathlib import Path
        from tasks.storage import partial_rows as parts
        from tasks.pipeline.runtime import Placement, Runtime
        from tasks.storage.artifacts import Store
        from tests.tasks.test_generate import node, run
        parts.FLUSH_SECONDS = 0.2
        run(node({tiny!r}, {count}), Runtime(Store(Path({str(tmp_path)!r})), Placement(kv_cache_gib=0.125)))
    """.replace("{tiny!r}", repr(tiny))
    runtime.engines.release()
    first = subprocess.Popen([sys.executable, "-c", "from tasks.models.model import Model\n" + textwrap.dedent(script)])
    while len(list(tmp_path.glob("generate/*/parts/*.parquet"))) < 2:
        assert first.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept: set[str] = set()
    for path in tmp_path.glob("generate/*/parts/*.parquet"):
        kept |= set(pq.read_table(path, columns=["id"]).column("id").to_pylist())
    assert 0 < len(kept) < count
    resumed = Runtime(Store(tmp_path), runtime.placement, _engines=runtime.engines)
    rows = run(node(tiny, count), resumed)
    again = execute(node(tiny, count), resumed)[0]
    assert again.facts["prompts"] == count - len(kept)
    assert rows == run(node(tiny, count), runtime)


def node(model: Model, count: int) -> Node:
    return generate(asked(count), model, PROMPT, Sampling(temperature=0.8, max_tokens=60), 7)
