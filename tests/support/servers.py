"""Fixtures with real servers: each starts at most once per test run, when a test first asks for it.

Isolation between tests is by names: `unique("topic")` never gives the same name twice, in any run. A test
that kills its server makes one of its own (`ApacheKafka(tmp_path)`, `Mongo(tmp_path)`) instead of taking
these.

What ran is printed at the end of the run, never silent; `BROADSHEET_TEST_BROKER` chooses the broker
(auto, apache-kafka, embedded, testcontainers).
"""

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from standalone.broker import BrokerServer
from standalone.choose import choose_broker, preference_from_environment
from standalone.collector_server import Collector
from standalone.mail import MailInbox
from standalone.mongo import Mongo
from standalone.s3 import SeaweedFS
from standalone.server import Server

_STARTED = pytest.StashKey[list[str]]()
_S = TypeVar("_S", bound=Server)

# what the largest event of the catalogue may need with room to spare; production sets the same on its topics
_MESSAGE_MAX_BYTES = 2 * 1024 * 1024


def unique(prefix: str) -> str:
    """A name nobody else has; letters, digits and dashes: good for a topic, group, database or bucket."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@asynccontextmanager
async def running(server: _S) -> AsyncIterator[_S]:
    """The server, started; stopped at the end whatever happened in between."""
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


def note(config: pytest.Config, line: str) -> None:
    """Print a line about what the tests ran against when they are over."""
    config.stash.setdefault(_STARTED, []).append(line)


@pytest.fixture(scope="session")
async def broker_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BrokerServer]:
    """A broker: `.bootstrap_servers`, `.capabilities`. Topics are not created by use."""
    choice = choose_broker(
        tmp_path_factory.mktemp("kafka"),
        prefer=preference_from_environment(),
        message_max_bytes=_MESSAGE_MAX_BYTES,
    )
    note(request.config, f"broker: {choice}")
    async with running(choice.server) as server:
        yield server


@pytest.fixture(scope="session")
async def mongo_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mongo]:
    """MongoDB as a replica set of one: `.uri`. Use a database named with `unique`."""
    note(request.config, f"store: {Mongo.title}")
    async with running(Mongo(tmp_path_factory.mktemp("mongo"))) as server:
        yield server


@pytest.fixture(scope="session")
async def object_store_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SeaweedFS]:
    """An S3 server: `.endpoint`, `.access_key`, `.secret_key`, `.client()`, `await .create_bucket(name)`."""
    note(request.config, f"objects: {SeaweedFS.title}")
    async with running(SeaweedFS(tmp_path_factory.mktemp("s3"))) as server:
        yield server


@pytest.fixture(scope="session")
async def smtp_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[MailInbox]:
    """A mail server that keeps what it gets: `.host`, `.port`, `.api_url` (`/api/messages`, `/api/faults`).

    Faults hold for everybody: a test that sets some deletes them, or makes a `MailInbox(tmp_path)` of its
    own.
    """
    note(request.config, f"mail: {MailInbox.title}")
    async with running(MailInbox(tmp_path_factory.mktemp("inbox"))) as server:
        yield server


@pytest.fixture(scope="session")
async def collector_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Collector]:
    """A receiver of traces: `.url` is the OTLP endpoint, `/api/traces/{trace_id}` what it got."""
    note(request.config, f"traces: {Collector.title}")
    async with running(Collector(tmp_path_factory.mktemp("collector"))) as server:
        yield server


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this worker started to the process that prints the summary."""
    output: dict[str, list[str]] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["servers"] = session.config.stash.get(_STARTED, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker started, where tests are spread over several processes."""
    known = node.config.stash.setdefault(_STARTED, [])
    # A worker that crashed hands over nothing.
    known += [line for line in getattr(node, "workeroutput", {}).get("servers", []) if line not in known]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which servers the tests ran against, and what was not checked and why."""
    lines = config.stash.get(_STARTED, [])
    if lines:
        terminalreporter.section("servers")
        for line in lines:
            terminalreporter.line(line)
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("not checked")
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{count} x {reason}")


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
