"""`mothertongue deploy`: a study on a Prefect server, which runs it by schedule, or when a person says so in the UI."""

import functools
import os
import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from data import allowed_paths, variables
from data.errors import InputError
from flows.config import server_values, study_file
from flows.config.form import as_form, as_study
from flows.config.schema import Study
from flows.deployment import work_pools
from flows.deployment.schedule import Schedule
from flows.server import health
from tasks.reporting.markdown import escaped
from tasks.resources.errors import StageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from prefect.client.orchestration import SyncPrefectClient

ENTRYPOINT = "flows.study.study_flow"
TOO_BUSY = "is too busy to answer: try again. With many runs, give it PostgreSQL in place of SQLite (docs/operate.md)"
NOT_IN_NAMES = re.compile(r"[/%&><]")
"""Characters that Prefect takes in no name."""
LONGEST_REFUSAL = 300


@dataclass(frozen=True)
class Deployed:
    """A study on a server."""

    name: str
    """What Prefect calls it: `study/<name>`."""
    id: UUID
    url: str
    pool: str
    pool_made: bool
    folder: Path
    """Where a process worker runs it: relative paths, `runs/` and a local store are there."""
    unset: tuple[str, ...]
    """Variables that the study needs and this machine has not: it was not looked at as a whole."""
    late: int = 0
    """Runs that an earlier schedule had left, and that are removed."""


def deploy(
    path: str, overrides: list[str], schedule: Schedule, pool: str = work_pools.DEFAULT, name: str | None = None
) -> Deployed:
    """Put a study on the server that PREFECT_API_URL names; one of the same name is replaced, its schedule too.

    Raises:
        InputError: the study, the schedule or the pool is wrong, or no server is named.
        StageFailed: the server does not answer.
    """
    given = study_file.read(path, overrides)
    unset = tuple(name for name in variables.named(as_study(given)) if name not in os.environ)
    file = study_file.locate(path)
    folder = None if file.parent == study_file.STUDIES else file.parent.absolute()
    try:
        study = study_file.raw(given) if unset else study_file.checked(given, file.parent.absolute())
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    schedules = schedule.checked()
    name = name or study.name
    if NOT_IN_NAMES.search(name) or not server_values.NAME.fullmatch(name):
        raise InputError(f"--name {name[:60]}: allowed are up to 200 characters on one line, but not / % & > <")
    with server() as client:
        made = work_pools.find_or_make(client, pool)
        from prefect.utilities.urls import url_for

        from flows.study import study_flow

        id = client.create_deployment(
            flow_id=client.create_flow(study_flow),
            name=name,
            description=describe(study),
            schedules=schedules,
            parameters=parameters(given, folder),
            parameter_openapi_schema=parameter_schema(),
            enforce_parameter_schema=True,
            entrypoint=ENTRYPOINT,
            pull_steps=[],  # those of an earlier `prefect deploy`, if any, are gone
            work_pool_name=pool,
            job_variables={
                **({"working_dir": str(Path.cwd())} if made.type == "process" else {}),
                **_opened(folder, overrides, made.env),
            },
        )
        url = url_for("deployment", id) or ""
        late = _remove_late(client, id)
    return Deployed(f"study/{name}", id, url, pool, made.made, Path.cwd(), unset, late)


def _remove_late(client: "SyncPrefectClient", id: UUID) -> int:
    """Remove the runs that an earlier schedule has made and no worker has taken; returns how many they were.

    Those to come Prefect removes itself where a schedule is replaced. Those that were due it leaves, and the next
    worker would run them all.
    """
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterDeploymentId,
        FlowRunFilterNextScheduledStartTime,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )
    from prefect.types._datetime import now

    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[id]),
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Scheduled", "Late"])),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=now("UTC")),
    )
    removed = 0
    while runs := [run for run in client.read_flow_runs(flow_run_filter=wanted) if run.auto_scheduled]:
        for run in runs:
            client.delete_flow_run(run.id)
        removed += len(runs)
    return removed


def _opened(folder: Path | None, overrides: list[str], env: Mapping[str, Any]) -> dict[str, Any]:
    """What whoever deploys the study lets it read, in the worker's environment: not among the run's parameters, which
    a person in the UI may change."""
    beside = [folder] if folder and not allowed_paths.may_be_read(folder, ()) else []
    allowed_paths.allow([*beside, *study_file.named_by_hand(overrides)])
    opened = {name: os.environ[name] for name in (allowed_paths.ALLOW, variables.ALLOW) if os.environ.get(name)}
    return {"env": {**env, **opened}} if opened else {}


def describe(study: Study) -> str:
    """What the server shows of a study."""
    return "\n\n".join(escaped(text) for text in (study.about, study.notes) if text.strip())


def parameters(given: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """What a run of the flow is given, checked as the server will: the raw study, `${NAME}` and all.

    Raises:
        InputError: the server would refuse it.
    """
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    values = {"study": as_form(given), **({"folder": str(folder)} if folder else {})}
    server_values.check(values)
    schema = parameter_schema()
    try:
        # A deployment is looked at without what a schema requires, a run of it with that.
        for without_required in (True, False):
            validate(values, schema, raise_on_error=True, ignore_required=without_required)
    except ValidationError as error:
        raise InputError(f"the server will not take these values: {_cut(str(error))}") from None
    return values


@functools.cache
def parameter_schema() -> dict[str, Any]:
    """What a run of the flow may be given, as JSON Schema; the UI draws its form from it."""
    from prefect.utilities.callables import parameter_schema as of_function

    from flows.study import study_flow

    schema = of_function(study_flow.fn).model_dump_for_openapi()
    return {**server_values.bounded(schema), "additionalProperties": False}


@contextmanager
def server() -> "Iterator[SyncPrefectClient]":
    """A client of the Prefect server.

    Raises:
        InputError: none is named.
        StageFailed: it does not answer, or refuses.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError

    address = health.without_password(health.required_address("a deployment lives on a server"))
    try:
        with get_client(sync_client=True) as client:
            yield client
    except PrefectHTTPStatusError as error:
        if error.response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise StageFailed(f"the Prefect server at {address} {TOO_BUSY}") from None
        raise StageFailed(f"the Prefect server at {address} refused: {reason(error.response)}") from None
    except (httpx.HTTPError, OSError) as error:
        raise StageFailed(
            f"the Prefect server at {address} does not answer any more ({type(error).__name__})"
        ) from None


def reason(answer: "httpx.Response") -> str:
    """Why a server refuses, on one short line, without what it repeats of the values and the schema."""
    try:
        detail = answer.json()
    except ValueError:
        detail = answer.text
    if isinstance(detail, dict):
        detail = detail.get("exception_detail") or detail.get("detail") or detail.get("exception_message") or detail
    if isinstance(detail, list):  # pydantic's errors: each has its place, and repeats the whole value
        detail = "; ".join(str(error.get("msg", "")) if isinstance(error, dict) else str(error) for error in detail)
    return f"{_cut(str(detail))} (status {answer.status_code})"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REFUSAL else f"{line[:LONGEST_REFUSAL]}..."


def show(deployed: Deployed, schedule: Schedule) -> None:
    """Print what was deployed, and what to start next."""
    print(f"Deployed {deployed.name}: runs {schedule}.")
    print(f"  pool    {deployed.pool}{' (made just now)' if deployed.pool_made else ''}")
    print(f"  folder  {deployed.folder}")
    for name in deployed.unset:
        print(f"  needs   {name} in the worker's environment; it is not set here, so no file was looked at")
    if deployed.late:
        print(f"  removed {deployed.late} runs that the schedule before had left and no worker has taken")
    print(f"  page    {deployed.url}")
    print("\nA worker runs it; start one where it is to run, if none is there:")
    print(f"  mothertongue worker --pool {deployed.pool}")
    print("Run it now:")
    print(f"  prefect deployment run {deployed.name}")
