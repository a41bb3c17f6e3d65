"""Which engine is started, and what trainers that wait have it do: a large one ends, a small one stays beside them."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.engine.engine import is_small
from tasks.engine.pool import Engines
from tasks.models.model import Model
from tasks.resources.placement import Placement


@pytest.mark.parametrize("small", [True, False])
def test_only_a_small_engine_stays(small: bool) -> None:
    closed: list[bool] = []
    engine: Any = SimpleNamespace(small=small, close=lambda: closed.append(True))
    engines = Engines(Placement(gpus=()))
    engines.make_room()
    engines._engine = engine
    engines.make_room()
    assert closed == ([] if small else [True])
    engines.close()


def test_the_bundled_student_is_small_and_a_model_of_unknown_size_is_not(tiny: Model) -> None:
    assert is_small(tiny)
    assert not is_small(Model("owner/name", "owner/name", "revision", "0" * 64))


@pytest.mark.parametrize(("expected", "asked", "started"), [(0, 0, 0), (12, 0, 16), (12, 32, 32), (4096, 0, 512)])
def test_an_engine_is_started_for_the_adapters_that_will_come(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, expected: int, asked: int, started: int
) -> None:
    ranks: list[int] = []
    engine: Any = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(Engines, "acquire", lambda self, model, rank, note: (ranks.append(rank), engine)[1])
    monkeypatch.setattr(Engines, "free", lambda self, engine: None)
    engines = Engines(Placement(gpus=()), ranks={tiny: expected})
    with engines.use(tiny, asked):
        pass
    assert ranks == [started]
    engines.close()
