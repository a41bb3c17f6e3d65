"""`mothertongue deploy`, `prefect deploy`, the pools' and automations' files, on a real server that runs no study."""

import json
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from data.errors import InputError
from flows.config import study_file
from flows.config.form import as_form
from flows.deployment import work_pools
from flows.deployment.deploy import deploy
from flows.deployment.schedule import Schedule
from tests.deployments.places import ANSWER, PREFECT, Place, await_

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = ROOT / "deployments"


def deployed(place: Place, **given: Any) -> None:
    """Deploy the bundled study as the command does, in this process."""
    with temporary_settings({PREFECT_API_URL: place.api}):
        deploy(**{"path": "abacus", "overrides": [], "schedule": Schedule(), **given})


def test_a_study_is_deployed_and_replaced(place: Place) -> None:
    httpx.delete(f"{place.api}/work_pools/process", timeout=ANSWER)  # which a test before may have made
    said = place.mothertongue("deploy", "abacus", "--cron", "0 3 * * 1", "--timezone", "Europe/Berlin").stdout
    assert "Deployed study/abacus: runs by cron 0 3 * * 1 (Europe/Berlin)." in said
    assert "process (made just now)" in said
    assert "mothertongue worker --pool process" in said
    first = place.deployment("abacus")
    assert f"/deployments/deployment/{first['id']}" in said
    assert first["parameters"] == {"study": as_form(study_file.read("abacus"))}
    assert first["enforce_parameter_schema"] is True
    assert first["entrypoint"] == "flows.study.study_flow"
    assert first["work_pool_name"] == "process"
    assert first["job_variables"]["working_dir"] == str(place.folder)
    (schedule,) = first["schedules"]
    assert schedule["schedule"]["cron"] == "0 3 * * 1"
    assert schedule["schedule"]["timezone"] == "Europe/Berlin"
    place.mothertongue("deploy", "abacus", "--interval", "12h", "--set", "seeds=[7]")
    second = place.deployment("abacus")
    assert second["id"] == first["id"]
    assert second["parameters"]["study"]["seeds"] == [7]
    assert [each["schedule"]["interval"] for each in second["schedules"]] == [12 * 3600]
    place.mothertongue("deploy", "abacus")
    assert place.deployment("abacus")["schedules"] == []


def test_a_schedule_makes_the_runs_to_come(place: Place) -> None:
    deployed(place, name="weekly", schedule=Schedule(cron="0 3 * * 1"))
    await_(lambda: place.runs("weekly"), "no run was scheduled")
    assert all(run["auto_scheduled"] and run["state"]["type"] == "SCHEDULED" for run in place.runs("weekly"))


def test_runs_that_a_replaced_schedule_had_left_are_removed(place: Place) -> None:
    deployed(place, name="often", schedule=Schedule(interval="1h"))  # none comes due meanwhile
    id = place.deployment("often")["id"]
    await_(lambda: len(place.runs("often")) >= 3, "no run was scheduled")
    by_hand = place.start("often")
    for run in place.runs("often"):
        if run["auto_scheduled"]:  # as a worker finds them that was away for an hour
            state = {"type": "SCHEDULED", "name": "Late", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}}
            place.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    left = [run for run in place.runs("often") if run["auto_scheduled"] and run["state"]["name"] == "Late"]
    assert len(left) >= 3
    said = place.mothertongue("deploy", "abacus", "--name", "often", "--cron", "0 3 * * 1").stdout
    assert place.deployment("often")["id"] == id
    assert not {run["id"] for run in left} & {run["id"] for run in place.runs("often")}
    assert by_hand in [run["id"] for run in place.runs("often")]
    assert f"removed {len(left)} runs that the schedule before had left" in said


def test_variables_stay_as_they_are_and_own_studies_name_their_folder(place: Place) -> None:
    said = place.mothertongue("deploy", "gsm8k-imported", "--name", "gsm8k here").stdout
    assert "GSM8K in the worker's environment" in said
    assert place.deployment("gsm8k here")["parameters"]["study"]["benchmarks"][0]["path"] == "${GSM8K}"
    own = place.folder / "own"
    own.mkdir()
    given = {**study_file.read("abacus"), "name": "own"}
    (own / "own.yaml").write_text(yaml.safe_dump(given))
    place.mothertongue("deploy", "own/own.yaml")
    assert place.deployment("own")["parameters"]["folder"] == str(own)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": "nowhere"}, "nowhere: no such study file. Allowed: a path to a YAML file, or a bundled study"),
        ({"overrides": ["sedes=[1]"]}, "abacus: sedes: unknown key; allowed: "),
        ({"overrides": ["train=[abacus/leger]"]}, "no benchmark is called 'abacus/leger' (did you mean"),
        ({"overrides": ["notes=sk-proj-abcdefghij0123456789"]}, "notes: this looks like a key"),
        ({"schedule": Schedule(cron="now")}, "--cron 'now': allowed are five fields"),
        ({"schedule": Schedule(cron="61 * * * *")}, "--cron '61 * * * *': allowed are five fields"),
        ({"schedule": Schedule(interval="soon")}, "--interval 'soon': allowed are seconds, or a number with s, m, h"),
        ({"schedule": Schedule(interval="0")}, "--interval '0': allowed are seconds"),
        (
            {"schedule": Schedule(interval="59")},
            "--interval '59': allowed are seconds, or a number with s, m, h, d or w",
        ),
        ({"schedule": Schedule(cron="* * * * *", interval="5")}, "--cron and --interval: allowed is one of them"),
        ({"schedule": Schedule(interval="5", timezone="Mars")}, "--timezone Mars: no such time zone"),
        ({"schedule": Schedule(timezone="UTC")}, "--timezone: it goes with --cron or --interval"),
        ({"pool": "prozess"}, "no work pool is called 'prozess' (did you mean process?). Allowed: "),
        ({"name": "a/b"}, "--name a/b: allowed are up to 200 characters on one line, but not"),
    ],
)
def test_a_wrong_argument_gets_one_line(place: Place, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        deployed(place, **given)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "sk-proj" not in str(refused.value)


def test_no_server_and_a_silent_server_get_one_line(tmp_path: Path) -> None:
    from tests.flows.test_study import environment

    alone = Place(tmp_path, 9, {**environment(tmp_path)})
    ended = alone.mothertongue("deploy", "abacus", check=False)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "PREFECT_API_URL is not set: a deployment lives on a server" in ended.stderr
    alone.environment["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    ended = alone.mothertongue("deploy", "abacus", check=False)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "PREFECT_API_URL=http://127.0.0.1:9/api: no server answers" in ended.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": ["one"]}, "Validation failed for field 'study.seeds[0]'. Failure reason: 'one' is not of type"),
        ({"sedes": [1]}, "Additional properties are not allowed ('sedes' was unexpected)"),
        ({"train": ["abacus/leger"]}, "'abacus/leger' is not one of"),
    ],
)
def test_the_server_refuses_a_run_with_wrong_values(place: Place, changes: dict[str, Any], said: str) -> None:
    deployed(place, name="checked")
    study = {**place.deployment("checked")["parameters"]["study"], **changes}
    with pytest.raises(httpx.HTTPStatusError) as refused:
        place.start("checked", parameters={"study": study})
    assert refused.value.response.status_code == 409
    assert said in refused.value.response.json()["detail"]
    assert place.runs("checked") == []


@pytest.mark.slow
def test_every_bundled_study_is_deployed_from_its_file(place: Place) -> None:
    deployed(place)  # makes the pool
    here = shlex.join([*PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"])
    ended = place.run("bash", "-c", f"cd {ROOT} && {here}")
    for file in study_file.STUDIES.glob("*.yaml"):
        given = study_file.read(file.stem)
        found = place.deployment(file.stem)
        assert found["parameters"] == {"study": as_form(given)}, ended.stdout
        assert found["description"].strip() == given["about"].strip()
        assert found["enforce_parameter_schema"] is True
        assert found["pull_steps"] == [
            {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}},
        ]
        assert found["parameter_openapi_schema"]["definitions"]["Study"]["additionalProperties"] is False


def test_a_pool_is_made_by_hand_from_its_file(place: Place) -> None:
    file = str(DEPLOYMENTS / "pools" / "docker.json")
    place.prefect("work-pool", "create", "docker by hand", "--type", "docker", "--base-job-template", file)
    pool = httpx.get(f"{place.api}/work_pools/docker by hand", timeout=ANSWER).json()
    assert pool["base_job_template"] == json.loads(Path(file).read_text())


@pytest.mark.parametrize("name", work_pools.ours())
def test_each_pool_is_made_from_its_file(place: Place, name: str) -> None:
    type = work_pools.TYPES.get(name, name)
    file = str(DEPLOYMENTS / "pools" / f"{name}.json")
    deployed(place, pool=name, name=f"abacus on {name}")
    pool = httpx.get(f"{place.api}/work_pools/{name}", timeout=ANSWER).json()
    assert pool["type"] == type
    assert pool["base_job_template"] == json.loads(Path(file).read_text())
    assert place.deployment(f"abacus on {name}")["work_pool_name"] == name


@pytest.mark.parametrize("file", sorted(DEPLOYMENTS.glob("automations/*.yaml")), ids=lambda file: file.stem)
def test_each_automation_is_made_from_its_file(place: Place, file: Path) -> None:
    place.prefect("automation", "create", "--from-file", str(file))
    names = [each["name"] for each in place.post("/automations/filter")]
    assert yaml.safe_load(file.read_text())["name"] in names


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30m", 1800), ("12h", 43200), ("1.5 d", 129600)])
def test_an_interval_has_a_unit(text: str, seconds: int) -> None:
    assert Schedule(interval=text).every.total_seconds() == seconds
