"""Per-token surprise: the same numbers as the score, kept for a bounded sample, readable, and safe in the page."""

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.models.model import Model
from tasks.models.rendering import renderer
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.reporting.token_surprise import coloured, curves, legend, level
from tasks.resources.placement import Placement
from tasks.score import score
from tasks.scoring.likelihood import Likelihood
from tasks.scoring.token_surprise import KEPT, kept, pieces, profile, tokens
from tasks.scoring.token_surprise import curves as curves_of
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows
from tests.tasks.test_score import responses

PROMPT = "{{ question }}"


@stage()
def answered(count: int) -> list[Row]:
    return responses(count)


@pytest.mark.parametrize(
    "text", ["She has 7. ", " two  spaces\n\nand lines", "naïve café 漢字 😀!", "", "<|im_end|> spelt out", "�"]
)
def test_pieces_joined_are_the_response(tiny: Model, text: str) -> None:
    turned = renderer(tiny)
    ids = turned.response(text)
    found = pieces(ids, turned.end_ids, lambda some: turned.text(list(some)))
    assert len(found) == len(ids)
    assert "".join(found) == text
    assert found[-1] == ""


def test_a_piece_is_what_the_tokenizer_splits_off(tiny: Model) -> None:
    turned = renderer(tiny)
    text = functools.lru_cache(lambda some: turned.text(list(some)))
    found = pieces(turned.response("Ann has 7 apples"), turned.end_ids, text)
    assert [piece for piece in found if piece][:2] == ["Ann", " has"]


def test_score_keeps_tokens_that_add_up(tiny: Model, tmp_path: Path) -> None:
    runtime = Runtime(Store(tmp_path))
    source = answered(30)
    execute(source, runtime)
    artifact, _ = execute(score(source, tiny, PROMPT), runtime)
    rows = list(artifact.rows())
    assert all(row["token_nll"] is not None for row in rows), "there are fewer rows than are kept"
    for row in rows:
        assert len(row["token_nll"]) == len(row["token_text"]) == row["tokens"]
        assert sum(row["token_nll"]) == pytest.approx(row["nll"], abs=1e-3)
        assert "".join(row["token_text"]) == row["response"]


def test_what_is_kept_is_a_bounded_sample_by_question() -> None:
    ids = [f"q{number}" for number in range(20_000)]
    few = {id for id in ids if kept(id, KEPT / 20_000)}
    more = {id for id in ids if kept(id, KEPT / 5_000)}
    assert KEPT - 60 < len(few) < KEPT + 60
    assert few < more, "an origin with more samples keeps some of the questions of one with fewer"
    assert all(kept(id, 1.0) for id in ids)
    assert not any(kept(id, 0.0) for id in ids)


def test_a_killed_score_keeps_the_same_sample(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.score.KEPT", 8)
    made = {}
    for name in ("whole", "killed"):
        runtime = Runtime(Store(tmp_path / name), Placement(score_tokens=200))
        source = answered(40)
        execute(source, runtime)
        node = score(source, tiny, PROMPT)
        if name == "killed":
            whole, passes = Likelihood.nll_and_rank, []

            def breaks(self: Likelihood, batch: Any, whole: Any = whole, passes: Any = passes) -> Any:
                passes.append(1)
                if len(passes) == 4:
                    raise RuntimeError("broken on purpose")
                return whole(self, batch)

            with monkeypatch.context() as patched:
                patched.setattr(Likelihood, "nll_and_rank", breaks)
                with pytest.raises(RuntimeError, match="on purpose"):
                    execute(node, runtime)
        rows = execute(node, runtime)[0].rows()
        made[name] = {row["id"]: row["token_text"] for row in rows if row["token_nll"] is not None}
    assert made["whole"] == made["killed"]
    assert 0 < len(made["whole"]) < 40


def test_alone_the_stage_keeps_none(tiny: Model) -> None:
    rows = list(score.function(Rows.of(responses(3)), tiny, PROMPT))
    assert all(row["token_nll"] is None and row["token_text"] is None for row in rows)


def test_a_profile_has_the_responses_mean() -> None:
    rng = np.random.default_rng(0)
    for length in (1, 3, 20, 57):
        nll = rng.exponential(size=length)
        assert profile(nll).mean() == pytest.approx(nll.mean())
    assert profile([4.0, 0.0], 4).tolist() == pytest.approx([4, 4, 0, 0])
    assert profile([3.0, 0.0, 0.0], 2).tolist() == pytest.approx([2, 0])


def frame(values: dict[tuple[str, bool], list[list[float]]]) -> pd.DataFrame:
    rows = [
        {"student": "s", "train_benchmark": "x", "arm": origin, "origin": origin, "chosen": chosen, "token_nll": each}
        for (origin, chosen), responses in values.items()
        for each in responses
    ]
    rows.append({"student": "s", "train_benchmark": "x", "arm": "a", "origin": "a", "chosen": True, "token_nll": None})
    return pd.DataFrame(rows)


def test_curves_are_of_what_was_trained_on_with_a_t_interval() -> None:
    found = curves_of(frame({("a", True): [[1.0], [3.0]], ("a", False): [[99.0]], ("b", False): [[2.0]]}))
    a, b = found[found["origin"] == "a"], found[found["origin"] == "b"]
    assert a["nll"].tolist() == pytest.approx([2.0] * len(a))
    assert a["high"].iloc[0] - 2 == pytest.approx(12.706 * math.sqrt(2) / math.sqrt(2), rel=1e-3)
    assert a["responses"].tolist() == [2] * len(a)
    assert b["nll"].tolist() == pytest.approx([2.0] * len(b))
    assert b["low"].isna().all()


def test_each_origin_has_a_panel() -> None:
    found = curves_of(frame({(f"origin {n}", True): [[1.0, n], [2.0, n]] for n in range(14)}))
    drawn = curves(found, [f"origin {n}" for n in range(14)])
    assert all(f">origin {n}<" in drawn for n in range(14))
    assert curves(found, []) == ""


def test_tokens_that_spell_one_character_are_one_piece() -> None:
    found = tokens(["a", "", "", "é", "", ""], [1.0, 0.5, 0.5, 2.0, 0.25, 0.25])
    assert found == [("a", 1.0, 1), ("é", 3.0, 3), ("", 0.5, 2)]


def test_levels_are_what_the_legend_says() -> None:
    assert [level(-math.log(chance)) for chance in (0.6, 0.3, 0.1, 0.02, 0.001)] == [0, 1, 2, 3, 4]
    said = ["over 50 %", "20 to 50 %", "5 to 20 %", "1 to 5 %", "under 1 %"]
    assert legend() == list(enumerate(said))


def test_coloured_text_is_escaped_and_complete() -> None:
    found = coloured([("<script>", 5.0, 1), (" a & b", 0.1, 1), ("\n", 2.0, 1), ("", 3.0, 1)])
    assert "<script>" not in found
    assert "&lt;script&gt;" in found
    assert ' class="s4"' in found
    assert " a &amp; b<i" in found
    assert "↵\n</i>" in found
    assert found.endswith("■</i>")
    assert coloured([("sure", 0.0, 1), ("", 0.0, 1)]) == "sure"
