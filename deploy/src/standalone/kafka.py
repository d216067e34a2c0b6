"""Apache Kafka itself: its jars from Maven Central, one KRaft node that is broker and controller."""

import asyncio
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from standalone.broker import Capabilities, broker_answers
from standalone.errors import MissingTool, StandaloneError, tail
from standalone.ports import HOST
from standalone.process import Child
from standalone.server import ProcessServer, connects, find_tool

KAFKA_VERSION = "4.1.0"
_LOG4J_VERSION = "2.24.3"  # the version Kafka 4.1.0 brings; the slf4j binding must be of the same
_MINIMUM_JAVA = 17  # of Kafka 4 brokers
_MAVEN_TIMEOUT_S = 300.0
_FORMAT_TIMEOUT_S = 60.0

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>broadsheet</groupId>
  <artifactId>kafka-runtime</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{kafka}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{log4j}</version>
    </dependency>
  </dependencies>
</project>
"""

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
        jars = await fetch_jars(self._cache)
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
    if shutil.which("mvn") is None and not _there(_jars(cache or cache_folder())):
        return "no mvn, and its jars are not in the cache"
    return None


async def fetch_jars(cache: Path) -> Path:
    """Folder with the jars of Kafka, downloaded with Maven the first time (45 MB).

    Safe to be called by several processes at once: one downloads, the others wait. Raises `MissingTool` when
    there is no Maven, `StandaloneError` when the download fails.
    """
    jars = _jars(cache)
    lock = await asyncio.to_thread(_locked, cache / "kafka.lock")
    try:
        if not _there(jars):
            await _download(jars)
    finally:
        os.close(lock)
    return jars


def _locked(path: Path) -> int:
    """Descriptor of a file this process alone holds; close it to let go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _there(jars: Path) -> bool:
    return jars.is_dir()  # the folder is renamed into place, so it is never half full


def _jars(cache: Path) -> Path:
    return cache / f"kafka-{KAFKA_VERSION}"


async def _download(jars: Path) -> None:
    mvn = find_tool("mvn", "Apache Kafka's jars come through Maven (apt-get install maven)")
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="kafka-download-") as folder:
        pom = Path(folder) / "pom.xml"
        pom.write_text(_POM.format(kafka=KAFKA_VERSION, log4j=_LOG4J_VERSION), encoding="utf-8")
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars")
        code, output = await run(mvn, "-q", "-B", "-f", str(pom), *goal, timeout_s=_MAVEN_TIMEOUT_S)
        if code != 0:
            raise StandaloneError(
                f"downloading Kafka {KAFKA_VERSION} failed (is Maven Central reachable?):\n{output[-2000:]}"
            )
        (Path(folder) / "jars").rename(jars)


async def run(*argv: str, timeout_s: float) -> tuple[int, str]:
    """Exit code and output (stdout and stderr together) of a program, killed after `timeout_s` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        child = Child(argv[0], argv, log_file=Path(folder) / "out")
        child.start()
        try:
            if not await child.wait(timeout_s):
                return 124, f"no end after {timeout_s:.0f} s"
            return child.returncode or 0, child.log_file.read_text(encoding="utf-8", errors="replace")
        finally:
            await child.kill()
