"""`mothertongue predictors` and `mothertongue advise`: their options. What they do is loaded when they are called."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import Allow, AsJson, Thinking


def predictors(
    imported: Annotated[
        list[str] | None,
        typer.Option(help="a file of imported results, or one that comes with the project by name, in place of these"),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="lay a value over the files: --set accuracies.out_of=100")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="only studies finished here")] = False,
    predictor: Annotated[str | None, typer.Option(help="every choice of this predictor instead")] = None,
    allow: Allow = None,
    as_json: AsJson = False,
) -> None:
    """How well each predictor would have picked what to train on: its record over studies and imported results."""
    from flows.cli import predictors_page

    predictors_page.show(imported or [], set_ or [], own, predictor, as_json)


def advise(
    files: Annotated[list[Path], typer.Argument(help="answer sets: JSONL, CSV, JSON or Parquet; one with --by")],
    model: Annotated[str, typer.Option(help="a bundled model, a folder, or a hub id with revision")],
    by: Annotated[str | None, typer.Option(help="column that says which set a row is of; a file each if none")] = None,
    question: Annotated[str | None, typer.Option(help="column with the question; guessed if not given")] = None,
    response: Annotated[str | None, typer.Option(help="column with the response; guessed if not given")] = None,
    gold: Annotated[str | None, typer.Option(help="column with the right answer; guessed if not given")] = None,
    questions: Annotated[Path | None, typer.Option(help="a file with questions and right answers of its own")] = None,
    benchmark: Annotated[str | None, typer.Option(help="whose verifier and prompt are taken, such as gsm8k")] = None,
    verifier: Annotated[str | None, typer.Option(help="or the verifier alone; guessed if not given")] = None,
    prompt: Annotated[Path | None, typer.Option(help="prompt template (jinja); the bare question if none")] = None,
    thinking: Annotated[
        Thinking | None, typer.Option(help="whether the model thinks, where it has it both ways")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="questions that are read, at most")] = 1000,
    encoding: Annotated[str | None, typer.Option(help="of CSV files; guessed if not given")] = None,
    out: Annotated[Path | None, typer.Option(help="the study file; advise-FILE.yaml here if not given")] = None,
    as_json: AsJson = False,
) -> None:
    """Which of these answer sets to fine-tune on: what predictors pick, how often they were right; trains nothing."""
    from flows.cli import advise as advice
    from flows.cli.answer_sets import Asked

    asked = Asked(by, question, response, gold, questions, benchmark, verifier, encoding, most)
    thinks = None if thinking is None else thinking is Thinking.on
    advice.advise(files, model, asked, prompt, thinks, out, as_json)
