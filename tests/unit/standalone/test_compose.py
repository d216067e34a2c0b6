"""docker-compose.yml, read as text: what can be held without starting it."""

import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
OUR_SERVICES = {
    "scheduler": ["python", "-m", "scheduler"],
    "qlik-listener": ["python", "-m", "scheduler", "listener"],
    "generator": ["python", "-m", "generator"],
    "distributor": ["python", "-m", "distributor"],
    "notifier": ["python", "-m", "notifier"],
    "config-api": ["python", "-m", "config_api"],
    "topics": ["python", "-m", "runtime.topics", "apply"],
    "qlik-simulator": ["python", "-m", "qlik_simulator", "--host", "0.0.0.0"],
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document


@pytest.fixture(scope="module")
def environment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([ROOT / "deploy" / "compose-env.sh", path], check=True, capture_output=True)
    return path


def values(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def dockerfile(service: dict[str, Any]) -> str:
    path: str = service["build"]["dockerfile"]
    return (ROOT / path).read_text()


@pytest.mark.parametrize("name", OUR_SERVICES)
def test_each_service_is_built_here_and_runs_its_command(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    text = dockerfile(service)
    command = service.get("command") or yaml.safe_load(re.findall(r"^CMD (\[.*)$", text, re.MULTILINE)[-1])
    assert command == OUR_SERVICES[name]


def test_images_run_without_root_with_locked_versions_and_a_health_check() -> None:
    files = [*ROOT.glob("services/*/Dockerfile"), ROOT / "deploy" / "Dockerfile"]
    assert len(files) == 6
    for path in files:
        text = path.read_text()
        last_stage = text[text.rindex("\nFROM ") :]
        assert re.search(r"^USER 10001$", last_stage, re.MULTILINE), path
        assert "HEALTHCHECK" in last_stage, path
        assert "/ready" not in last_stage, f"{path}: an outage of a server must not mark containers unhealthy"
        assert "-c requirements.lock" in text, path
        for copied in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
            assert (ROOT / copied).exists(), f"{path} copies {copied}"


def test_whatever_is_waited_for_exists(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in services, f"{name} waits for {needed}"
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for the health of {needed}"


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_password_is_written_down_and_none_is_optional() -> None:
    text = COMPOSE.read_text()
    for line in text.splitlines():
        if re.search(r"(PASSWORD|SECRET|_KEY|KEYFILE)\w*: ", line):
            assert "${" in line, line
    assert set(re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", text)) == {
        (name, ":?run deploy/compose-env.sh") for name in re.findall(r"(?<!\$)\$\{(\w+)", text)
    }


def test_the_script_gives_every_variable_a_random_value_once(environment_file: Path) -> None:
    written = values(environment_file)
    assert set(written) == set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE.read_text()))
    assert stat.S_IMODE(environment_file.stat().st_mode) == 0o600
    Fernet(written["SECRET_KEY"])
    secrets = [value for name, value in written.items() if name != "ADMIN_EMAIL"]
    assert len(set(secrets)) == len(secrets)
    assert all(len(value) >= 32 for value in secrets)
    again = subprocess.run(
        [ROOT / "deploy" / "compose-env.sh", environment_file], check=False, capture_output=True, text=True
    )
    assert again.returncode == 1
    assert "left alone" in again.stderr
    assert values(environment_file) == written


def test_services_read_the_variables_they_are_given(compose: dict[str, Any]) -> None:
    """A misspelt variable would be ignored in silence."""
    source = "\n".join(
        path.read_text()
        for folder in ("shared/src/runtime", "services")
        for path in (ROOT / folder).rglob("*.py")
    )
    for service in OUR_SERVICES:
        for variable in compose["services"][service].get("environment", {}):
            field = variable.removeprefix("BROADSHEET_").lower()
            assert re.search(rf"\b{field}: ", source), f"{service}: nobody reads {variable}"


def test_the_traces_have_somewhere_to_go() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "otel" / "collector.yaml").read_text())
    pipeline = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) <= set(config[kind])
    assert config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")


def no_compose_plugin() -> bool:
    docker = shutil.which("docker")
    return docker is None or bool(
        subprocess.call([docker, "compose", "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )


@pytest.mark.skipif(no_compose_plugin(), reason="the docker compose plugin is not installed")
def test_docker_compose_accepts_the_file(environment_file: Path) -> None:
    subprocess.run(
        ["docker", "compose", "-f", COMPOSE, "--env-file", environment_file, "config", "--quiet"], check=True
    )
