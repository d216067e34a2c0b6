"""Which broker runs follows from what is there and what was asked for, never silently."""

from pathlib import Path

import pytest

from standalone import choose
from standalone.choose import choose_broker, preference_from_environment
from standalone.containers import ContainerKafka
from standalone.errors import MissingTool
from standalone.kafka import ApacheKafka
from standalone.tansu import Tansu


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "missing_for_kafka", lambda: "no java")


@pytest.fixture
def with_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "missing_for_kafka", lambda: None)


def test_auto_is_apache_kafka_where_it_can_run(tmp_path: Path, with_java: None) -> None:
    choice = choose_broker(tmp_path)
    assert isinstance(choice.server, ApacheKafka)
    assert "Apache Kafka 4.1.0" in str(choice)


def test_auto_is_a_container_where_docker_has_its_image(
    tmp_path: Path, no_java: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "docker_trouble", lambda **_: None)

    assert isinstance(choose_broker(tmp_path).server, ContainerKafka)


def test_auto_is_the_embedded_broker_elsewhere_and_says_why(
    tmp_path: Path, no_java: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "docker_trouble", lambda **_: "no docker")
    choice = choose_broker(tmp_path)
    assert isinstance(choice.server, Tansu)
    assert "no java" in str(choice)
    assert "no docker" in str(choice)
    assert not choice.server.capabilities.idempotent_producer


def test_kafka_asked_for_by_name_is_never_replaced(tmp_path: Path, no_java: None) -> None:
    with pytest.raises(MissingTool, match="no java"):
        choose_broker(tmp_path, prefer="apache-kafka")


def test_the_embedded_broker_can_be_asked_for(tmp_path: Path, with_java: None) -> None:
    assert isinstance(choose_broker(tmp_path, prefer="embedded").server, Tansu)


def test_containers_without_docker_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "docker_trouble", lambda: "the Docker daemon does not answer")
    with pytest.raises(MissingTool, match="daemon does not answer"):
        choose_broker(tmp_path, prefer="testcontainers")


def test_an_unknown_preference_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADSHEET_TEST_BROKER", "rabbit")
    with pytest.raises(ValueError, match="apache-kafka, embedded, testcontainers"):
        preference_from_environment()
    monkeypatch.delenv("BROADSHEET_TEST_BROKER")
    assert preference_from_environment() == "auto"
