"""Step values on the real engine: the bundled student goes on from the steps of its own wrong responses."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from data.abacus.questions import questions
from tasks.kinds.verifiers import find
from tasks.models.model import resolve
from tasks.models.rendering import renderer
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import Node, stage
from tasks.step_values import step_values
from tasks.steps.search import Where
from tasks.storage.artifacts import Artifact, Store
from tasks.storage.rows import Row
from tasks.verification.verdict import judged

STUDENT = "abacus-student"
PROMPT = "{{ question }}"


@stage()
def hasty(count: int, samples: int) -> list[Row]:
    """Wrong responses as the student gives them: careful steps, and a slip or a skipped one in one of them."""
    rows: list[Row] = []
    for row in questions("ledger", "train", count, 0):
        start, *moves = [
            int(word) for word in row["question"].replace(",", " ").replace(".", " ").split() if word.isdigit()
        ]
        signs = [1 if "gets" in part else -1 for part in row["question"].split(",")[1:]]
        for sample in range(samples):
            held, steps = start, []
            for at, (sign, move) in enumerate(zip(signs, moves, strict=True)):
                result = held + sign * move + (10 if at == sample % len(moves) else 0)
                steps.append(f"{held} {'+' if sign > 0 else '-'} {move} = {result}.")
                held = result
            response = " ".join([*steps, f"Final answer: {held}"])
            rows.append({**row, "sample": sample, "response": response, "verdict": "wrong"})
    return rows


def node(count: int, samples: int, where: Where = "pit", again: int = 15, max_tokens: int = 80) -> Node:
    sampling = Sampling(n=5, temperature=0.7, max_tokens=max_tokens)
    return step_values(
        hasty(count, samples), resolve(STUDENT), PROMPT, find("number"), "sentences", where, sampling, again, 3
    )


def made(of: Node, runtime: Runtime) -> Artifact:
    for needed in of.upstream:
        execute(needed, runtime)
    return execute(of, runtime)[0]


def test_the_pit_is_the_step_with_the_slip(runtime: Runtime) -> None:
    artifact = made(node(8, 3), runtime)
    rows = list(artifact.rows())
    assert [(row["id"], row["sample"]) for row in rows] == [
        (f"ledger/train/{i:06d}", k) for i in range(8) for k in range(3)
    ]
    rendering = renderer(resolve(STUDENT))
    pits: Counter[bool] = Counter()
    for row in rows:
        assert "".join(row["steps"]) == row["response"]
        assert len(row["steps"]) == len(row["step_ends"]) == len(row["rollouts"]) == len(row["rollouts_correct"])
        assert row["step_ends"][-1] == len(rendering.beginning(row["response"]))
        assert row["rollouts"][0] >= 2
        if (pit := row["pit"]) is None:
            assert not any(row["rollouts_correct"])
            continue
        pits[pit == row["sample"]] += 1
        assert row["rollouts_correct"][pit] > 0
        # A step after which nothing is right was tried twenty times; the whole response needs no trying.
        assert pit + 1 == len(row["steps"]) or (row["rollouts"][pit + 1], row["rollouts_correct"][pit + 1]) == (20, 0)
        assert row["rescue"].startswith("".join(row["steps"][:pit]))
        assert judged({**row, "response": row["rescue"]}, find("number")).verdict == "correct"
    # After a slip of ten in a sum the student can hardly come out right, and before it, it can.
    assert pits[True] > 3 * pits[False]
    facts = artifact.facts
    assert facts["pits"] + facts["hopeless"] == 24
    assert facts["unsplit"] == 0
    # Responses to one question share the rollouts from it, and from the steps that they have in common.
    assert facts["continuations"] < sum(sum(row["rollouts"]) for row in rows)


def test_all_prefixes_are_rolled_out_where_every_value_is_asked_for(runtime: Runtime) -> None:
    rows = list(made(node(2, 2, where="all", again=0), runtime).rows())
    assert all(row["rollouts"] == [5] * len(row["steps"]) for row in rows)


def test_rollouts_are_the_same_whether_they_are_asked_for_together_or_in_parts(runtime: Runtime) -> None:
    in_parts, together = (list(made(node(6, 3, where=where, again=0), runtime).rows()) for where in ("pit", "all"))
    kinds: Counter[tuple[int, bool]] = Counter()
    for some, every in zip(in_parts, together, strict=True):
        for tries, right, of_five in zip(
            some["rollouts"], some["rollouts_correct"], every["rollouts_correct"], strict=True
        ):
            assert tries in (0, 2, 5)
            assert right <= of_five if tries == 2 else not tries or right == of_five
            kinds[tries, right > 0] += 1
    assert kinds[2, True]
    assert kinds[5, False]
    assert not kinds[2, False], "two that failed are never enough"


def test_a_response_that_leaves_no_room_is_left_out(runtime: Runtime) -> None:
    @stage()
    def endless() -> list[Row]:
        row = {"id": "endless", "question": "1 + 1?", "gold": "2", "sample": 0, "verdict": "wrong"}
        return [{**row, "response": "1 + 1 = 3. " * 400 + "Final answer: 3"}, *hasty.function(1, 1)]

    sampling = Sampling(n=5, temperature=0.7, max_tokens=20)
    of = step_values(endless(), resolve(STUDENT), PROMPT, find("number"), "sentences", "pit", sampling, 0, 0)
    artifact = made(of, runtime)
    first, second = artifact.rows()
    assert (first["steps"], first["pit"], first["rescue"]) == (None, None, None)
    assert second["steps"]
    assert artifact.facts["unsplit"] == 1


@pytest.mark.slow
def test_killed_in_the_middle_it_makes_no_rollout_twice(runtime: Runtime, tmp_path: Path) -> None:
    script = f"""
        from pathlib import Path
        from tasks.pipeline.runtime import Placement, Runtime
        from tasks.storage.artifacts import Store
        from tests.tasks.test_step_values import made, node
        made(node(40, 4), Runtime(Store(Path({str(tmp_path)!r})), Placement(kv_cache_gib=0.125)))
    """

    def logged() -> list[str]:
        files = tmp_path.glob("step_values/*/scratch/*.jsonl")
        return [json.loads(line)["key"] for file in files for line in file.read_text().splitlines()[:-1]]

    runtime.engines.release()
    seen: list[str] = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
        while len(logged()) < len(seen) + 40:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before, seen = seen, logged()
        assert seen[: len(before)] == before
    assert len(set(seen)) == len(seen)
    resumed = made(node(40, 4), Runtime(Store(tmp_path), runtime.placement, _engines=runtime.engines))
    whole = made(node(40, 4), runtime)
    assert list(resumed.rows()) == list(whole.rows())
    assert resumed.facts["continuations"] == whole.facts["continuations"]
