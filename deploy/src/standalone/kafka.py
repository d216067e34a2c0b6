"""Apache Kafka itself: its jars from Maven Central, one KRaft node that is broker and controller."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from standalone.broker import Capabilities, broker_answers
from standalone.errors import MissingTool, StandaloneError, tail
from standalone.maven import fetch_jars, is_there, run
from standalone.ports import HOST
from standalone.process import Child
from standalone.server import ProcessServer, connects, find_tool

KAFKA_VERSION = "4.1.0"
_LOG4J_VERSION = "2.24.3"  # the version Kafka 4.1.0 brings; the slf4j binding must be of the same
_MINIMUM_JAVA = 17  # of Kafka 4 brokers
_FORMAT_TIMEOUT_S = 60.0

_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
"""


class ApacheKafka(ProcessServer):
    """One Kafka node; topics are created by whoever needs them, never by accident.

    Durable: what was acknowledged with `acks=all` is there after `kill -9`. `message_max_bytes` is the
    largest record batch it takes.
    """

    name = "kafka"
    title = f"Apache Kafka {KAFKA_VERSION}"
    port_option = "--kafka-port"
    capabilities = Capabilities(durable=True, idempotent_producer=True, reliable_latest=True)

    def __init__(
        self, data: Path, *, port: int = 0, message_max_bytes: int = 1_048_588, cache: Path | None = None
    ) -> None:
        super().__init__(data, {"kafka": port, "controller": 0})
        self._message_max_bytes = message_max_bytes
        self._cache = cache or cache_folder()

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The bootstrap address."""
        return {"bootstrap": self.bootstrap_servers}

    async def _argv(self) -> Sequence[str]:
        java = await require_java()
        jars = await _fetch(self._cache)
        properties = self.data / "server.properties"
        properties.write_text(self._properties(), encoding="utf-8")
        log4j = self.data / "log4j2.properties"
        log4j.write_text(_LOG4J, encoding="utf-8")
        command = [
            java,
            # enough for tests and a demo; C1 only: half the start-up time, and nobody runs long enough for
            # C2 to pay
            *("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            f"-Dlog4j2.configurationFile={log4j}",
            *("-cp", f"{jars}/*"),
        ]
        if not (self.data / "logs" / "meta.properties").exists():
            await self._format([*command, "kafka.tools.StorageTool"], properties)
        return [*command, "kafka.Kafka", str(properties)]

    async def _format(self, storage_tool: Sequence[str], properties: Path) -> None:
        shutil.rmtree(self.data / "logs", ignore_errors=True)  # what an interrupted format left behind
        cluster = "broadsheet-standalone0"  # 22 characters, as a base64 UUID has
        options = ["--standalone", "-t", cluster, "-c", str(properties)]
        log = self.data / "format.log"
        child = Child("kafka-format", [*storage_tool, "format", *options], log_file=log)
        child.start()
        await child.stop(0) if not await child.wait(_FORMAT_TIMEOUT_S) else None
        if child.returncode != 0:
            raise StandaloneError(f"formatting the Kafka log folder failed, see {log}\n{tail(log)}")

    async def _ready(self) -> bool:
        return await connects(self.ports["kafka"]) and await broker_answers(self.bootstrap_servers)

    def _properties(self) -> str:
        broker, controller = self.ports["kafka"], self.ports["controller"]
        settings: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
            "log.dirs": self.data / "logs",
            "auto.create.topics.enable": "false",
            "message.max.bytes": self._message_max_bytes,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 8,  # the default of 50 costs seconds at the first consumer group
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,  # with one consumer per group there is nobody to wait for
            "log.segment.bytes": 64 * 1024 * 1024,
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())


def cache_folder() -> Path:
    """Where downloaded jars are kept.

    `BROADSHEET_CACHE_DIR`, else `.cache` of the repository this runs from, else the user's cache folder.
    """
    if chosen := os.environ.get("BROADSHEET_CACHE_DIR"):
        return Path(chosen)
    root = Path(__file__).resolve().parents[3]
    if (root / "requirements.lock").is_file():
        return root / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "broadsheet"


async def require_java() -> str:
    """Path of a `java` new enough for Kafka. Raises `MissingTool`."""
    how = f"Apache Kafka needs Java {_MINIMUM_JAVA} (apt-get install openjdk-17-jre-headless)"
    java = find_tool("java", how)
    code, output = await run(java, "-version", timeout_s=20)
    found = re.search(r'version "(\d+)', output)
    if code != 0 or not found or int(found.group(1)) < _MINIMUM_JAVA:
        raise MissingTool(f"{how}; {java} says: {output.strip()[:200]}")
    return java


def missing_for_kafka(cache: Path | None = None) -> str | None:
    """What Apache Kafka lacks on this machine, in words, or None when it can be tried."""
    if shutil.which("java") is None:
        return "no java"
    if shutil.which("mvn") is None and not is_there(_jars(cache or cache_folder())):
        return "no mvn, and its jars are not in the cache"
    return None


async def _fetch(cache: Path) -> Path:
    """Folder with the jars of Kafka (45 MB)."""
    kafka = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
    log = f"org.apache.logging.log4j:log4j-slf4j-impl:{_LOG4J_VERSION}"
    return await fetch_jars(_jars(cache), ApacheKafka.title, kafka, log)


def _jars(cache: Path) -> Path:
    return cache / f"kafka-{KAFKA_VERSION}"
