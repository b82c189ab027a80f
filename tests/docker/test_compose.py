"""compose.yaml against the Compose specification's schema, and against what this project promises of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.experiment import load_experiment
from orchestrator.storage_address import check_storage

DOCKER = Path(__file__).parents[2] / "docker"
FILES = ("compose.yaml", "compose.gpu.yaml")
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def settings() -> dict[str, str]:
    """The variables of .env.example with their values."""
    lines = (DOCKER / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose() -> dict[str, Any]:
    """compose.yaml as it is with the settings' own values."""
    text = VARIABLE.sub(lambda found: settings().get(found[1], "") or found[2] or "", (DOCKER / FILES[0]).read_text())
    content: dict[str, Any] = yaml.safe_load(text)
    return content


SERVICES: dict[str, Any] = compose()["services"]


@pytest.mark.parametrize("file", FILES)
def test_the_schema_holds(file: str) -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    if not check.exists():
        pytest.skip("check-jsonschema is not installed; the extra `test` has it")
    command = [check, "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*command, DOCKER / file], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schema_notices_a_wrong_key(tmp_path: Path) -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    if not check.exists():
        pytest.skip("check-jsonschema is not installed; the extra `test` has it")
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DOCKER / FILES[0]).read_text().replace("stop_grace_period", "stop_grace_perod"))
    command = [check, "--builtin-schema", "vendor.compose-spec", wrong]
    assert subprocess.run(command, capture_output=True).returncode == 1


def test_compose_itself_reads_it() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no `docker compose` here")
    secrets = {"IGCV_RAY_TOKEN": "t", "IGCV_POSTGRES_PASSWORD": "p", "PATH": "/usr/bin:/usr/local/bin"}
    for files in (FILES[:1], FILES):
        command = [docker, "compose", *(part for file in files for part in ("--file", file)), "config", "--quiet"]
        result = subprocess.run(command, cwd=DOCKER, env=secrets, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


def test_every_setting_is_told_with_its_default() -> None:
    used = {name: default for file in FILES for name, default in VARIABLE.findall((DOCKER / file).read_text())}
    secrets = {secret["environment"] for secret in compose()["secrets"].values()}
    assert {*used, *secrets} == set(settings())
    assert {name: settings()[name] for name in used} == used
    assert not any(settings()[name] for name in secrets), "a secret has a value in .env.example"


def test_ports_are_published_on_loopback_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_has_a_health_check_and_waits_for_healthy_ones() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert all(how == {"condition": "service_healthy"} for how in service.get("depends_on", {}).values()), name


def test_services_run_scripts_that_are_there() -> None:
    ran = [
        word for service in SERVICES.values() for word in (*service.get("command", []), *service["healthcheck"]["test"])
    ]
    scripts = {word for word in ran if word.startswith("/")}
    assert len(scripts) == 5
    for script in scripts:
        assert script.startswith("/opt/entrypoints/")
        assert (DOCKER / "entrypoints" / Path(script).name).is_file(), script


def test_variables_are_those_that_the_scripts_read() -> None:
    for name, service in SERVICES.items():
        if name == "postgres":
            continue
        script = DOCKER / "entrypoints" / Path(service["command"][0]).name
        known = "".join(path.read_text() for path in (script, script.with_name("common"), script.with_name("search")))
        for variable in service.get("environment", {}):
            assert variable in known, f"{name}: {variable}"


def test_secrets_are_files_and_stand_nowhere_else() -> None:
    content = compose()
    assert set(content["secrets"]) == {"ray_token", "postgres_password"}
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN", variable):
                assert str(value).removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}"
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), f"{name}: {variable}"


def test_nodes_of_the_cluster_ask_for_the_token_and_share_what_the_search_needs() -> None:
    for name in ("head", "worker"):
        assert SERVICES[name]["environment"]["RAY_AUTH_MODE"] == "token"
        assert "ray_token" in SERVICES[name]["secrets"]
    mounted = {name: {volume.split(":")[0] for volume in SERVICES[name]["volumes"]} for name in ("head", "worker")}
    assert mounted["head"] == mounted["worker"] >= {"runs", "checkpoints"}
    named = {
        volume
        for service in SERVICES.values()
        for text in service["volumes"]
        if (volume := text.split(":")[0]).isalpha()
    }
    assert named == set(compose()["volumes"])


def test_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":\d+\.\d+", service["image"]), name


def test_the_example_keeps_its_study_where_the_cluster_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    head = SERVICES["head"]["environment"]
    monkeypatch.setenv("IGCV_STORAGE", head["IGCV_STORAGE"])
    experiment = load_experiment(DOCKER / "digits.yaml")
    assert (experiment.output, experiment.checkpoints) == (head["IGCV_RUNS"], head["IGCV_CHECKPOINTS"])
    assert (experiment.tracking, check_storage(experiment.storage)) == (head["IGCV_TRACKING"], head["IGCV_STORAGE"])
    mounted = {volume.split(":")[1] for volume in SERVICES["worker"]["volumes"]}
    assert {experiment.output, experiment.checkpoints} <= mounted
