"""Options that several commands have."""

import enum
from pathlib import Path
from typing import Annotated

import typer


class Thinking(enum.Enum):
    """Whether a model thinks before it answers."""

    on = "on"
    off = "off"


def allow(paths: list[Path] | None) -> list[Path] | None:
    from data import allowed_paths

    allowed_paths.allow(paths or ())
    return paths


Allow = Annotated[
    list[Path] | None,
    typer.Option("--allow-path", help="let the study read files here too: --allow-path /data", callback=allow),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
