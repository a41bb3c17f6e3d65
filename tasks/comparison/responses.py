"""Every scored response in one table: how familiar each origin is, and which responses were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.comparison.items import JUDGED
from tasks.comparison.records import Offered
from tasks.scoring.token_surprise import COLUMNS
from tasks.storage.joined_rows import JoinedRows
from tasks.storage.rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PERPLEXITY = (
    *("student", "benchmark", "origin", "rows", "missing", "tokens_mean"),
    *("ppl_mean", "ppl_median", "ppl_corpus", "pass_rate"),
    *("rows_trained", "ppl_trained", "tokens_trained", "rows_scored"),
)


def responses_of(offered: Sequence[Offered[Rows]]) -> pd.DataFrame:
    """Every scored response, with `student`, `train_benchmark`, `origin` and whether it was `chosen` for training."""
    import pandas as pd

    columns = ["id", "sample", "question", "gold", "response", "verdict", "tokens", "nll", "perplexity", *COLUMNS]
    where = ["student", "train_benchmark", "origin"]
    frames, taken = [], [pd.DataFrame(columns=[*where, "id", "sample"])]
    for one in offered:
        labels = {"student": one.of.student, "train_benchmark": one.of.train_benchmark, "origin": one.of.arm}
        rows = JoinedRows(one.verdicts, one.perplexities)
        frames.append(
            rows.table.select([name for name in columns if name in rows.columns]).to_pandas().assign(**labels)
        )
        if one.choices is not None:
            picked = one.choices.table.select(["origin", "id", "sample"]).to_pandas()
            taken.append(picked[picked["origin"] == one.pool].assign(**labels))
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    frame = frame.reindex(columns=[*where, *columns])
    frame["sample"] = frame["sample"].fillna(0).astype(int)
    selected = pd.concat(taken, ignore_index=True)
    selected["sample"] = selected["sample"].fillna(0).astype(int)
    key = [*where, "id"]
    frame[key], selected[key] = frame[key].astype(str), selected[key].astype(str)
    selected = selected[[*where, "id", "sample"]].drop_duplicates().assign(chosen=True)
    frame = frame.merge(selected, how="left", on=[*where, "id", "sample"])
    frame["chosen"] = frame["chosen"].eq(True)
    return frame.sort_values([*where, "id", "sample"], kind="stable", ignore_index=True)


def perplexities(responses: pd.DataFrame) -> pd.DataFrame:
    """One row per student, training benchmark and origin (`PERPLEXITY`).

    `rows` counts the responses there are, `missing` those that there are not
    (tasks/verification/missing_response.py), `rows_scored` those that fit the student's context. Of these,
    `tokens_mean` is the mean length, `ppl_mean` the arithmetic mean of perplexities and `ppl_corpus` exp(total nll /
    total tokens); `pass_rate` is the share correct among those with a verdict. `ppl_trained` is what the report calls
    perplexity before: the geometric mean over the `rows_trained` responses that were trained on, whose mean length is
    `tokens_trained`.
    """
    import numpy as np
    import pandas as pd

    before = by_question(responses)
    rows = []
    for (student, benchmark, origin), group in responses.groupby(["student", "train_benchmark", "origin"], sort=True):
        missing = int((group["verdict"] == "missing").sum())
        known = group[group["nll"].notna() & (group["tokens"] > 0)]
        corpus = float(np.exp(known["nll"].sum() / known["tokens"].sum())) if len(known) else float("nan")
        perplexity = known["perplexity"]
        judged = group.loc[group["verdict"].isin(JUDGED), "verdict"]
        trained = int(group["chosen"].sum())
        rows.append(
            (
                *(student, benchmark, origin, len(group) - missing, missing, known["tokens"].mean()),
                *(perplexity.mean(), perplexity.median(), corpus, (judged == "correct").mean()),
                *(
                    trained,
                    np.exp(np.nanmean(before[str(student), str(origin), str(benchmark)][0])) if trained else np.nan,
                ),
                *(group.loc[group["chosen"], "tokens"].mean(), len(known)),
            )
        )
    return pd.DataFrame(rows, columns=list(PERPLEXITY))


def by_question(responses: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Log-perplexity (nats a token) and tokens as 2 × questions arrays by student, origin and training benchmark.

    Of the responses trained on; of all, averaged by question, where an origin has none of those on that benchmark. NaN
    where a question has no response; columns are the same questions for all origins of a benchmark.
    """
    import numpy as np

    found: dict[tuple[str, str, str], np.ndarray] = {}
    counted = responses["tokens"].where(responses["tokens"] > 0).astype(float)
    frame = responses.assign(value=responses["nll"].astype(float) / counted, counted=counted)
    for (student, benchmark), group in frame.groupby(["student", "train_benchmark"], sort=True):
        taken = group.groupby("origin")["chosen"].transform("any")
        group = group[group["chosen"] | ~taken]
        tables = [
            group.pivot_table(index="origin", columns="id", values=of, aggfunc="mean", dropna=False)
            for of in ("value", "counted")
        ]
        for origin in tables[0].index:
            rows = [table.loc[origin].to_numpy(dtype=np.float64) for table in tables]
            found[str(student), str(origin), str(benchmark)] = np.stack(rows)
    return found


def log_perplexities(responses: pd.DataFrame) -> dict[tuple[tuple[str, str], str], np.ndarray]:
    """Log-perplexity (nats a token) as 1 × questions arrays under ((student, origin), training benchmark)."""
    return {
        ((student, origin), benchmark): values[:1]
        for (student, origin, benchmark), values in by_question(responses).items()
    }
