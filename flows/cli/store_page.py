"""The commands of `mothertongue store`: what the store holds, what of it may go, and whether it is undamaged."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="List what the store holds, remove what no study needs, check it.")
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


@app.command()
def ls(as_json: AsJson = False) -> None:
    """List the artifacts of each stage: how many, how large, when last used, and which studies reach them."""
    from flows.cli import store_contents

    store_contents.show(as_json)


@app.command()
def gc(
    remove: Annotated[bool, typer.Option("--remove", help="remove it; without this, only say what would go")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(help="what was not used for so long (12h, 30d, 8w), in place of what no study reaches"),
    ] = None,
    forget: Annotated[
        list[str] | None, typer.Option(help="a study whose artifacts are no longer wanted, by name; once for each")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what no study reaches, with sizes and why; with --remove, remove it."""
    from flows.cli import store_cleaning

    raise typer.Exit(store_cleaning.clean(remove, older_than, forget or [], as_json))


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check every artifact against its digests. Changes nothing; exit code 1 where one is damaged."""
    from flows.cli import store_check

    raise typer.Exit(store_check.show(as_json))
