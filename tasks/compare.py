"""Compare: every evaluated answer in one table, scores with paired intervals, perplexities, and the verdict.

Writes, beside what tasks/examples.py picks:
  items.parquet      one row per arm, seed, evaluation benchmark and answer (the base model's rows too, origin "base")
  summary.csv        one row per arm and evaluation benchmark, seeds pooled (`SUMMARY`)
  perplexity.csv     one row per training benchmark and origin, over all scored responses (`PERPLEXITY`)
  cells.csv          one row per cell: score and verdict counts of each seed
  pass_at_k.csv      one row per arm, evaluation benchmark and k; empty where each question was answered once
  responses.parquet  verdict, tokens, nll and perplexity of every scored response, and whether it was trained on
  verdict.json       the claims as data (tasks/verdict.py), trivial baselines, what is missing
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING

from tasks.baselines import baselines
from tasks.cell import UNTRAINED, Arm, Cell
from tasks.errors import StageFailed
from tasks.examples import examples
from tasks.pass_at_k import mean_pass_at_k
from tasks.rows import Rows
from tasks.stage import Work, stage
from tasks.statistics import UNDEFINED, Estimate, Resampled, Term, holm
from tasks.verdict import plain, verdicts

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ARM = ("student", "train_benchmark", "origin", "method")
CELL = (*ARM, "seed", "eval_benchmark")
ITEMS = (*CELL, "id", "sample", "question", "gold", "response", "verdict", "score")
SUMMARY = (
    *(*ARM, "eval_benchmark", "n", "score", "ci_low", "ci_high"),
    *("base_score", "delta", "delta_ci_low", "delta_ci_high", "p_holm"),
)
PERPLEXITY = (
    *("student", "benchmark", "origin", "rows", "tokens_mean"),
    *("ppl_mean", "ppl_median", "ppl_corpus", "pass_rate"),
)
SCORES = {"correct": 1.0, "wrong": 0.0, "unparseable": 0.0}
"""What a verdict is worth. An error is no answer to judge, so it is missing, never wrong."""


@stage()
def compare(
    cells: tuple[Rows, ...],
    names: tuple[Cell, ...],
    scored: dict[str, Rows],
    chosen: dict[str, Rows],
    missing: tuple[Cell, ...] = (),
    *,
    work: Work,
) -> None:
    """Compare arms on the same items and answer whose responses the student learns best from.

    Args:
        cells: evaluate's rows, one per name.
        names: what each of `cells` is.
        scored: score's rows under "<train benchmark> <origin>".
        chosen: select's rows under "<train benchmark>".
        missing: cells that were planned and could not be made.

    Raises:
        StageFailed: two cells of the same name, or no cell that was made.
    """
    if not cells or len(set(names)) != len(names) or len(cells) != len(names):
        raise StageFailed(f"{work.run_name}: {len(cells)} cells under {len(set(names))} different names")
    items = answers(cells, names)
    write_parquet(items, work.folder / "items.parquet")
    responses = responses_of(scored, chosen, names[0].student)
    write_parquet(responses.drop(columns=["question", "gold", "response"]), work.folder / "responses.parquet")

    sample = Resampled(matrices(items))
    planned = (*names, *missing)
    arms = sorted({Arm(*astuple(name)[:4]) for name in planned if name.origin != UNTRAINED})
    benchmarks = sorted({name.eval_benchmark for name in planned})
    write_csv(summary(sample, arms, benchmarks), work.folder / "summary.csv")
    write_csv(cell_counts(items), work.folder / "cells.csv")
    write_csv(passes(items), work.folder / "pass_at_k.csv")
    write_csv(perplexities(responses), work.folder / "perplexity.csv")

    familiarity = Resampled(log_perplexities(responses), limits=(float("-inf"), float("inf")))
    found = {
        "verdicts": [plain(verdict) for verdict in verdicts(sample, familiarity, arms, benchmarks)],
        "baselines": baselines(items),
        "missing": [asdict(cell) for cell in sorted(missing, key=astuple)],
    }
    write_json(found, work.folder / "verdict.json")
    write_json(examples(items, responses), work.folder / "examples.json")
    work.facts.update(cells=len(cells), missing=len(missing), answers=len(items))


def answers(cells: tuple[Rows, ...], names: tuple[Cell, ...]) -> pd.DataFrame:
    """All cells' answers in one frame (`ITEMS`), in the order of cell, id and sample. Errors have the score NaN."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    wanted = ("id", "sample", "question", "gold", "response", "verdict")
    tables = [rows.table.select([name for name in wanted if name in rows.columns]) for rows in cells]
    frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    lengths = [table.num_rows for table in tables]
    for column, values in zip(CELL, zip(*map(astuple, names), strict=True), strict=True):
        repeated = np.repeat(np.asarray(values, dtype=np.int64 if column == "seed" else object), lengths)
        frame[column] = repeated if column == "seed" else pd.Categorical(repeated)
    if "sample" not in frame:
        frame["sample"] = 0
    unknown = set(frame["verdict"].unique()) - {*SCORES, "error"}
    if unknown:
        raise StageFailed(f"evaluate gave verdicts that compare does not know: {', '.join(sorted(map(str, unknown)))}")
    frame["score"] = frame["verdict"].map(SCORES).astype(float)
    frame["id"] = frame["id"].astype(str)
    return frame.sort_values([*CELL, "id", "sample"], kind="stable", ignore_index=True)[list(ITEMS)]


def matrices(items: pd.DataFrame) -> dict[tuple[Arm, str], np.ndarray]:
    """Scores as arrays of seeds × items for each arm and benchmark, samples averaged, NaN where there is no score.

    The base model's runs are averaged into one row: it has no training seed.
    """
    import numpy as np
    import pandas as pd

    found: dict[tuple[Arm, str], np.ndarray] = {}
    for on, of_benchmark in items.groupby("eval_benchmark", observed=True, sort=True):
        column, ids = pd.factorize(of_benchmark["id"], sort=True)
        of_benchmark = of_benchmark.assign(column=column)
        for arm, rows in of_benchmark.groupby(list(ARM), observed=True, sort=True):
            seeds, known = pd.factorize(rows["seed"], sort=True)
            if Arm(*map(str, arm)).origin == UNTRAINED:
                seeds, known = np.zeros_like(seeds), known[:1]
            place = seeds * len(ids) + rows["column"].to_numpy()
            scored = ~np.isnan(rows["score"].to_numpy())
            size = len(known) * len(ids)
            total = np.bincount(place[scored], rows["score"].to_numpy()[scored], size)
            with np.errstate(invalid="ignore"):
                mean = total / np.bincount(place[scored], minlength=size)
            found[Arm(*map(str, arm)), str(on)] = mean.reshape(len(known), len(ids))
    return aligned(found, items)


def aligned(found: dict[tuple[Arm, str], np.ndarray], items: pd.DataFrame) -> dict[tuple[Arm, str], np.ndarray]:
    """Give an arm the same rows of seeds on every benchmark, so that a seed's luck is drawn once for all of them."""
    import numpy as np

    trained = items[["seed", "eval_benchmark", *ARM]].drop_duplicates()
    trained = trained[trained["origin"] != UNTRAINED]
    for arm, rows in trained.groupby(list(ARM), observed=True):
        seeds = sorted(rows["seed"].unique())
        for on, here in rows.groupby("eval_benchmark", observed=True):
            matrix = found[Arm(*map(str, arm)), str(on)]
            if len(matrix) == len(seeds):
                continue
            full = np.full((len(seeds), matrix.shape[1]), np.nan)
            full[[seeds.index(seed) for seed in sorted(here["seed"].unique())]] = matrix
            found[Arm(*map(str, arm)), str(on)] = full
    return found


def summary(sample: Resampled, arms: list[Arm], benchmarks: list[str]) -> pd.DataFrame:
    """One row per arm and evaluation benchmark (`SUMMARY`), seeds pooled; missing ones have n 0 and no numbers.

    `n` counts items; Holm's family is all comparisons of an arm with the base model in the study.
    """
    import pandas as pd

    base_scores: dict[tuple[str, str], Estimate] = {}
    rows = []
    for arm in arms:
        base = arm.untrained
        for on in benchmarks:
            if (arm.student, on) not in base_scores:
                base_scores[arm.student, on] = sample.estimate([Term(base, on)]) if sample.has(base, on) else UNDEFINED
            score = sample.estimate([Term(arm, on)])
            delta = sample.estimate([Term(arm, on, minus=base)])
            base_score = base_scores[arm.student, on].value
            rows.append((*arm, on, score.items, score.value, score.low, score.high, base_score, *difference(delta)))
    frame = pd.DataFrame(rows, columns=list(SUMMARY))
    frame["p_holm"] = holm(frame["p_holm"].tolist())
    return frame


def difference(estimate: Estimate) -> tuple[float, float, float, float]:
    return estimate.value, estimate.low, estimate.high, estimate.p


def cell_counts(items: pd.DataFrame) -> pd.DataFrame:
    """Score and verdict counts of every cell."""
    import pandas as pd

    cells = items.groupby(list(CELL), observed=True, sort=True)
    counts = cells["verdict"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=[*SCORES, "error"], fill_value=0)
    return pd.concat([cells["score"].mean(), counts], axis=1).reset_index()


def passes(items: pd.DataFrame) -> pd.DataFrame:
    """Unbiased pass@k (Chen et al. 2021) of every arm, mean over questions and seeds; k doubles up to the samples."""
    import pandas as pd

    judged = items[items["score"].notna()]
    counts = judged.groupby([*CELL, "id"], observed=True)["score"].agg(["size", "sum"]).astype(int).reset_index()
    rows = []
    for arm, each in counts.groupby([*ARM, "eval_benchmark"], observed=True, sort=True):
        samples = int(each["size"].min())
        pairs = list(zip(each["size"], each["sum"], strict=True))
        if samples > 1:
            ks = sorted({*(2**power for power in range(samples.bit_length())), samples})
            rows += [(*arm, k, samples, len(pairs), mean_pass_at_k(pairs, k)) for k in ks]
    return pd.DataFrame(rows, columns=[*ARM, "eval_benchmark", "k", "samples", "questions", "pass_at_k"])


def responses_of(scored: Mapping[str, Rows], chosen: Mapping[str, Rows], student: str) -> pd.DataFrame:
    """Every scored response, with `student`, `train_benchmark`, `origin` and whether it was `chosen` for training."""
    import pandas as pd

    columns = ["id", "sample", "question", "gold", "response", "verdict", "tokens", "nll", "perplexity"]
    where = ["student", "train_benchmark", "origin"]
    frames = []
    for name, rows in scored.items():
        benchmark, _, origin = name.partition(" ")
        frame = rows.table.select([column for column in columns if column in rows.columns]).to_pandas()
        frames.append(frame.assign(student=student, train_benchmark=benchmark, origin=origin))
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    frame = frame.reindex(columns=[*where, *columns])
    frame["sample"] = frame["sample"].fillna(0).astype(int)
    taken = [pd.DataFrame(columns=[*where, "id", "sample"])]
    for benchmark, rows in chosen.items():
        names = [column for column in ("origin", "id", "sample") if column in rows.columns]
        picked = rows.table.select(names).to_pandas()
        taken.append(picked.assign(student=student, train_benchmark=benchmark))
    selected = pd.concat(taken, ignore_index=True)
    selected["sample"] = selected["sample"].fillna(0).astype(int)
    key = [*where, "id"]
    frame[key], selected[key] = frame[key].astype(str), selected[key].astype(str)
    selected = selected[[*where, "id", "sample"]].drop_duplicates().assign(chosen=True)
    frame = frame.merge(selected, how="left", on=[*where, "id", "sample"])
    frame["chosen"] = frame["chosen"].eq(True)
    return frame.sort_values([*where, "id", "sample"], kind="stable", ignore_index=True)


def perplexities(responses: pd.DataFrame) -> pd.DataFrame:
    """One row per student, training benchmark and origin (`PERPLEXITY`), over all its scored responses.

    `ppl_corpus` is exp(total nll / total tokens); `pass_rate` the share correct among those with a verdict.
    """
    import numpy as np
    import pandas as pd

    rows = []
    for (student, benchmark, origin), group in responses.groupby(["student", "train_benchmark", "origin"], sort=True):
        known = group[group["nll"].notna() & (group["tokens"] > 0)]
        corpus = float(np.exp(known["nll"].sum() / known["tokens"].sum())) if len(known) else float("nan")
        perplexity = known["perplexity"]
        worth = group["verdict"].map(SCORES).astype(float)
        rows.append(
            (
                *(student, benchmark, origin, len(group), known["tokens"].mean()),
                *(perplexity.mean(), perplexity.median(), corpus, worth.mean()),
            )
        )
    return pd.DataFrame(rows, columns=list(PERPLEXITY))


def log_perplexities(responses: pd.DataFrame) -> dict[tuple[tuple[str, str], str], np.ndarray]:
    """Log-perplexity (nats a token) as 1 × questions arrays under ((student, origin), training benchmark).

    Of the responses trained on; of all, where an origin has none of those on that benchmark.
    """
    import numpy as np

    found: dict[tuple[tuple[str, str], str], np.ndarray] = {}
    frame = responses.assign(value=responses["nll"] / responses["tokens"].where(responses["tokens"] > 0))
    for (student, benchmark), group in frame.groupby(["student", "train_benchmark"], sort=True):
        taken = group.groupby("origin")["chosen"].transform("any")
        group = group[group["chosen"] | ~taken]
        table = group.pivot_table(index="origin", columns="id", values="value", aggfunc="mean", dropna=False)
        for origin, values in table.iterrows():
            found[(str(student), str(origin)), str(benchmark)] = values.to_numpy(dtype=np.float64)[None, :]
    return found


def write_parquet(frame: pd.DataFrame, path: object) -> None:
    frame.to_parquet(path, index=False)  # type: ignore[call-overload]


def write_csv(frame: pd.DataFrame, path: object) -> None:
    frame.to_csv(path, index=False, float_format="%.6g")  # type: ignore[call-overload]


def write_json(data: object, path: object) -> None:
    with open(path, "w", encoding="utf-8") as file:  # type: ignore[call-overload]
        json.dump(data, file, indent=1, ensure_ascii=False, allow_nan=False)
