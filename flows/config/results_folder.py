"""Where a study's results go: `runs/<study name>/`."""

from pathlib import Path

from flows.config.schema import Study


def folder(study: Study) -> Path:
    return Path("runs") / study.name
