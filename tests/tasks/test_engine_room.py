"""What trainers that wait have the engine do: a large one ends, a small one stays beside them."""

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
