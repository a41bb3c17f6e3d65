"""The engine, on the real vLLM: a small random model with adapters, killed and closed in all ways."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.engine.engine import Engine, Request, ServedModel
from tasks.engine.pool import Engines, rank_of
from tasks.models.model import Model
from tasks.models.sampling import Sampling
from tasks.pipeline.runtime import Runtime
from tasks.resources.errors import StageFailed, Transient
from tasks.resources.placement import Placement
from tests.waiting import PATIENCE, until

RANK = 8
SMALL = Placement(kv_cache_gib=0.125)


def request(number: int, adapter: Path | None = None, temperature: float = 0.0, tokens: int = 12) -> Request:
    prompt = [1, 3, *(5 + (number * 7 + k * 13) % 250 for k in range(10 + number % 7)), 4]
    return Request(prompt, Sampling(temperature=temperature, max_tokens=tokens), (2,), number, adapter, f"row-{number}")


def answers(engine: ServedModel, requests: list[Request]) -> list[list[int]]:
    found = dict(engine.stream(requests))
    return [found[position].ids for position in range(len(requests))]


def test_adapters_and_base_side_by_side_are_what_each_is_alone(
    runtime: Runtime, tiny: Model, make_adapter: Callable[..., Path]
) -> None:
    choices = [None, *(make_adapter(seed, size=0.3) for seed in range(10))]
    requests = [request(number % 5, choices[number % 11]) for number in range(55)]
    with runtime.engines.use(tiny, RANK) as engine:
        together = answers(engine, requests)
        alone = [answers(engine, [one])[0] for one in requests]
    assert together == alone
    assert len({tuple(together[number]) for number in range(0, 55, 5)}) == 11


def test_log_probabilities_are_transformers_own(runtime: Runtime, tiny: Model) -> None:
    import torch
    from transformers import LlamaForCausalLM

    texts = [(request(number).prompt, [9, 8, 7 + number, 2]) for number in range(4)]
    with runtime.engines.use(tiny, RANK) as engine:
        answers(engine, [request(number) for number in range(4)])
        found = engine.log_probabilities([(*text, None) for text in [*texts, *texts]])
    model = LlamaForCausalLM.from_pretrained(tiny.path)
    for (prompt, response), known in zip([*texts, *texts], found, strict=True):
        ids = torch.tensor([prompt + response])
        expected = model(ids).logits[0].log_softmax(-1)[len(prompt) - 1 : -1].gather(1, ids[0, len(prompt) :, None])
        assert known == pytest.approx(expected.flatten().tolist(), abs=1e-3)


def test_a_seed_gives_the_same_response_in_any_company(runtime: Runtime, tiny: Model) -> None:
    requests = [request(number, temperature=1.0) for number in range(40)]
    with runtime.engines.use(tiny, RANK) as engine:
        first = answers(engine, requests)
        again = answers(engine, requests[::-1])[::-1]
        apart = answers(engine, requests[7:8])
    assert first == again
    assert apart[0] == first[7]
    assert len({tuple(ids) for ids in first}) > 30


def test_many_threads_and_a_stream_left_early(runtime: Runtime, tiny: Model) -> None:
    requests = [request(number) for number in range(30)]
    found: dict[int, list[list[int]]] = {}

    def run(thread: int) -> None:
        with runtime.engines.use(tiny, RANK) as engine:
            found[thread] = answers(engine, requests)

    with runtime.engines.use(tiny, RANK) as engine:
        left = engine.stream(request(number, tokens=200) for number in range(300))
        next(left)
        left.close()
        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0] == found[1] == found[2] == found[3] == answers(engine, requests)
        assert not engine.engine._streams


def test_a_prompt_longer_than_the_context_names_its_row(runtime: Runtime, tiny: Model) -> None:
    long = Request([5] * 2100, Sampling(max_tokens=4), (2,), 0, None, "row-long")
    with runtime.engines.use(tiny, RANK) as engine:
        with pytest.raises(StageFailed, match=r"row row-long: its prompt has 2100 tokens.* can hold 2048"):
            answers(engine, [request(0), long])
        cut = dict(engine.stream([Request([5] * 2036, Sampling(max_tokens=100), (), 0)]))[0]
        assert (cut.finish, len(cut.ids)) == ("length", 12)
        assert answers(engine, [request(0)])


def test_an_adapter_that_is_none_is_refused_and_the_engine_lives(runtime: Runtime, tiny: Model, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(StageFailed, match="holds no LoRA adapter"):
        rank_of(tmp_path)
    with runtime.engines.use(tiny, RANK) as engine:
        with pytest.raises(StageFailed, match="row row-3: the engine refused it"):
            answers(engine, [request(3, tmp_path)])
        assert answers(engine, [request(3)])


def test_a_folder_vllm_cannot_serve_fails_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(StageFailed, match=r"no engine for broken: .*no-such-model"):
        Engine(Model("broken", str(tmp_path), "", "x"), 0, SMALL)


def test_a_killed_engine_is_transient_and_is_replaced(tiny: Model) -> None:
    engines = Engines(SMALL)
    try:
        with engines.use(tiny) as engine:
            stream = engine.stream(request(number, tokens=300) for number in range(2000))
            next(stream)
            first = engine.pid
            os.kill(first, signal.SIGKILL)
            with pytest.raises(Transient, match="is gone: its process ended with -9"):
                list(stream)
        with engines.use(tiny) as engine:
            second = engine.pid
            assert second != first
            assert answers(engine, [request(0)])
            blocked = engine.stream(request(number, tokens=300) for number in range(2000))
            next(blocked)
            threading.Timer(0.2, engines.close).start()
            with pytest.raises(StageFailed, match="it was closed"):
                list(blocked)
        assert not _alive(second)
        with pytest.raises(StageFailed, match="being stopped"), engines.use(tiny):
            pass
    finally:
        engines.close()


@pytest.mark.parametrize(
    "end",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_no_process_outlives_its_parent(tiny: Model, end: signal.Signals) -> None:
    script = f"""
        from tasks.engine.pool import Engines
        from tasks.engine.interface import Request
        from tasks.models.model import Model
        from tasks.pipeline.runtime import Placement
        from tasks.models.sampling import Sampling
        engines = Engines(Placement(kv_cache_gib=0.125))
        with engines.use({tiny!r}) as engine:
            print(engine.pid, flush=True)
            for _ in engine.stream(Request([1, 3, 9, 4], Sampling(max_tokens=400), (), k) for k in range(10**6)):
                pass
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    try:
        engine = int(parent.stdout.readline())
        time.sleep(0.5)
        assert _alive(engine)
        parent.send_signal(end)
        assert parent.wait(timeout=PATIENCE) != 0
    finally:
        parent.kill()
    until(lambda: not _alive(engine))


TURNS = """
import sys, time
from tasks.engine.interface import Request
from tasks.engine.pool import Engines
from tasks.models.model import Model
from tasks.resources.placement import Placement
from tasks.models.sampling import Sampling
count, tokens, stays = map(int, sys.argv[1:])
engines = Engines(Placement(kv_cache_gib=0.125, turn=0.1))
with engines.use({model!r}, note=print) as engine:
    print("engine", engine.pid, flush=True)
    asked = (Request([1, 3, 9, 4 + k % 200], Sampling(max_tokens=tokens), (), k) for k in range(count))
    found = dict(engine.stream(asked))
    print("done", len(found), hash(tuple(tuple(found[k].ids) for k in range(count))), flush=True)
if stays:
    sys.stdin.read()
engines.close()
"""


class Study:
    """A process that has so many requests answered, and may then stay on with its engine idle."""

    def __init__(self, model: Model, folder: Path, count: int, tokens: int, stays: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TURNS.format(model=model), str(count), str(tokens), str(int(stays))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MOTHERTONGUE_SLOTS": str(folder), "PYTHONHASHSEED": "0"},
        )

    def says(self, what: str) -> list[str]:
        assert self.process.stdout is not None
        line = next(line for line in self.process.stdout if line.startswith(what))
        return line.split()


def test_an_idle_engine_is_given_up_to_another_process(tiny: Model, tmp_path: Path) -> None:
    first = Study(tiny, tmp_path, 3, 4, stays=True)
    engine = int(first.says("engine")[1])
    first.says("done")
    second = Study(tiny, tmp_path, 3, 4)
    second.says("engine")
    assert not _alive(engine), "two engines at once"
    second.says("done")
    assert second.process.wait(timeout=PATIENCE) == 0
    assert first.process.poll() is None
    first.process.communicate(timeout=PATIENCE)
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["mutex"]


@pytest.mark.slow
def test_two_processes_take_turns_and_lose_no_answer(tiny: Model, tmp_path: Path) -> None:
    """The first has far more to ask than one turn holds; the second gets its turn before the first is done."""
    alone = Study(tiny, tmp_path, 12000, 60)
    expected = alone.says("done")
    many = Study(tiny, tmp_path, 12000, 60)
    engine = int(many.says("engine")[1])
    few = Study(tiny, tmp_path, 3, 4)
    few.says("done")
    assert not _alive(engine)
    assert many.process.poll() is None
    assert many.says("done") == expected
    for study in (alone, many, few):
        assert study.process.wait(timeout=PATIENCE) == 0


def test_an_idle_engine_takes_no_processor_time(runtime: Runtime, tiny: Model) -> None:
    with runtime.engines.use(tiny, RANK) as engine:
        answers(engine, [request(0)])
        time.sleep(0.5)
        before = _seconds(engine.pid)
        time.sleep(2)
        assert _seconds(engine.pid) - before < 0.1


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
