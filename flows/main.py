"""The command line: mothertongue COMMAND, as `mothertongue -h` lists them.

Exit codes: 0 done, 1 a stage failed, 2 the study file or an option is wrong, 130 stopped by Ctrl-C.
"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from data.errors import InputError
from flows.cli import predictor_commands, store_page
from flows.cli.options import Allow, AsJson, Thinking

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(store_page.app, name="store")
USAGE_ERROR: Any = typer.BadParameter.__base__
"""What typer raises at an option or an argument that it cannot use; the class has no public name."""


def _allow_env(names: list[str] | None) -> list[str] | None:
    from data import variables

    variables.allow(names or ())
    return names


def _track(name: str | None) -> str | None:
    if name is not None:
        from flows.results import tracking

        _check("--track", name, tracking.find)
    return name


def _runner(name: str | None) -> str | None:
    if name is not None:
        from flows.execution.options import check_runner

        _check("--runner", name, check_runner)
    return name


def _check(option: str, name: str, check: Callable[[str], Any]) -> None:
    """Say what is wrong with an option's value before anything is done."""
    try:
        check(name)
    except InputError as error:
        raise InputError(f"{option} {name}: {error}") from None


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"mothertongue {version('mothertongue')}")
        raise typer.Exit


@app.callback()
def _of_all(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Whose responses does this model learn best from: people's, a stronger model's, or its own?"""


StudyArgument = Annotated[str, typer.Argument(help="a study file, or the name of a bundled study such as `abacus`")]
AllowEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-env",
        help="let the study read this variable, or all of a prefix: --allow-env DATA_*",
        callback=_allow_env,
    ),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="lay a value over the study file: --set seeds=[0]")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print what it comes to, and nothing of the way there")]


@app.command()
def init(
    files: Annotated[list[Path], typer.Argument(help="CSV of any kind, JSONL, JSON or Parquet; one is split")],
    question: Annotated[str | None, typer.Option(help="column with the question; guessed by name if not given")] = None,
    gold: Annotated[str | None, typer.Option(help="column with the right answer; guessed if not given")] = None,
    response: Annotated[
        list[str] | None, typer.Option(help="column with a person's response, once for each; guessed if not given")
    ] = None,
    verifier: Annotated[str | None, typer.Option(help="how answers are judged; guessed if not given")] = None,
    student: Annotated[str, typer.Option(help="the model that is fine-tuned")] = "abacus-student",
    split: Annotated[float | None, typer.Option(help="share of the rows to test on; 0.2 if not given")] = None,
    encoding: Annotated[str | None, typer.Option(help="of CSV files; guessed if not given")] = None,
    out: Annotated[Path | None, typer.Option(help="the study file; FILE.yaml here if not given")] = None,
) -> None:
    """Write a study file for data of your own, and split it into rows to train and to test on."""
    from flows.cli import init_study

    responses = tuple(response or ())
    init_study.init(files, init_study.Asked(question, gold, responses, verifier, student, split, encoding, out))


@app.command()
def plan(
    study: StudyArgument,
    set_: Set = None,
    allow: Allow = None,
    allow_env: AllowEnv = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Print every stage with hit or miss, why each miss, and what the run will cost. Runs nothing."""
    from flows.cli import plan_page
    from flows.config.study_file import load

    plan_page.show(load(study, set_), as_json, quiet)


@app.command()
def run(
    study: StudyArgument,
    set_: Set = None,
    allow: Allow = None,
    allow_env: AllowEnv = None,
    track: Annotated[
        str | None, typer.Option(help="also hand the numbers to a tracker: mlflow", callback=_track)
    ] = None,
    strict: Annotated[bool, typer.Option(help="stop at the first failure instead of going on with other arms")] = False,
    runner: Annotated[
        str | None,
        typer.Option(help="where steps run: threads, or ray: the cluster of RAY_ADDRESS", callback=_runner),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a study to its report. What is already in the store is not done again."""
    from flows.cli import run
    from flows.config.study_file import load
    from flows.execution.options import RunOptions

    raise typer.Exit(run.run(load(study, set_), RunOptions.of(strict, runner, track), as_json, quiet))


@app.command()
def pilot(
    study: StudyArgument,
    spend: Annotated[str, typer.Option(help="share of the whole study that the first look may cost")] = "10%",
    margin: Annotated[float, typer.Option(help="points by which a dropped arm may be better than those left")] = 0.0,
    set_: Set = None,
    allow: Allow = None,
    allow_env: AllowEnv = None,
    runner: Annotated[str | None, typer.Option(help="where steps run: threads, or ray", callback=_runner)] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train all arms on few questions first, drop those unlikely to be best, and run the study with the others."""
    from flows.cli.pilot import pilot
    from flows.config.study_file import load
    from flows.execution.options import RunOptions

    raise typer.Exit(pilot(load(study, set_), spend, margin, RunOptions.of(False, runner), as_json, quiet))


@app.command()
def deploy(
    study: StudyArgument,
    cron: Annotated[str | None, typer.Option(help='when it runs by itself: --cron "0 3 * * 1" (Mondays, 3:00)')] = None,
    interval: Annotated[str | None, typer.Option(help="or how often: seconds, or 30m, 12h, 7d")] = None,
    timezone: Annotated[str | None, typer.Option(help="of the schedule; UTC if not given")] = None,
    pool: Annotated[str, typer.Option(help="work pool; process, docker, kubernetes and ray are made")] = "process",
    name: Annotated[str | None, typer.Option(help="of the deployment; the study's name if not given")] = None,
    set_: Set = None,
    allow: Allow = None,
    allow_env: AllowEnv = None,
) -> None:
    """Put a study on a Prefect server, to run by schedule or from its UI. The same name again replaces it."""
    from flows.deployment import deploy as deployment
    from flows.deployment.schedule import Schedule

    schedule = Schedule(cron, interval, timezone)
    deployment.show(deployment.deploy(study, set_ or [], schedule, pool, name), schedule)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def worker(
    context: typer.Context,
    pool: Annotated[str, typer.Option("--pool", "-p", help="work pool that it takes runs from")] = "process",
) -> None:
    """Run deployed studies on this machine until stopped; further options are those of `prefect worker start`."""
    from flows.server import worker as workers

    raise typer.Exit(workers.start(pool, context.args))


@app.command()
def status(
    study: StudyArgument, set_: Set = None, allow: Allow = None, allow_env: AllowEnv = None, as_json: AsJson = False
) -> None:
    """Print how far a study is: finished, begun and missing stages."""
    from flows.cli import plan_page
    from flows.config.study_file import load

    plan_page.status(load(study, set_), as_json)


@app.command()
def report(
    study: StudyArgument, set_: Set = None, allow: Allow = None, allow_env: AllowEnv = None, as_json: AsJson = False
) -> None:
    """Print the verdict of a finished study and where its report is."""
    from flows.config.study_file import load
    from flows.results import publishing

    publishing.show(load(study, set_), as_json)


@app.command()
def history(
    study: Annotated[str, typer.Argument(help="the name of a study that was finished here")], as_json: AsJson = False
) -> None:
    """List the finished runs of a study, with what each found."""
    from flows.results import history as runs

    runs.show(study, as_json)


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help="`previous`, an id of a listing, STUDY/ID, or a results folder")],
    after: Annotated[str, typer.Argument(help="the same, or `latest`")] = "latest",
    as_json: AsJson = False,
) -> None:
    """Say what changed between two finished runs: code, data, models, values, packages, and every number."""
    from flows.cli import compare_page

    compare_page.show(before, after, as_json)


@app.command()
def doctor(
    study: Annotated[str | None, typer.Argument(help="also check that this study can run here")] = None,
    allow: Allow = None,
    allow_env: AllowEnv = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine: packages, engine, memory, disk, store, Prefect."""
    from flows.cli import doctor as checks

    raise typer.Exit(checks.show(study, as_json))


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet")],
    model: Annotated[str, typer.Option(help="a bundled model, a folder, or a hub id with revision")],
    question: Annotated[str | None, typer.Option(help="column with the question; `question` if not given")] = None,
    response: Annotated[str, typer.Option(help="column with the response")] = "response",
    id_: Annotated[str, typer.Option("--id", help="column that names a row; row numbers where it is missing")] = "id",
    prompt: Annotated[
        Path | None,
        typer.Option(help="prompt template (jinja) over the file's columns; the bare question if not given"),
    ] = None,
    group: Annotated[str | None, typer.Option(help="print one line for each value of this column")] = None,
    thinking: Annotated[
        Thinking | None, typer.Option(help="whether the model thinks, where its chat template has it both ways")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="result file; FILE.scored.<ext> if not given")] = None,
    as_json: AsJson = False,
) -> None:
    """How familiar is this data to my model? Adds tokens, nll and perplexity to every row."""
    from flows.cli import score_file

    columns = {"question": question, "response": response, "id": id_}
    thinks = None if thinking is None else thinking is Thinking.on
    score_file.score(file, model, columns, prompt, group, out, as_json, thinks)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet")],
    benchmark: Annotated[
        str | None, typer.Option(help="the benchmark whose verifier judges, such as gsm8k; its own rows are read too")
    ] = None,
    verifier: Annotated[str | None, typer.Option(help="or the verifier alone, such as exact")] = None,
    study: Annotated[str | None, typer.Option(help="a study file that describes the benchmark")] = None,
    question: Annotated[str | None, typer.Option(help="column with the question; `question` if not given")] = None,
    response: Annotated[str, typer.Option(help="column with the response")] = "response",
    gold: Annotated[str | None, typer.Option(help="column with the right answer; `gold` if not given")] = None,
    id_: Annotated[str, typer.Option("--id", help="column that names a row; row numbers where it is missing")] = "id",
    group: Annotated[str | None, typer.Option(help="print one line for each value of this column")] = None,
    out: Annotated[Path | None, typer.Option(help="result file; FILE.verified.<ext> if not given")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge every response against its gold answer. Adds verdict, answer and score."""
    from flows.cli import verify_file

    columns = {"question": question, "response": response, "gold": gold, "id": id_}
    verify_file.verify(file, benchmark, columns, group, out, as_json, verifier, study)


app.command()(predictor_commands.predictors)
app.command()(predictor_commands.advise)


@app.command()
def benchmarks(as_json: AsJson = False) -> None:
    """List the benchmarks that come with the project."""
    _list("benchmarks", as_json)


@app.command()
def verifiers(as_json: AsJson = False) -> None:
    """List the verifiers: how answers are judged."""
    _list("verifiers", as_json)


@app.command()
def origins(as_json: AsJson = False) -> None:
    """List the kinds of origins: where training responses come from."""
    _list("origins", as_json)


@app.command()
def methods(as_json: AsJson = False) -> None:
    """List the methods: how the student learns."""
    _list("methods", as_json)


def _list(what: str, as_json: bool) -> None:
    from flows.cli import listing

    listing.show(what, as_json)


def main() -> None:
    """Entry point: turns what a person can put right into one line and an exit code; a bug keeps its traceback."""
    from data.errors import one_line
    from flows.cli import terminal
    from flows.server import library_environment
    from tasks.endpoint.secrets import masked
    from tasks.resources.errors import StageFailed, Transient

    terminal.guard()
    library_environment.apply(console=True)
    warnings.formatwarning = lambda message, *where: f"warning: {message}\n"  # where in the code helps no person
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")  # 20 are too few on a busy machine
    try:
        sys.exit(app(standalone_mode=len(sys.argv) == 1))
    except USAGE_ERROR as error:
        print(f"error: {one_line(masked(error.format_message(), ()))}", file=sys.stderr)
        sys.exit(2)
    except InputError as error:
        print(f"error: {one_line(masked(str(error), ()))}", file=sys.stderr)
        sys.exit(2)
    except (StageFailed, Transient) as error:
        print(f"failed: {one_line(masked(str(error), ()))}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
