"""The files for containers and services, as far as they can be tried without Docker and Kubernetes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.config import study_file
from flows.deployment import work_pools

DEPLOYMENTS = Path(__file__).resolve().parents[2] / "deployments"
COMPOSE = yaml.safe_load((DEPLOYMENTS / "compose.yaml").read_text())
OF_A_SERVICE = {
    *("image", "build", "restart", "init", "depends_on", "command", "entrypoint", "environment", "volumes", "ports"),
    *("shm_size", "stop_grace_period", "deploy", "healthcheck"),
}
ENDS = {"bucket"}
"""Services that do something once."""


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [str(value)]


def test_every_bundled_study_is_deployed_with_prefects_own_command() -> None:
    """`prefect deploy --all` itself takes minutes: tests/deployments/test_deploy.py."""
    named = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text())["deployments"]
    assert sorted(one["name"] for one in named) == sorted(file.stem for file in study_file.STUDIES.glob("*.yaml"))
    for one in named:
        assert one["parameters"] == {"study": f"{{{{ studies.{one['name']} }}}}"}
        assert one["description"] == f"{{{{ studies.{one['name']}.about }}}}"


@pytest.mark.parametrize("name", list(COMPOSE["services"]))
def test_a_service_is_pinned_and_watched(name: str) -> None:
    service = COMPOSE["services"][name]
    assert set(service) <= OF_A_SERVICE
    tag = service["image"].rpartition(":")[2]
    assert re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag), f"{service['image']} can change under its name"
    assert name in ENDS or "test" in service["healthcheck"]
    for needed, when in service.get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ENDS else "service_healthy"
        assert when == {"condition": expected}
    for volume in service.get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]


def test_what_the_compose_file_asks_of_the_environment_is_in_the_example() -> None:
    asked = {name for text in texts(COMPOSE["services"]) for name in re.findall(r"(?<!\$)\$\{(\w+)", text)}
    example = (DEPLOYMENTS / ".env.example").read_text()
    assert asked <= set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE))
    assert not re.search(r"^\w*(PASSWORD|SECRET_KEY|API_KEY|TOKEN)=.", example, re.MULTILINE), "a password to be copied"


def test_the_image_has_what_the_compose_file_and_the_pools_call_it() -> None:
    image = COMPOSE["services"]["worker"]["image"]
    for name in ("docker", "kubernetes"):
        template = json.loads((DEPLOYMENTS / "pools" / f"{name}.json").read_text())
        assert template["variables"]["properties"]["image"]["default"] == image
    pyproject = (DEPLOYMENTS.parent / "pyproject.toml").read_text()
    assert f'version = "{image.rpartition(":")[2]}"' in pyproject
    assert COMPOSE["services"]["server"]["image"] == image, "another image has other packages than the lock"
    copied = re.findall(r"^COPY (\S+)", (DEPLOYMENTS / "Dockerfile").read_text(), re.MULTILINE)
    assert all((DEPLOYMENTS.parent / path).exists() for path in copied)


@pytest.mark.parametrize("name", work_pools.ours())
def test_a_pools_template_makes_a_job_with_its_defaults(name: str) -> None:
    """What Prefect's worker does with it first: the template's variables replaced by their defaults."""
    template = json.loads((DEPLOYMENTS / "pools" / f"{name}.json").read_text())
    asked = {found for text in texts(template["job_configuration"]) for found in re.findall(r"^\{\{ (\w+) \}\}$", text)}
    assert asked <= set(template["variables"]["properties"])
    if name == "docker":
        from prefect_docker.worker import DockerWorkerJobConfiguration as Configuration
    elif name == "kubernetes":
        from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration as Configuration  # type: ignore
    else:
        from prefect.workers.process import ProcessJobConfiguration as Configuration  # type: ignore
    from prefect.utilities.templating import apply_values

    defaults = {key: each.get("default") for key, each in template["variables"]["properties"].items()}
    values = {key: value for key, value in defaults.items() if value is not None}
    made = Configuration(**apply_values(template["job_configuration"], values))
    if name == "docker":
        assert made.container_create_kwargs["device_requests"][0]["Capabilities"] == [["gpu"]]  # type: ignore
    if name == "kubernetes":
        (container,) = made.job_manifest["spec"]["template"]["spec"]["containers"]  # type: ignore
        assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
        assert container["envFrom"] == [{"secretRef": {"name": "mothertongue", "optional": True}}]


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for file in DEPLOYMENTS.glob("systemd/*.service"):
        here = file.read_text().replace("User=mothertongue", "User=root").replace("=/opt/mothertongue\n", "=/\n")
        # must exist to be verified
        here = re.sub(r"/opt/mothertongue/\.venv/bin/\w+", sys.executable, here)
        (tmp_path / file.name).write_text(here)
    units = sorted(map(str, tmp_path.glob("*.service")))
    assert len(units) == 2
    ended = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    ours = [line for line in ended.stderr.splitlines() if "mothertongue" in line]
    assert ours == []
