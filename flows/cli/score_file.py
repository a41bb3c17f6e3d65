"""`mothertongue score`: how familiar the responses of a user's own file are to a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data import row_values
from data.errors import InputError
from data.prompt import read
from flows.cli.user_file import (
    Columns,
    grouped,
    numbered_rows,
    print_formulas,
    print_missing,
    print_renamed,
    result_file,
    run_stage,
    stage_row,
    with_results,
)
from flows.results.json_output import say
from tasks.models import template_trial
from tasks.models.model import weights
from tasks.models.template_trial import Trial
from tasks.score import familiarity
from tasks.storage.rows import Row, Rows
from tasks.verification.missing_response import is_missing

BARE_QUESTION = "{{ question }}"


def score(
    file: Path,
    model: str,
    named: Mapping[str, str | None],
    prompt: Path | None,
    group: str | None,
    out: Path | None,
    as_json: bool,
    thinking: bool | None = None,
) -> None:
    """Add `tokens`, `nll` and `perplexity` to every row of a file, and print how familiar it is.

    Args:
        named: columns by what they hold (`Columns`).
    """
    from flows.planning import rendering_checks
    from tasks.score import score as stage
    from tasks.score import thoughts_left_out

    columns = Columns(**named, group=group)  # type: ignore[arg-type]
    target = result_file(file, out, "scored")
    student = weights(model).choosing(thinking)
    rendering = rendering_checks.loaded(student)
    rendering.check()
    template = _template(prompt)
    question = columns.question or "question"
    rows, ended = numbered_rows(file, columns, target)
    for row in rows:
        place, given = row["_place"], row["_file"]
        if prompt is None or columns.question is not None or question in given:
            row["question"] = row_values.text_or_none(place, given, question) or ""
        row |= {name: value for name, value in given.items() if name not in row}
    template_trial.check([Trial(f"--prompt {prompt}", template, stage_row(rows[0]))])
    scored = run_stage(stage.function, rows, student, template)
    target.write(with_results(rows, scored, ("tokens", "nll", "perplexity"), "scored"))
    groups = [_familiarity(name, part) for name, part in grouped(rows, scored, columns.group)]
    notes = list(rendering.notes)
    if thoughts := sum(rendering.leaves_out(row["response"]) for row in rows if not is_missing(row)):
        notes.append(thoughts_left_out(thoughts))
    if as_json:
        say({"file": str(target), "groups": groups, "end_tokens": ended, "rendering": notes})
        return
    width = max(len(str(g["group"])) for g in groups)
    head = f"{'rows':>7}  {'tokens':>9}  {'mean':>8}  {'median':>8}  {'corpus':>8}"
    print(f"{'':<{width}}  {head}   perplexity to {student.name}")
    for g in groups:
        values = "  ".join(f"{g[name]:>8.3f}" for name in ("mean", "median", "corpus"))
        print(f"{g['group']:<{width}}  {g['rows']:>7,}  {g['tokens']:>9,}  {values}")
    if left_out := groups[-1]["too_long"]:
        print(f"{left_out} rows are longer than the model's context: they have no perplexity and are left out.")
    print_missing(groups[-1]["missing"], ended)
    print_formulas(rows, scored, target)
    print_renamed(rows, ("tokens", "nll", "perplexity"), "scored")
    for note in notes:
        print(note)
    print(f"Every row with its figures: {target}")


def _template(prompt: Path | None) -> str:
    if prompt is None:
        return BARE_QUESTION
    try:
        return read(prompt)
    except InputError as error:
        raise InputError(f"--prompt {error}") from None


def _familiarity(name: str, rows: list[Row]) -> dict[str, Any]:
    found = familiarity(Rows.of([{"nll": row["nll"], "tokens": row["tokens"]} for row in rows]))
    means = {kind: found[f"perplexity_{kind}"] for kind in ("mean", "median", "corpus")}
    counts = {kind: found[kind] for kind in ("tokens", "too_long", "missing")}
    return {"group": name, "rows": found["scored"], **counts, **means}
