"""The distributor as a process: events in, files and mails out, events back."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts import ids
from contracts.base import Event
from contracts.configuration import StorageKind, StorageSpace
from contracts.envelope import Received
from contracts.events import (
    DeliveryEvent,
    DeliveryFailed,
    DeliverySkipped,
    DeliverySucceeded,
    DeliveryUnknown,
)
from contracts.plan import ExecutionPlan, PlannedDelivery
from runtime.bus import Bus, Subscription
from runtime.configuration import STORAGE_SPACES, to_document
from runtime.objects import ObjectStore, open_bucket
from runtime.store import Store
from standalone.broker import BrokerServer
from standalone.mail import MailInbox
from standalone.mongo import Mongo
from standalone.ports import free_port
from standalone.s3 import SeaweedFS
from support import deliveries as make
from support.servers import unique
from support.stores import fresh_store
from support.topics import bus_settings, create_topics
from support.waiting import until

pytestmark = pytest.mark.integration
TESTER = "tester@test.invalid"


@dataclass
class Scene:
    """Everything around a distributor."""

    store: Store
    objects: ObjectStore
    bus: Bus
    environment: dict[str, str]
    heard: list[DeliveryEvent] = field(default_factory=list)

    def of(self, execution: str) -> list[DeliveryEvent]:
        return [event for event in self.heard if event.execution_id == execution]

    async def publish(self, plan: ExecutionPlan, *events: Event) -> None:
        body = plan.model_dump_json().encode()
        key = f"plans/{plan.execution_id}/plan.json"
        ref = await self.objects.put(key, body, content_type="application/json")
        await self.bus.publish(make.planned(ref, plan))
        for event in events:
            await self.bus.publish(event)


@pytest.fixture
async def scene(
    broker_server: BrokerServer,
    mongo_server: Mongo,
    object_store_server: SeaweedFS,
    smtp_server: MailInbox,
    tmp_path: Path,
) -> AsyncIterator[Scene]:
    await create_topics(broker_server)
    bucket = unique("internal")
    await object_store_server.create_bucket(bucket)
    heard: list[DeliveryEvent] = []

    async def hear(received: Received[Any]) -> None:
        heard.append(received.event)

    listen = Subscription(
        topic=DeliveryEvent.TOPIC,
        group=unique("listener"),
        handler=hear,
        events=(DeliverySucceeded, DeliveryFailed, DeliveryUnknown, DeliverySkipped),
    )
    settings = bus_settings(broker_server)
    async with (
        fresh_store(mongo_server.uri) as store,
        open_bucket(
            endpoint=object_store_server.endpoint,
            region=object_store_server.region,
            bucket=bucket,
            access_key=SecretStr(object_store_server.access_key),
            secret_key=SecretStr(object_store_server.secret_key),
        ) as objects,
        Bus(settings, service="generator", subscriptions=[listen]) as bus,
    ):
        environment = {
            "BROADSHEET_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "BROADSHEET_KAFKA_IDEMPOTENT": str(settings.kafka_idempotent),
            "BROADSHEET_MONGO_URI": mongo_server.uri,
            "BROADSHEET_MONGO_DATABASE": store.db.name,
            "BROADSHEET_S3_ENDPOINT": object_store_server.endpoint,
            "BROADSHEET_S3_REGION": object_store_server.region,
            "BROADSHEET_S3_ACCESS_KEY": object_store_server.access_key,
            "BROADSHEET_S3_SECRET_KEY": object_store_server.secret_key,
            "BROADSHEET_S3_BUCKET": bucket,
            "BROADSHEET_STORAGE_FOLDER_ROOTS": str(tmp_path),
            "BROADSHEET_SMTP_HOST": smtp_server.host,
            "BROADSHEET_SMTP_PORT": str(smtp_server.port),
            "BROADSHEET_MAIL_SUBJECT_PREFIX": "[Broadsheet]",
        }
        yield Scene(store, objects, bus, environment, heard)


@asynccontextmanager
async def distributor(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    """Run `python -m distributor` until the body ends, then ask it to stop; it has to end cleanly."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "distributor",
        env={**os.environ, **scene.environment, "BROADSHEET_HEALTH_PORT": str(port)},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    log = asyncio.create_task(process.stderr.read())
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:

            async def is_ready() -> bool:
                assert process.returncode is None, (await log).decode()[-3000:]
                try:
                    return (await web.get("/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready, seconds=60, what="the distributor's readiness")
            yield web
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), timeout=30)
        assert code == 0, (await log).decode()[-3000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        # Shown by pytest when the test fails.
        sys.stderr.write((await log).decode())


def execution_plan(*deliveries: PlannedDelivery, test_address: str | None = None) -> ExecutionPlan:
    execution = ids.execution_id("distributor-test", unique("occurrence"))
    own = tuple(
        delivery.model_copy(
            update={"id": ids.delivery_id(execution, delivery.channel, delivery.target, delivery.units)}
        )
        for delivery in deliveries
    )
    return make.plan(*own, execution=execution, planned_at=datetime.now(tz=UTC), test_address=test_address)


async def test_a_plan_is_delivered_by_every_way_and_told_once(
    scene: Scene, smtp_server: MailInbox, tmp_path: Path
) -> None:
    a, b, nothing = unique("a"), unique("b"), unique("nothing")
    storage = unique("space")
    space = StorageSpace(id=storage, name="Folder", kind=StorageKind.FOLDER, settings={"root": str(tmp_path)})
    await scene.store.collection(STORAGE_SPACES).insert_one(to_document(storage, space))
    real = execution_plan(
        make.mail_delivery(a, b, to=f"{a}@example.com"),
        make.storage_delivery({a: "in/a.pdf"}, storage=storage),
        make.hub_delivery(a),
        make.hub_delivery(nothing),
    )
    test = execution_plan(
        make.mail_delivery(a, to=f"{b}@example.com", cc=("bob@example.com",)), test_address=TESTER
    )
    ref = await scene.objects.put(f"artifacts/{a}.pdf", b"%PDF real", content_type="application/pdf")

    def done(plan: ExecutionPlan, unit: str) -> Event:
        event = make.generated(unit, b"%PDF real", execution=plan.execution_id)
        artifact = event.artifact.model_copy(update={"key": ref.key})
        return event.model_copy(update={"artifact": artifact})

    skip = make.skipped(b).model_copy(update={"execution_id": real.execution_id})
    also = make.skipped(nothing).model_copy(update={"execution_id": real.execution_id})
    async with distributor(scene) as web:
        # Outcomes before, after, and twice.
        await scene.bus.publish(done(real, a))
        await scene.publish(real, done(real, a), skip, also, also)
        await scene.publish(test, done(test, a))
        await until(
            lambda: len(scene.of(real.execution_id)) >= 4 and len(scene.of(test.execution_id)) >= 1,
            seconds=60,
            what="the deliveries",
        )
        metrics = (await web.get("/metrics")).text
    told = {event.delivery_id: event for event in scene.of(real.execution_id)}
    assert len(told) == len(scene.of(real.execution_id)) == 4
    by_type = [type(told[delivery.id]) for delivery in real.deliveries]
    assert by_type == [DeliverySucceeded, DeliverySucceeded, DeliverySucceeded, DeliverySkipped]

    assert (tmp_path / "in" / "a.pdf").read_bytes() == b"%PDF real"
    hub = told[real.deliveries[2].id]
    assert isinstance(hub, DeliverySucceeded)
    assert hub.hub is not None
    assert await scene.objects.get(hub.files[0].artifact, max_bytes=100) == b"%PDF real"

    async with httpx.AsyncClient(base_url=smtp_server.api_url) as web:
        mails = [each for each in (await web.get("/api/messages")).json() if a in str(each) or b in str(each)]
    envelopes = {tuple(mail["rcpt_to"]): mail["subject"] for mail in mails}
    assert envelopes == {
        (f"{a}@example.com",): "[Broadsheet] Sales of the week",
        (TESTER,): f"[{b}@example.com] [Broadsheet] Sales of the week",
    }
    assert 'broadsheet_deliveries_total{channel="email",outcome="succeeded"} 2.0' in metrics
