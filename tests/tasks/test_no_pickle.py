"""No pickle is ever loaded: planted in every place where one might be read, it leaves no mark."""

import base64
import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.digest import file_digest
from data.errors import InputError
from data.row_values import text_or_none
from data.table_file import TableFile
from tasks.engine.engine import Request
from tasks.engine.pool import Engines, rank_of
from tasks.finetune import finetune
from tasks.methods.sft import Sft
from tasks.models.model import weights
from tasks.models.rendering import Renderer
from tasks.models.sampling import Sampling
from tasks.pipeline.execution import execute
from tasks.pipeline.runtime import Runtime
from tasks.pipeline.stage import stage
from tasks.resources.placement import Placement
from tasks.score import load
from tasks.storage.artifacts import Store
from tasks.storage.rows import Row, Rows, to_table
from tests.tasks.planted import numpy_file, pickled, torch_file

TRAINER_FILES = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt", "trainer_state.pkl")


@stage()
def chosen(count: int) -> list[Row]:
    return [
        {"id": f"q{n}", "sample": 0, "question": f"What is {n}?", "response": f"It is {n}.", "origin": "human"}
        for n in range(count)
    ]


@stage(per_row=True)
def doubled(rows: Rows) -> Iterator[Row]:
    for row in rows:
        yield {"id": row["id"], "sample": row["sample"], "twice": row["response"] * 2}


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """What a planted pickle would create; it does so when pickle loads it, and in no test here."""
    with_pickle = tmp_path / "proof"
    pickle.loads(pickled(with_pickle))
    assert with_pickle.exists()
    at = tmp_path / "mark"
    yield at
    assert not at.exists()


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path, mark: Path) -> Path:
    """The small model with pickles beside its weights, under every name that loaders know."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    names = ("pytorch_model.bin", "model.pt", "consolidated.00.pth", "adapter_model.bin", "tokenizer.pkl")
    for name in (*names, *TRAINER_FILES):
        (folder / name).write_bytes(torch_file(mark))
    return folder


def test_beside_a_models_weights_and_in_a_trainers_scratch(model: Path, mark: Path, tmp_path: Path) -> None:
    """A trainer that resumes reads optimizer.pt and its like, by pickle; ours begins again."""
    found = weights(str(model))
    Renderer(found)
    load(found)
    runtime = Runtime(Store(tmp_path / "store"), Placement(trainers=1))
    node = finetune(chosen(6), found, "{{ question }}", Sft(epochs=4, learning_rate=1e-2, warmup=0.0), 0)
    execute(chosen(6), runtime)
    scratch = runtime.store.folder("finetune", runtime.keys.find(node) or "") / "scratch"
    for folder in (scratch, scratch / "checkpoint-1", scratch.parent / "adapter"):
        folder.mkdir(parents=True)
        for name in (*TRAINER_FILES, "adapter_model.bin", "pytorch_model.bin"):
            (folder / name).write_bytes(torch_file(mark))
    adapter = execute(node, runtime)[0].path("adapter")
    assert (adapter / "adapter_model.safetensors").is_file()


@pytest.mark.slow
def test_in_what_the_engine_serves(model: Path, mark: Path, tmp_path: Path, make_adapter: object) -> None:
    adapter = Path(shutil.copytree(make_adapter(3), tmp_path / "adapter"))  # type: ignore[operator]
    for name in ("adapter_model.bin", "adapter_model.pt", "new_embeddings.bin", *TRAINER_FILES):
        (adapter / name).write_bytes(torch_file(mark))
    found = weights(str(model))
    renderer = Renderer(found)
    engines = Engines(Placement(trainers=1, kv_cache_gib=0.125))
    try:
        with engines.use(found, rank_of(adapter)) as engine:
            request = Request(
                prompt=renderer.prompt("{{ question }}", {"question": "What is 3?"}),
                sampling=Sampling(max_tokens=4),
                stop_ids=tuple(renderer.stop_ids),
                seed=0,
                adapter=adapter,
                row="q0",
            )
            assert len(list(engine.stream([request]))) == 1
    finally:
        engines.close()


def test_in_an_artifact_of_the_store(mark: Path, tmp_path: Path) -> None:
    """In its rows, its parts, and beside them; with a manifest that gives the pickle's own digest."""
    runtime = Runtime(Store(tmp_path / "store"), Placement(trainers=1))
    artifact, _ = execute(chosen(6), runtime)
    manifest = json.loads((artifact.folder / "manifest.json").read_text())
    for name in ("result.pkl", "rows.pkl", "facts.joblib", ".cache.pkl"):
        (artifact.folder / name).write_bytes(pickled(mark))
    (artifact.folder / "rows.parquet").write_bytes(pickled(mark))
    rows = artifact.folder / "rows.parquet"
    manifest["files"]["rows.parquet"] = {"sha256": file_digest(rows), "bytes": rows.stat().st_size}
    (artifact.folder / "manifest.json").write_text(json.dumps(manifest))
    step = doubled(chosen(6))
    with pytest.raises(pa.ArrowException):
        execute(step, runtime)
    shutil.rmtree(artifact.folder)
    execute(chosen(6), runtime)
    parts = runtime.store.folder("doubled", runtime.keys.find(step) or "") / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    for name in ("000000.pkl", "000000.parquet", "part-0.pickle"):
        (parts / name).write_bytes(pickled(mark))
    assert len(execute(step, runtime)[0].rows()) == 6


@pytest.mark.parametrize("name", ["arrow.py_extension_type", "pandas.extension"])
def test_in_the_schema_of_a_parquet_file(mark: Path, tmp_path: Path, name: str) -> None:
    """Arrow's extension types once held a pickle in the schema, which reading the file loaded."""
    path = tmp_path / "rows.parquet"
    field = pa.field(
        "question",
        pa.string(),
        metadata={b"ARROW:extension:name": name.encode(), b"ARROW:extension:metadata": pickled(mark)},
    )
    columns = {"index_columns": [], "columns": [], "creator": base64.b64encode(pickled(mark)).decode()}
    schema = pa.schema([field], metadata={b"pandas": json.dumps(columns).encode()})
    pq.write_table(pa.table({"question": ["What is 3?"]}, schema=schema), path)
    assert [text_or_none(place, row, "question") for place, row in TableFile(path)] == ["What is 3?"]
    assert [row["question"] for row in Rows([path])] == ["What is 3?"]
    import pandas as pd

    assert list(pd.read_parquet(path)["question"]) == ["What is 3?"]


@pytest.mark.parametrize("name", ["rows.pkl", "rows.npy", "rows.npz", "rows.pt", "rows.joblib", "rows.bin", "rows"])
def test_in_a_file_that_a_study_names(mark: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(numpy_file(mark) if ".np" in name else pickled(mark))
    with pytest.raises(InputError, match=r"not a format that can be read\. Allowed: \.jsonl, \.csv, \.parquet"):
        TableFile(tmp_path / name).check([])


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_in_a_file_that_pretends(mark: Path, tmp_path: Path, ending: str) -> None:
    (tmp_path / f"rows.{ending}").write_bytes(pickled(mark))
    with pytest.raises(InputError):
        TableFile(tmp_path / f"rows.{ending}").check(["question"])


def test_bytes_in_a_column_stay_bytes(mark: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(to_table([{"question": pickled(mark)}]), path)
    with pytest.raises(InputError, match="column 'question'"):
        [text_or_none(place, row, "question") for place, row in TableFile(path)]
