"""Every scored response in one table: how familiar those of each arm are, and which of them were trained on.

Where an arm's responses are drawn anew for each of its seeds, or its students of each seed write their own, all draws
are pooled: counts are over all of them, means of a question over its responses in all of them.
"""

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
    *("student", "benchmark", "arm", "origin", "size", "draws", "rows", "missing", "tokens_mean"),
    *("ppl_mean", "ppl_median", "ppl_corpus", "pass_rate"),
    *("rows_trained", "ppl_trained", "tokens_trained", "rows_scored"),
)


WHERE = ("student", "train_benchmark", "arm", "origin", "size", "seed")
"""Of which arm a response is; `seed` is null where one draw serves all seeds."""
TAKEN = ("id", "sample", "question", "gold", "response", "verdict", "tokens", "nll", "perplexity", *COLUMNS)
OF_FEEDBACK = "draft_verdict"
"""A column that feedback on a draft has, and no response to a question."""


def responses_of(offered: Sequence[Offered[Rows]]) -> pd.DataFrame:
    """Every scored response, with the columns `WHERE` and whether it was `chosen` for training."""
    import pandas as pd

    frames = [_marked(one) for one in offered]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    frame = frame.reindex(columns=[*WHERE, *TAKEN, OF_FEEDBACK, "chosen"])
    names = [name for name in (*WHERE, "id") if name not in ("size", "seed")]
    frame[names] = frame[names].astype(str)
    frame["size"], frame["seed"] = frame["size"].astype("int64"), frame["seed"].astype("Int64")
    frame["sample"] = frame["sample"].fillna(0).astype(int)
    frame["chosen"] = frame["chosen"].eq(True)
    return frame.sort_values([*WHERE, "id", "sample"], kind="stable", ignore_index=True)


def _marked(one: Offered[Rows]) -> pd.DataFrame:
    """The responses of one draw that an arm was offered, marked with its name and with which it trains on."""
    rows = JoinedRows(one.verdicts, one.perplexities)
    frame = rows.table.select([name for name in (*TAKEN, OF_FEEDBACK) if name in rows.columns]).to_pandas()
    if "sample" not in frame:
        frame["sample"] = 0
    frame["id"], frame["sample"] = frame["id"].astype(str), frame["sample"].fillna(0).astype(int)
    frame["chosen"] = False
    if one.choices is not None:
        picked = one.choices.table.select(["origin", "id", "sample"]).to_pandas()
        picked = picked[picked["origin"] == one.pool]
        keys = set(zip(picked["id"].astype(str), picked["sample"].fillna(0).astype(int), strict=True))
        frame["chosen"] = [key in keys for key in zip(frame["id"], frame["sample"], strict=True)]
    of = one.of
    return frame.assign(
        **{"student": of.student, "train_benchmark": of.train_benchmark, "arm": of.arm, "origin": one.pool},
        **{"size": of.size, "seed": of.seed},
    )


def perplexities(responses: pd.DataFrame) -> pd.DataFrame:
    """One row per student, training benchmark, arm and size (`PERPLEXITY`).

    `draws` says how many draws of responses are pooled, and counts are over all of them. `rows` counts the responses
    there are, `missing` those that there are not (tasks/verification/missing_response.py), `rows_scored` those that fit
    the student's context. Of these, `tokens_mean` is the mean length, `ppl_mean` the arithmetic mean of perplexities
    and `ppl_corpus` exp(total nll / total tokens); `pass_rate` is the share correct among those with a verdict.
    `ppl_trained` is what the report calls perplexity before: the geometric mean over the questions of the
    `rows_trained` responses that were trained on, whose mean length is `tokens_trained`.
    """
    import numpy as np
    import pandas as pd

    before = {size: by_question(responses[responses["size"] == size]) for size in set(responses["size"])}
    rows = []
    groups = responses.groupby(["student", "train_benchmark", "arm", "size"], sort=True)
    for (student, benchmark, arm, size), group in groups:
        missing = int((group["verdict"] == "missing").sum())
        known = group[group["nll"].notna() & (group["tokens"] > 0)]
        corpus = float(np.exp(known["nll"].sum() / known["tokens"].sum())) if len(known) else float("nan")
        perplexity = known["perplexity"]
        judged = group.loc[group["verdict"].isin(JUDGED), "verdict"]
        trained = int(group["chosen"].sum())
        of_questions = before[size][str(student), str(arm), str(benchmark)][0]
        rows.append(
            (
                *(student, benchmark, arm, group["origin"].iloc[0], size, group["seed"].nunique(dropna=False)),
                *(len(group) - missing, missing, known["tokens"].mean()),
                *(perplexity.mean(), perplexity.median(), corpus, (judged == "correct").mean()),
                *(trained, np.exp(np.nanmean(of_questions)) if trained else np.nan),
                *(group.loc[group["chosen"], "tokens"].mean(), len(known)),
            )
        )
    return pd.DataFrame(rows, columns=list(PERPLEXITY))


def of_largest(responses: pd.DataFrame) -> pd.DataFrame:
    """The responses of the study's largest size alone, which claims are about."""
    return responses[responses["size"] == responses["size"].max()]


def by_question(responses: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Log-perplexity (nats a token) and tokens as 2 × questions arrays by student, arm and training benchmark.

    Of the responses trained on; of all, where an arm has none of those on that benchmark; averaged by question. NaN
    where a question has no response; columns are the same questions for all arms of a benchmark.

    Args:
        responses: `responses_of`'s table, of one size.
    """
    import numpy as np

    found: dict[tuple[str, str, str], np.ndarray] = {}
    counted = responses["tokens"].where(responses["tokens"] > 0).astype(float)
    frame = responses.assign(value=responses["nll"].astype(float) / counted, counted=counted)
    for (student, benchmark), group in frame.groupby(["student", "train_benchmark"], sort=True):
        taken = group.groupby("arm")["chosen"].transform("any")
        group = group[group["chosen"] | ~taken]
        tables = [
            group.pivot_table(index="arm", columns="id", values=of, aggfunc="mean", dropna=False)
            for of in ("value", "counted")
        ]
        for arm in tables[0].index:
            rows = [table.loc[arm].to_numpy(dtype=np.float64) for table in tables]
            found[str(student), str(arm), str(benchmark)] = np.stack(rows)
    return found


def log_perplexities(responses: pd.DataFrame) -> dict[tuple[tuple[str, str], str], np.ndarray]:
    """Log-perplexity (nats a token) as 1 × questions arrays under ((student, arm), training benchmark)."""
    return {
        ((student, arm), benchmark): values[:1] for (student, arm, benchmark), values in by_question(responses).items()
    }
