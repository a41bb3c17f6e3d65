"""Where a study's results go: `runs/<study name>/`, one folder with tables, items and the report."""

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data.errors import InputError
from flows.config.results_folder import folder
from flows.config.schema import Study
from flows.planning.plan import Plan, expand
from flows.results import history
from flows.results.json_output import say
from flows.results.provenance import made_of
from tasks.pipeline.artifact_keys import ArtifactKeys
from tasks.pipeline.versions import versions
from tasks.resources import disk
from tasks.resources.errors import Transient
from tasks.storage.artifacts import Artifact
from tasks.storage.atomic_write import write_atomically
from tasks.storage.opening import open_store

TABLES = (
    *("summary.csv", "perplexity.csv", "verdict.json"),
    *("scaling.csv", "efficiency.csv", "pass_at_k.csv", "graded.csv", "surprise.csv", "approaches.csv"),
    *("predictors.csv", "predictor_record.csv", "divergence.csv", "forgetting.csv"),
)
FILES = (*TABLES, "items.parquet")
NO_PILOT: Mapping[str, Any] = MappingProxyType({})


def publish(plan: Plan, compared: Artifact, report: Artifact, failed: dict[str, str], keys: ArtifactKeys) -> Path:
    """Copy a finished study's results to its folder, the manifest last. Returns the report's path.

    Raises:
        StageFailed: the disk is full.
    """
    target = folder(plan.study)
    with disk.errors_reported(target):
        return _published(target, plan, compared, report, failed, keys)


def _published(
    target: Path, plan: Plan, compared: Artifact, report: Artifact, failed: dict[str, str], keys: ArtifactKeys
) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    stages: dict[str, str] = {}
    with contextlib.suppress(Transient):  # a store that is away by now takes no verdict with it
        stages = {node.run_name: key for node in plan.nodes if (key := keys.find(node)) is not None}
    (target / "manifest.json").unlink(missing_ok=True)
    for source in [*(compared.path(name) for name in FILES), report.path("report.html")]:
        draft = target / f".{source.name}"
        shutil.copyfile(source, draft)
        draft.replace(target / source.name)
    manifest = {
        "study": plan.study.model_dump(mode="json"),
        "students": {model.name: model.content for model in plan.study.models},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "report": {name: report.manifest[name] for name in ("stage", "key")},
        "compare": {name: compared.manifest[name] for name in ("stage", "key")},
        "stages": stages,
        **made_of(plan.nodes),
        "failed": failed,
        **({"pilot": dict(plan.pilot)} if plan.pilot else {}),
        "versions": versions(),
    }
    write_atomically(target / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False))
    history.keep(target, manifest, TABLES)
    return target / "report.html"


def show(study: Study, as_json: bool) -> None:
    """Print the verdict of a finished study, from the store; or what a run found some of whose steps failed.

    Raises:
        InputError: it is not finished, and no run of these values came to a verdict.
    """
    plan = expand(study)
    store = open_store()
    compared_node, page_node = plan.conclusion()
    keys = ArtifactKeys(store)
    compared, page = (keys.open(node) for node in (compared_node, page_node))
    if compared is not None and page is not None:
        say_verdict(compared, publish(plan, compared, page, {}, keys), as_json)
        return
    before = _ran_before(study)
    if pilot := before.get("pilot"):
        print(f"Of a pilot, which dropped arms. The whole study: {study.command}", file=sys.stderr)
        _say(folder(study), folder(study) / "report.html", as_json, pilot)
        return
    if not (failed := list(before.get("failed", ()))):
        raise InputError(f"{study.name} is not finished as its study file now stands; go on with: {study.command}")
    print(f"Not finished: steps that failed: {', '.join(failed)}. Go on with: {study.command}", file=sys.stderr)
    _say(folder(study), folder(study) / "report.html", as_json)


def _ran_before(study: Study) -> dict[str, Any]:
    """The manifest of the run whose results lie in the study's folder; empty if they are of other values."""
    file = folder(study) / "manifest.json"
    if not file.is_file():
        return {}
    manifest = json.loads(file.read_text(encoding="utf-8"))
    return dict(manifest) if manifest["study"] == study.model_dump(mode="json") else {}


def say_verdict(compared: Artifact, path: Path, as_json: bool, pilot: Mapping[str, Any] = NO_PILOT) -> None:
    """Print the verdict, what a pilot came to if it was one, and the report's path."""
    _say(compared.folder, path, as_json, pilot)


def _say(found: Path, path: Path, as_json: bool, pilot: Mapping[str, Any] = NO_PILOT) -> None:
    from tasks.reporting.verdict_text import verdict_text

    if as_json:
        verdict = json.loads((found / "verdict.json").read_text(encoding="utf-8"))
        say({"verdict": verdict, "report": str(path), **({"pilot": dict(pilot)} if pilot else {})})
        return
    print(verdict_text(found))
    for line in pilot.get("lines", ()):
        print(f"\n{line}")
    print(f"\nReport: {path}")
