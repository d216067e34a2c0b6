"""Two replicas of the whole service on real servers: what is changed over REST is in the trail, once."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from cryptography.fernet import Fernet

from runtime.settings import RuntimeSettings
from runtime.topics import apply
from standalone.broker import BrokerServer
from standalone.mongo import Mongo
from standalone.ports import free_port
from standalone.s3 import SeaweedFS
from support.servers import unique

pytestmark = pytest.mark.integration

EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"


@pytest.fixture
async def environment(
    broker_server: BrokerServer, mongo_server: Mongo, object_store_server: SeaweedFS
) -> dict[str, str]:
    bucket = unique("bucket")
    await object_store_server.create_bucket(bucket)
    await apply(
        RuntimeSettings(kafka_bootstrap=broker_server.bootstrap_servers), replication=1, change_config=False
    )
    return {
        "PATH": os.environ["PATH"],
        "BROADSHEET_KAFKA_BOOTSTRAP": broker_server.bootstrap_servers,
        "BROADSHEET_KAFKA_IDEMPOTENT": str(broker_server.capabilities.idempotent_producer),
        "BROADSHEET_MONGO_URI": mongo_server.uri,
        "BROADSHEET_MONGO_DATABASE": unique("db"),
        "BROADSHEET_S3_ENDPOINT": object_store_server.endpoint,
        "BROADSHEET_S3_ACCESS_KEY": object_store_server.access_key,
        "BROADSHEET_S3_SECRET_KEY": object_store_server.secret_key,
        "BROADSHEET_S3_BUCKET": bucket,
        "BROADSHEET_SECRET_KEY": Fernet.generate_key().decode(),
        "BROADSHEET_COOKIE_SECURE": "false",
        "BROADSHEET_BOOTSTRAP_ADMIN_EMAIL": EMAIL,
        "BROADSHEET_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
    }


async def _run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "config_api", *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode()


async def _until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 90) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _replica(environment: dict[str, str]) -> AsyncIterator[str]:
    port, health = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "config_api",
        env=environment
        | {
            "BROADSHEET_HTTP_PORT": str(port),
            "BROADSHEET_HEALTH_PORT": str(health),
            "BROADSHEET_LOG_LEVEL": "warning",
        },
    )

    # One client, as each reads all certificates of the machine when it is made.
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{health}", trust_env=False) as client:

        async def ready() -> bool:
            assert process.returncode is None, "the service ended"
            try:
                return (await client.get("/ready")).status_code == 200
            except httpx.TransportError:
                return False

        try:
            await _until(ready, "never ready")
            yield f"http://127.0.0.1:{port}"
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def _together(
    *contexts: AbstractAsyncContextManager[str],
) -> AsyncIterator[tuple[str, ...]]:
    """Enter contexts side by side, and leave them so: replicas of a deployment start together, too."""
    entered = await asyncio.gather(*(each.__aenter__() for each in contexts), return_exceptions=True)
    try:
        yield tuple(each if isinstance(each, str) else _raised(each) for each in entered)
    finally:
        inside = [each for each, found in zip(contexts, entered, strict=True) if isinstance(found, str)]
        await asyncio.gather(*(each.__aexit__(None, None, None) for each in inside))


def _raised(error: BaseException) -> str:
    raise error


@pytest.mark.timeout(400)
async def test_changes_made_at_either_replica_are_in_one_intact_trail(environment: dict[str, str]) -> None:
    async with _together(_replica(environment), _replica(environment)) as (first, second):
        status, key = await _run(
            environment, "create-api-key", "--email", EMAIL, "--name", "t", "--role", "admin"
        )
        assert status == 0
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key.strip()}"}, timeout=30
        ) as client:
            for number in range(20):
                base = (first, second)[number % 2]
                body = {"id": f"p{number}", "name": "P"}
                assert (await client.post(f"{base}/api/v1/recipients", json=body)).status_code == 201

            async def recorded() -> bool:
                params = {"type": "configuration-changed", "limit": "1000"}
                items = (await client.get(f"{second}/api/v1/audit", params=params)).json()["items"]
                mine = [item["data"]["entity_id"] for item in items if item["data"]["entity"] == "recipient"]
                return sorted(mine) == sorted(f"p{number}" for number in range(20))

            await _until(recorded, "the changes are not all in the trail, each once")
            assert (await client.get(f"{first}/api/v1/audit/verify")).json()["intact"]
    verified, queried, rebuilt = await asyncio.gather(
        _run(environment, "audit", "verify"),
        _run(environment, "audit", "query", "--recipient", "p7"),
        _run(environment, "rebuild"),
    )
    assert verified[0] == 0
    assert json.loads(verified[1])["intact"]
    assert [json.loads(line)["data"]["action"] for line in queried[1].splitlines()] == ["created"]
    assert rebuilt[0] == 0, rebuilt[1]
