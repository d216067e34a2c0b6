"""Kafka in a container, for where Docker runs; needs the test dependency `testcontainers`."""

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from standalone.broker import Capabilities, broker_answers
from standalone.errors import MissingTool, StandaloneError

IMAGE = "confluentinc/cp-kafka:7.6.0"


class ContainerKafka:
    """Apache Kafka through testcontainers. Each start is a new container, so nothing survives a restart."""

    name = "kafka"
    title = "Kafka in a container (testcontainers)"
    capabilities = Capabilities(durable=False, idempotent_producer=True, reliable_latest=True)

    def __init__(self, data: Path) -> None:
        self._data = data
        self._container: Any = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients; the port is Docker's choice, so it is known after the start only."""
        if self._container is None:
            raise StandaloneError("the Kafka container has not been started: its port is not known yet")
        return str(self._container.get_bootstrap_server())

    @property
    def addresses(self) -> Mapping[str, str]:
        """The bootstrap address, once it runs."""
        return {"bootstrap": self.bootstrap_servers} if self._container else {}

    @property
    def log_file(self) -> Path:
        """Where the container's output is written when it ends."""
        return self._data / "server.log"

    @property
    def pid(self) -> int | None:
        """None: the process is Docker's."""
        return None

    @property
    def alive(self) -> bool:
        """Whether the container was started and not ended by us."""
        return self._container is not None

    @property
    def returncode(self) -> int | None:
        """None: Docker knows."""
        return None

    async def start(self) -> None:
        """See `Server.start`."""
        if self._container:
            return
        try:
            module = importlib.import_module("testcontainers.kafka")
        except ImportError as error:
            raise MissingTool("the container broker needs: pip install 'testcontainers[kafka]'") from error
        container = module.KafkaContainer(IMAGE).with_kraft()
        container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
        await asyncio.to_thread(container.start)
        self._container = container
        if not await broker_answers(self.bootstrap_servers):
            await self.stop()
            raise StandaloneError("the Kafka container started but does not answer a metadata request")

    async def stop(self) -> None:
        """See `Server.stop`."""
        if self._container:
            out, err = await asyncio.to_thread(self._container.get_logs)
            self._data.mkdir(parents=True, exist_ok=True)
            self.log_file.write_bytes(out + err)
            await asyncio.to_thread(self._container.stop)
            self._container = None

    async def kill(self) -> None:
        """See `Server.kill`."""
        if self._container:
            await asyncio.to_thread(self._container.get_wrapped_container().kill)
            await self.stop()


def docker_trouble(*, pull: bool = True) -> str | None:
    """Why containers cannot be started here, in words, or None when the Docker daemon answers.

    Without `pull`, the image has to be there already: a machine may have a daemon and no registry of images.
    """
    try:
        docker = importlib.import_module("docker")
    except ImportError:
        return "the package docker is not installed"
    try:
        client = docker.from_env(timeout=5)
        client.ping()
        if not pull:
            client.images.get(IMAGE)
        client.close()
    except docker.errors.ImageNotFound:
        return f"Docker does not have the image {IMAGE}"
    except docker.errors.DockerException as error:
        return f"the Docker daemon does not answer ({type(error).__name__})"
    return None
