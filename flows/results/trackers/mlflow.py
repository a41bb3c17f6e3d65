"""MLflow: one of its runs for each of ours, in the experiment that is called as the study.

MLFLOW_TRACKING_URI says where (a server, or sqlite:///file); MLFLOW_EXPERIMENT_NAME may name another experiment.
"""

import contextlib
import importlib.util
import logging
import os
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from data.errors import InputError
from flows.results.tracking import Finished
from tasks.endpoint.secrets import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARAMETERS_AT_ONCE, METRICS_AT_ONCE = 100, 1000
LONGEST = 6000
"""Characters of a parameter's value that MLflow takes."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""A finished study waits a minute for a server that is gone, not MLflow's ten."""


def tracker() -> "Mlflow":
    """MLflow, where the environment says.

    Raises:
        InputError: its package is not installed.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise InputError("the package mlflow-skinny is not installed. Allowed after: pip install mlflow-skinny")
    return Mlflow()


class Mlflow:
    """Results as runs of MLflow. Imported only when one is recorded: the package takes a second."""

    def record(self, finished: Finished) -> str:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        import mlflow
        from mlflow import MlflowClient

        uri = mlflow.get_tracking_uri()
        client = MlflowClient(tracking_uri=uri)
        named = os.environ.get("MLFLOW_EXPERIMENT_NAME") or finished.study
        known = client.get_experiment_by_name(named)
        experiment = known.experiment_id if known is not None else client.create_experiment(named)
        mark = f"tags.`mothertongue.report` = '{finished.key}' and attributes.status = 'FINISHED'"
        place = f"run {finished.run} of the experiment {named} at {masked(uri, ())}"
        if client.search_runs([experiment], mark, max_results=1):
            return f"has these results already, as {place}"
        _write(client, experiment, finished)
        return place


def _write(client: "MlflowClient", experiment: str, finished: Finished) -> None:
    """One run: marked as finished last, so that half of one is not taken for these results."""
    from mlflow.entities import Metric, Param, RunTag

    ended = int(datetime.fromisoformat(finished.finished).timestamp() * 1000)
    tags = {**finished.tags, "mlflow.note.content": finished.verdict, "mlflow.source.name": "mothertongue"}
    run = client.create_run(experiment, run_name=finished.run, tags={}, start_time=ended).info.run_id
    try:
        parameters = [Param(name[:250], value[:LONGEST]) for name, value in finished.parameters.items()]
        metrics = [Metric(name[:250], value, ended, 0) for name, value in finished.metrics.items()]
        client.log_batch(run, tags=[RunTag(name, value[:5000]) for name, value in tags.items()])
        for start in range(0, len(parameters), PARAMETERS_AT_ONCE):
            client.log_batch(run, params=list(islice(parameters, start, start + PARAMETERS_AT_ONCE)))
        for start in range(0, len(metrics), METRICS_AT_ONCE):
            client.log_batch(run, metrics=list(islice(metrics, start, start + METRICS_AT_ONCE)))
        for path in finished.files:
            client.log_artifact(run, str(path))
        client.set_terminated(run, "FINISHED", end_time=ended)
    except BaseException:
        _fail(client, run)
        raise


def _fail(client: Any, run: str) -> None:
    """Say of a run that it is not whole, where that can still be said."""
    with contextlib.suppress(Exception):
        client.set_terminated(run, "FAILED")
