"""The notifier as a process: events in, a mail with the log out, events back."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts import ids
from contracts.base import Artifact
from contracts.configuration import NotificationSettings, TaskHead, TaskVersion
from contracts.envelope import Received
from contracts.events import (
    Channel,
    DeliverySucceeded,
    Disposition,
    ExecutionPlanned,
    NotificationSent,
    Outcome,
    ReportGenerated,
    TaskCompleted,
    TaskTriggered,
    TriggerInfo,
    TriggerKind,
)
from contracts.plan import ExecutionPlan
from runtime.bus import Bus, Subscription
from runtime.configuration import TASK_VERSIONS, TASKS, task_version_key, to_document
from runtime.objects import ObjectStore, open_bucket
from runtime.store import Store
from standalone.broker import BrokerServer
from standalone.mail import MailInbox
from standalone.mongo import Mongo
from standalone.s3 import SeaweedFS
from support.servers import unique
from support.stores import fresh_store
from support.topics import bus_settings, create_topics
from support.waiting import until

pytestmark = pytest.mark.integration


class Scene:
    """Everything around a notifier, and what it said."""

    def __init__(self, store: Store, objects: ObjectStore, inbox: MailInbox) -> None:
        self.store = store
        self.objects = objects
        self.inbox = inbox
        self.completed: list[TaskCompleted] = []
        self.sent: list[NotificationSent] = []
        self.environment: dict[str, str] = {}
        self.bus: Bus

    async def hear(self, received: Received[Any]) -> None:
        if isinstance(received.event, TaskCompleted):
            self.completed.append(received.event)
        else:
            self.sent.append(received.event)

    def ends(self, execution: str) -> list[TaskCompleted]:
        return [event for event in self.completed if event.execution_id == execution]

    async def mails(self, address: str) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=self.inbox.api_url) as web:
            found = (await web.get("/api/messages")).json()
        return [each for each in found if each["rcpt_to"] == [address]]


@pytest.fixture
async def scene(
    broker_server: BrokerServer,
    mongo_server: Mongo,
    object_store_server: SeaweedFS,
    smtp_server: MailInbox,
) -> AsyncIterator[Scene]:
    await create_topics(broker_server)
    s3 = object_store_server
    bucket = unique("internal")
    await s3.create_bucket(bucket)
    settings = bus_settings(broker_server)
    keys: dict[str, Any] = {"access_key": SecretStr(s3.access_key), "secret_key": SecretStr(s3.secret_key)}
    async with (
        fresh_store(mongo_server.uri) as store,
        open_bucket(endpoint=s3.endpoint, region=s3.region, bucket=bucket, **keys) as objects,
    ):
        scene = Scene(store, objects, smtp_server)
        scene.environment = {
            "BROADSHEET_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "BROADSHEET_KAFKA_IDEMPOTENT": str(settings.kafka_idempotent),
            "BROADSHEET_MONGO_URI": mongo_server.uri,
            "BROADSHEET_MONGO_DATABASE": store.db.name,
            "BROADSHEET_S3_ENDPOINT": s3.endpoint,
            "BROADSHEET_S3_REGION": s3.region,
            "BROADSHEET_S3_ACCESS_KEY": s3.access_key,
            "BROADSHEET_S3_SECRET_KEY": s3.secret_key,
            "BROADSHEET_S3_BUCKET": bucket,
            "BROADSHEET_SMTP_HOST": smtp_server.host,
            "BROADSHEET_SMTP_PORT": str(smtp_server.port),
            "BROADSHEET_DEADLINE_GRACE_S": "0.5",
            "BROADSHEET_DEADLINE_WATCH_S": "0.5",
        }
        group = unique("listener")
        ears = [
            Subscription(topic=cls.TOPIC, group=group, handler=scene.hear, events=(cls,))
            for cls in (TaskCompleted, NotificationSent)
        ]
        async with Bus(settings, service="test", subscriptions=ears) as scene.bus:
            yield scene


@asynccontextmanager
async def notifier(scene: Scene) -> AsyncIterator[None]:
    """Run `python -m notifier` until the body ends, then ask it to stop; it has to end cleanly."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "notifier",
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

            await until(is_ready, seconds=60, what="the notifier's readiness")
            yield
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), timeout=30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        # Shown by pytest when the test fails.
        sys.stderr.write((await log).decode())


def trigger(occurrence: str) -> TriggerInfo:
    return TriggerInfo(
        kind=TriggerKind.MANUAL,
        trigger_id="manual",
        occurrence=occurrence,
        due_at=datetime.now(tz=UTC),
        timezone="Europe/Berlin",
    )


async def test_run_ends_once_and_its_owner_gets_the_log(scene: Scene) -> None:
    occurrence, owner = unique("occurrence"), f"{unique('owner')}@example.org"
    execution = ids.execution_id("manual", occurrence)
    about = {"execution_id": execution, "task_id": "t-1"}
    now = datetime.now(tz=UTC)
    settings = NotificationSettings(on_success=True, to=(owner,))
    plan = ExecutionPlan(
        **about,
        task_name="Sales",
        task_version=1,
        trigger=trigger(occurrence),
        planned_at=now,
        deadline_at=now + timedelta(hours=1),
        timezone="Europe/Berlin",
        notification=settings,
    )
    ref = await scene.objects.put(
        f"plans/{execution}/p.json", plan.model_dump_json().encode(), content_type="application/json"
    )
    planned = ExecutionPlanned(
        **about,
        task_name="Sales",
        task_version=1,
        trigger=plan.trigger,
        disposition=Disposition.PLANNED,
        plan=ref,
        unit_count=1,
        delivery_count=1,
        deadline_at=plan.deadline_at,
    )
    made = ReportGenerated(
        **about,
        unit_id=unique("u"),
        report_name="Sales",
        artifact=Artifact(key="k", size=5, sha256="0" * 64, file_name="sales.xlsx"),
    )
    delivered = DeliverySucceeded(
        **about, delivery_id=unique("d"), channel=Channel.EMAIL, target="ann@example.org", accepted_at=now
    )
    events = [
        delivered,
        made,
        TaskTriggered(**about, trigger=plan.trigger),
        planned,
        made,
        delivered,
        planned,
    ]
    async with notifier(scene):
        for event in events:
            await scene.bus.publish(event)
        await until(lambda: any(each.execution_id == execution for each in scene.sent), what="the mail")
    (end,) = scene.ends(execution)
    assert (end.outcome, end.units.generated, end.deliveries.succeeded) == (Outcome.SUCCESS, 1, 1)
    assert end.log is not None
    text = (await scene.objects.get(end.log, max_bytes=10_000)).decode()
    assert "FILE       generated  Sales, sales.xlsx, 5 bytes" in text
    assert "DELIVERY   succeeded  email to ann@example.org" in text
    (mail,) = await scene.mails(owner)
    assert mail["subject"] == "Success: Sales"


async def test_execution_that_stopped_moving_ends_as_an_error(scene: Scene) -> None:
    occurrence, owner, task = unique("occurrence"), f"{unique('owner')}@example.org", unique("task")
    execution = ids.execution_id("manual", occurrence)
    version = TaskVersion(
        task_id=task,
        version=1,
        name="Stuck",
        notification=NotificationSettings(to=(owner,)),
        created_at=datetime.now(tz=UTC),
        created_by="ann",
    )
    head = TaskHead(id=task, name="Stuck", current_version=1)
    await scene.store.db[TASKS].insert_one(to_document(task, head))
    await scene.store.db[TASK_VERSIONS].insert_one(to_document(task_version_key(task, 1), version))
    scene.environment["BROADSHEET_PROVISIONAL_DEADLINE_S"] = "0.5"
    async with notifier(scene):
        await scene.bus.publish(
            TaskTriggered(execution_id=execution, task_id=task, trigger=trigger(occurrence))
        )
        await until(lambda: any(each.execution_id == execution for each in scene.sent), what="the mail")
    (end,) = scene.ends(execution)
    assert (end.outcome, end.reasons[0].code) == (Outcome.ERROR, "deadline-passed")
    assert len(await scene.mails(owner)) == 1
