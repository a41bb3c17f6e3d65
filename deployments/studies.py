"""A step of `prefect deploy`: the bundled studies, as deployments/prefect.yaml puts them on a server."""

from pathlib import Path
from typing import Any

from flows.config import study_file
from flows.deployment.deploy import parameters


def read() -> dict[str, Any]:
    """Each study's values by its name; `directory` is where runs are to take place, the current one.

    Raises:
        InputError: a study file is wrong.
    """
    studies: dict[str, Any] = {}
    for file in sorted(study_file.STUDIES.glob("*.yaml")):
        given = study_file.read(file.stem)
        study_file.raw(given)
        studies[file.stem] = parameters(given, None)["study"]
    return {"directory": str(Path.cwd()), **studies}
