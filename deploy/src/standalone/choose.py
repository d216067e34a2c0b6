"""Which broker runs here. The answer always comes with its reason, and whoever asks prints both."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from standalone.broker import BrokerServer
from standalone.containers import ContainerKafka, docker_trouble
from standalone.errors import MissingTool
from standalone.kafka import ApacheKafka, missing_for_kafka
from standalone.tansu import Tansu

Preference = Literal["auto", "apache-kafka", "embedded", "testcontainers"]
PREFERENCES: tuple[Preference, ...] = ("auto", "apache-kafka", "embedded", "testcontainers")
TEST_BROKER = "BROADSHEET_TEST_BROKER"


@dataclass(frozen=True)
class Choice:
    """A broker, not started, and why it was this one."""

    server: BrokerServer
    why: str

    def __str__(self) -> str:
        return f"{self.server.title} ({self.why})"


def choose_broker(
    data: Path, *, prefer: Preference = "auto", port: int = 0, message_max_bytes: int = 1_048_588
) -> Choice:
    """`auto` is Apache Kafka where Java and Maven are, else a container whose image is there, else embedded.

    Asking for one by name gives that one or raises `MissingTool`: a test run that was meant for Kafka must
    not pass on something else.
    """
    match prefer:
        case "testcontainers":
            if trouble := docker_trouble():
                raise MissingTool(f"containers were asked for, but {trouble}")
            return Choice(ContainerKafka(data), "asked for")
        case "embedded":
            return Choice(Tansu(data, port=port), "asked for")
        case "apache-kafka" | "auto":
            missing = missing_for_kafka()
            if missing is None:
                why = "asked for" if prefer == "apache-kafka" else "java is here, and mvn or the jars"
                return Choice(ApacheKafka(data, port=port, message_max_bytes=message_max_bytes), why)
            if prefer == "apache-kafka":
                raise MissingTool(f"Apache Kafka was asked for, but there is {missing}")
            trouble = docker_trouble(pull=False)
            if trouble is None:
                return Choice(ContainerKafka(data), f"for Apache Kafka from Maven there is {missing}")
            return Choice(Tansu(data, port=port), f"for Apache Kafka there is {missing}, and {trouble}")


def preference_from_environment() -> Preference:
    """What `BROADSHEET_TEST_BROKER` says, else `auto`. Raises `ValueError` for anything unknown."""
    wanted = os.environ.get(TEST_BROKER, "auto")
    for known in PREFERENCES:
        if wanted == known:
            return known
    raise ValueError(f"{TEST_BROKER}={wanted} is unknown; use one of {', '.join(PREFERENCES)}")
