"""config-api shows what it has while Kafka and the object store are unavailable."""

import asyncio
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from config_api.app import build
from config_api.settings import ConfigApiSettings
from runtime import topics
from runtime.service import Service
from runtime.settings import RuntimeSettings
from standalone.mongo import Mongo
from standalone.ports import free_port
from standalone.tansu import Tansu
from support.servers import running, unique
from support.waiting import until

pytestmark = pytest.mark.integration


async def test_it_starts_and_stays_ready_without_kafka_and_connects_once_kafka_is_there(
    mongo_server: Mongo, tmp_path: Path
) -> None:
    kafka, http, health = free_port(), free_port(), free_port()
    settings = ConfigApiSettings.model_validate(
        {
            "mongo_uri": mongo_server.uri,
            "mongo_database": unique("readiness"),
            "kafka_bootstrap": f"127.0.0.1:{kafka}",
            "kafka_idempotent": False,
            "s3_endpoint": f"http://127.0.0.1:{free_port()}",
            "s3_access_key": "k",
            "s3_secret_key": "s",
            "http_port": http,
            "health_port": health,
            "secret_key": Fernet.generate_key().decode(),
        }
    )
    service = Service("config-api", settings)
    work = asyncio.create_task(service.run(build(settings)))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as web:

        async def ready() -> str | None:
            try:
                answer = await web.get(f"http://127.0.0.1:{health}/ready")
            except httpx.TransportError:
                return None
            return answer.text if answer.status_code == 200 else None

        async def shows(*, kafka_is_away: bool) -> bool:
            text = await ready()
            return text is not None and ("warning: bus: not connected" in text) == kafka_is_away

        try:
            await until(lambda: shows(kafka_is_away=True), seconds=90, what="ready without Kafka")
            assert "warning: objects: " in (await ready() or "")
            page = await web.get(f"http://127.0.0.1:{http}/sign-in")
            assert 200 == page.status_code
            async with running(Tansu(tmp_path / "tansu", port=kafka)) as broker:
                there = RuntimeSettings(kafka_bootstrap=broker.bootstrap_servers, kafka_idempotent=False)
                await topics.apply(there, replication=1, change_config=False)
                await until(lambda: shows(kafka_is_away=False), seconds=90, what="connected to Kafka")
                service.stopping.set()
                await asyncio.wait_for(work, 60)
        finally:
            service.stopping.set()
            await asyncio.wait_for(asyncio.gather(work, return_exceptions=True), 60)
