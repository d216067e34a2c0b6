"""Deliveries with real servers, and what breaks between them."""

import asyncio
import io
import os
import signal
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from contracts.configuration import StorageKind, StorageSpace, UnknownPolicy
from contracts.events import Channel, ReportGenerated
from contracts.plan import PlannedDelivery
from distributor.adapters.files import StoredFiles
from distributor.adapters.mongo import DELIVERIES, Deliveries
from distributor.adapters.smtp import SmtpMailer
from distributor.adapters.spaces import ConfiguredSpaces
from distributor.domain.circuits import Circuits
from distributor.domain.results import Delivered, Postponed, Rejected, Result, RetryPolicy
from distributor.pool import Pool
from distributor.ports import Job
from distributor.settings import DistributorSettings
from distributor.use_cases.attempt import Attempts, Patience
from distributor.use_cases.email import EmailChannel
from distributor.use_cases.fan_in import plan_deliveries, settle_unit
from distributor.use_cases.hub import HubChannel
from distributor.use_cases.storage import StorageChannel
from distributor.use_cases.sweep import resolve_abandoned
from runtime.clock import SystemClock
from runtime.configuration import STORAGE_SPACES, ConfigurationReader, to_document
from runtime.mail import MailTransport
from runtime.objects import open_bucket
from runtime.secrets import Sealer
from runtime.store import Store
from standalone.mail import MailInbox
from standalone.mongo import Mongo
from standalone.s3 import SeaweedFS
from support import deliveries as make
from support.fake_files import FixedFiles
from support.loopback import LOOPBACK
from support.sealing import with_secrets
from support.servers import running, unique
from support.stores import fresh_store
from support.waiting import until

pytestmark = pytest.mark.integration

CLOCK = SystemClock()
LEASE = timedelta(seconds=2)


@dataclass
class Inbox:
    """What lies in the mail server."""

    server: MailInbox
    web: httpx.AsyncClient

    async def mails(self) -> list[dict[str, Any]]:
        return list((await self.web.get("/api/messages")).json())

    async def fault(self, **about: Any) -> None:
        (await self.web.post("/api/faults", json=about)).raise_for_status()


@pytest.fixture(scope="module")
async def own_inbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MailInbox]:
    """A mail server for this module alone: its faults are nobody else's business."""
    async with running(MailInbox(tmp_path_factory.mktemp("inbox"))) as server:
        yield server


@pytest.fixture
async def inbox(own_inbox: MailInbox) -> AsyncIterator[Inbox]:
    async with httpx.AsyncClient(base_url=own_inbox.api_url) as web:
        await web.delete("/api/messages")
        yield Inbox(own_inbox, web)
        await web.delete("/api/faults")


@pytest.fixture
async def store(mongo_server: Mongo) -> AsyncIterator[Store]:
    async with fresh_store(mongo_server.uri) as opened:
        yield opened


@pytest.fixture
async def rows(store: Store) -> Deliveries:
    made = Deliveries(store, clock=CLOCK, lease_for=LEASE)
    await made.ensure_indexes()
    return made


async def ready(rows: Deliveries, *deliveries: PlannedDelivery) -> None:
    """Write the rows of a plan and settle its units, all generated."""
    plan = make.plan(*deliveries, planned_at=datetime.now(tz=UTC))
    await plan_deliveries(
        make.planned(made=plan), plans=make.FixedPlans(plan), rows=rows, clock=CLOCK, margin=timedelta(0)
    )
    for unit in plan.units:
        await settle_unit(make.generated(unit.id), rows=rows, clock=CLOCK)


async def states(store: Store) -> dict[str, str]:
    return {each["target"]: each["state"] async for each in store.collection(DELIVERIES).find()}


@asynccontextmanager
async def mail_pool(rows: Deliveries, inbox: Inbox, *, places: int = 4) -> AsyncIterator[Pool]:
    """A distributor's pool for mail, running."""
    settings = DistributorSettings(smtp_port=inbox.server.port, smtp_data_timeout_s=5)
    async with MailTransport(settings) as transport:
        attempts = Attempts(
            rows=rows,
            facts=rows,
            channels={Channel.EMAIL: EmailChannel(FixedFiles(), SmtpMailer(transport), settings.sender())},
            clock=CLOCK,
            policy=RetryPolicy(delays=(timedelta(seconds=0.2),)),
            patience=Patience(extend_every=LEASE / 4, settle_for=timedelta(seconds=10)),
            chance=lambda: 0.5,
        )
        pause = timedelta(seconds=0.1)
        pool = Pool(
            Channel.EMAIL,
            rows=rows,
            attempt=attempts.run,
            circuits=Circuits(first_pause=pause, longest_pause=pause * 4, share=places),
            clock=CLOCK,
            places=places,
            poll_s=0.05,
        )
        stopping = asyncio.Event()
        task = asyncio.create_task(pool.run(stopping))
        try:
            yield pool
        finally:
            stopping.set()
            await asyncio.wait_for(task, timeout=20)


async def settled(store: Store) -> bool:
    found = await states(store)
    return bool(found) and not {"ready", "claimed", "transmitting"} & set(found.values())


async def sweep(rows: Deliveries) -> int:
    return await resolve_abandoned(rows=rows, strays=rows, clock=CLOCK)


async def test_a_mail_reaches_the_mailbox_as_it_was_planned(
    rows: Deliveries, store: Store, inbox: Inbox
) -> None:
    await ready(rows, make.mail_delivery("a", cc=("bob@example.com",), bcc=("eve@example.com",)))
    async with mail_pool(rows, inbox):
        await until(lambda: settled(store))
    (mail,) = await inbox.mails()
    assert mail["rcpt_to"] == ["ann@example.com", "bob@example.com", "eve@example.com"]
    assert mail["subject"] == "Sales of the week"
    shown = (await inbox.web.get(f"/api/messages/{mail['id']}")).json()
    assert "eve@" not in str(shown.get("headers", ""))
    content = await inbox.web.get(f"/api/messages/{mail['id']}/attachments/0")
    assert content.content == b"bytes"
    assert await states(store) == {"ann@example.com": "succeeded"}


async def test_two_distributors_deliver_each_mail_once(rows: Deliveries, store: Store, inbox: Inbox) -> None:
    mails = [make.mail_delivery("a", to=f"reader{number}@example.com") for number in range(40)]
    other = Deliveries(store, clock=CLOCK, lease_for=LEASE)
    async with mail_pool(rows, inbox), mail_pool(other, inbox):
        await ready(rows, *mails)
        await until(lambda: settled(store))
    assert set((await states(store)).values()) == {"succeeded"}
    got = [address for mail in await inbox.mails() for address in mail["rcpt_to"]]
    assert sorted(got) == sorted(mail.target for mail in mails)


async def test_mails_wait_while_the_server_is_down_and_go_out_when_it_is_back(
    rows: Deliveries, store: Store, inbox: Inbox
) -> None:
    await inbox.server.stop()
    await ready(rows, *(make.mail_delivery("a", to=f"reader{number}@example.com") for number in range(3)))
    async with mail_pool(rows, inbox):

        async def tried() -> bool:
            return bool(await store.collection(DELIVERIES).find_one({"last_attempt.code": "no-connection"}))

        await until(tried)
        assert set((await states(store)).values()) <= {"ready", "claimed"}
        await inbox.server.start()
        await until(lambda: settled(store))
    assert set((await states(store)).values()) == {"succeeded"}
    assert len(await inbox.mails()) == 3


async def test_a_greylisted_recipient_gets_the_mail_once_and_copies_wait_for_him(
    rows: Deliveries, store: Store, inbox: Inbox
) -> None:
    await inbox.fault(kind="reject_rcpt", pattern="ann@*", code=450, times=2)
    await ready(rows, make.mail_delivery("a", cc=("bob@example.com",)))
    async with mail_pool(rows, inbox):
        await until(lambda: settled(store))
    (mail,) = await inbox.mails()
    assert mail["rcpt_to"] == ["ann@example.com", "bob@example.com"]
    document = await store.collection(DELIVERIES).find_one({})
    assert document is not None
    assert [each["state"] for each in document["attempts"]] == ["ready", "ready", "succeeded"]


async def test_an_unknown_recipient_fails_at_once_with_the_servers_words(
    rows: Deliveries, store: Store, inbox: Inbox
) -> None:
    await inbox.fault(kind="reject_rcpt", pattern="ann@*", code=550)
    await ready(rows, make.mail_delivery("a", cc=("bob@example.com",)))
    async with mail_pool(rows, inbox):
        await until(lambda: settled(store))
    document = await store.collection(DELIVERIES).find_one({})
    assert document is not None
    assert (document["state"], document["attempt"]) == ("failed", 1)
    assert "550" in document["last_attempt"]["text"]
    assert await inbox.mails() == []


async def test_a_connection_dropped_after_the_mail_was_taken_leaves_it_unknown_and_sent_once(
    rows: Deliveries, store: Store, inbox: Inbox
) -> None:
    await inbox.fault(kind="drop_after_data", keep=True)
    await ready(rows, make.mail_delivery("a"))
    async with mail_pool(rows, inbox):
        await until(lambda: settled(store))
    assert await states(store) == {"ann@example.com": "unknown"}
    assert len(await inbox.mails()) == 1


async def test_under_resend_the_second_copy_has_the_same_message_id(
    rows: Deliveries, store: Store, inbox: Inbox
) -> None:
    await inbox.fault(kind="drop_after_data", keep=True, times=1)
    await ready(rows, make.mail_delivery("a", unknown=UnknownPolicy.RESEND))
    async with mail_pool(rows, inbox):
        await until(lambda: settled(store))
    assert await states(store) == {"ann@example.com": "succeeded"}
    ids = []
    for mail in await inbox.mails():
        raw = (await inbox.web.get(f"/api/messages/{mail['id']}/raw")).text
        ids += [line for line in raw.splitlines() if line.lower().startswith("message-id:")]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_a_distributor_killed_while_it_waits_for_the_answer_leaves_the_mail_unknown_and_sent_once(
    rows: Deliveries, store: Store, inbox: Inbox, mongo_server: Mongo
) -> None:
    await inbox.fault(kind="slow_reply", at="data", seconds=60)
    await ready(rows, make.mail_delivery("a"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.deliver_once",
        mongo_server.uri,
        store.db.name,
        str(inbox.server.port),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:

        async def taken() -> bool:
            assert process.returncode is None, "the distributor ended too early"
            return bool(await inbox.mails())

        await until(taken, seconds=60)
        assert await states(store) == {"ann@example.com": "transmitting"}
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    (await inbox.web.delete("/api/faults")).raise_for_status()
    async with mail_pool(rows, inbox):

        async def resolved() -> bool:
            return await sweep(rows) == 1

        await until(resolved)
    assert await states(store) == {"ann@example.com": "unknown"}
    assert len(await inbox.mails()) == 1
    document = await store.collection(DELIVERIES).find_one({})
    assert document is not None
    assert [entry["headers"]["ce_type"] for entry in document["outbox"]] == [
        "io.broadsheet.delivery-unknown.v1"
    ]


# Storage and Hub on a real S3


@dataclass
class S3:
    """A server, the internal bucket in it, and storage spaces that are configured."""

    server: SeaweedFS
    bucket: str
    store: Store
    sealer: Sealer

    async def space(self, *, bucket: str, endpoint: str | None = None, secret: str | None = None) -> str:
        """Configure a storage space and return its id."""
        storage_id = unique("space")
        made = StorageSpace(
            id=storage_id,
            name=storage_id,
            kind=StorageKind.S3,
            settings={
                "endpoint": endpoint or self.server.endpoint,
                "region": self.server.region,
                "bucket": bucket,
                "prefix": "reports/daily",
                "access_key": self.server.access_key,
            },
        )
        made = with_secrets(made, self.sealer, {"secret_key": secret or self.server.secret_key})
        await self.store.collection(STORAGE_SPACES).insert_one(to_document(storage_id, made))
        return storage_id

    async def read(self, bucket: str, key: str) -> bytes:
        client = self.server.client()

        def work() -> bytes:
            return client.get_object(Bucket=bucket, Key=key)["Body"].read()

        return await asyncio.to_thread(work)


@pytest.fixture
async def s3(object_store_server: SeaweedFS, store: Store) -> S3:
    bucket = unique("internal")
    await object_store_server.create_bucket(bucket)
    return S3(object_store_server, bucket, store, Sealer([Fernet.generate_key().decode()]))


@asynccontextmanager
async def channels(s3: S3) -> AsyncIterator[tuple[StorageChannel, HubChannel, Any]]:
    async with (
        open_bucket(
            endpoint=s3.server.endpoint,
            region=s3.server.region,
            bucket=s3.bucket,
            access_key=SecretStr(s3.server.access_key),
            secret_key=SecretStr(s3.server.secret_key),
        ) as objects,
        ConfiguredSpaces(ConfigurationReader(s3.store), s3.sealer, egress=LOOPBACK) as spaces,
    ):
        files = StoredFiles(objects, max_bytes=10_000_000)
        yield StorageChannel(files, spaces), HubChannel(files), objects


async def yes(answers: object = None, /) -> bool:
    return True


def job(delivery: PlannedDelivery, *events: ReportGenerated) -> Job:
    return Job(row=make.row(delivery), outcomes=make.outcomes(*events), attempt=1, now=make.START)


async def saved(s3: S3, storage: str, *, zip_path: str | None = None, content: bytes = b"bytes") -> Result:
    events = [make.generated(unit, content) for unit in ("a", "b")]
    async with channels(s3) as (channel, _, objects):
        for event in events:
            await objects.put(
                event.artifact.key, content, content_type=event.artifact.content_type, if_exists="replace"
            )
        delivery = make.storage_delivery(
            {"a": "2026/a.pdf", "b": "2026/b.pdf"}, storage=storage, zip_path=zip_path
        )
        result: Result = await channel.deliver(job(delivery, *events), commit=yes)
        return result


async def test_files_lie_in_the_bucket_of_the_space_and_a_second_run_replaces_them(s3: S3) -> None:
    bucket = unique("reports")
    await s3.server.create_bucket(bucket)
    storage = await s3.space(bucket=bucket)
    for content in (b"first", b"second, and longer"):
        result = await saved(s3, storage, content=content)
        assert isinstance(result, Delivered)
        assert [file.path for file in result.files] == [
            "reports/daily/2026/a.pdf",
            "reports/daily/2026/b.pdf",
        ]
        assert await s3.read(bucket, "reports/daily/2026/a.pdf") == content


async def test_an_archive_lies_in_the_bucket_of_the_space(s3: S3) -> None:
    bucket = unique("reports")
    await s3.server.create_bucket(bucket)
    result = await saved(s3, await s3.space(bucket=bucket), zip_path="2026/all.zip")
    assert isinstance(result, Delivered)
    with zipfile.ZipFile(io.BytesIO(await s3.read(bucket, "reports/daily/2026/all.zip"))) as archive:
        assert archive.namelist() == ["a.pdf", "b.pdf"]


async def test_a_bucket_that_is_missing_or_a_wrong_secret_fails_with_a_remedy_and_without_the_secret(
    s3: S3,
) -> None:
    bucket = unique("reports")
    await s3.server.create_bucket(bucket)
    missing = await saved(s3, await s3.space(bucket=unique("missing")))
    denied = await saved(s3, await s3.space(bucket=bucket, secret="wrong-secret-value"))
    for result, code in ((missing, "bucket-missing"), (denied, "storage-denied")):
        assert isinstance(result, Rejected)
        assert result.reason.code == code
        assert result.reason.remedy
        assert "wrong-secret-value" not in result.reason.model_dump_json()


async def test_a_space_nobody_configured_fails_with_a_remedy(s3: S3) -> None:
    result = await saved(s3, "no-such-space")
    assert isinstance(result, Rejected)
    assert result.reason.code == "storage-missing"


async def test_a_server_that_does_not_answer_is_tried_again_and_left_alone_for_a_while(s3: S3) -> None:
    result = await saved(s3, await s3.space(bucket="any", endpoint="http://127.0.0.1:9"))
    assert isinstance(result, Postponed)
    assert result.unreachable


async def test_the_hub_copy_outlives_the_artifact(s3: S3) -> None:
    event = make.generated("a", b"hub bytes")
    async with channels(s3) as (_, hub, objects):
        await objects.put(event.artifact.key, b"hub bytes", content_type="application/pdf")
        work = job(make.hub_delivery("a"), event)
        first, second = await hub.deliver(work, commit=yes), await hub.deliver(work, commit=yes)
        assert first == second
        assert isinstance(first, Delivered)
        await objects.delete(event.artifact.key)
        (file,) = first.files
        assert await objects.get(file.artifact, max_bytes=100) == b"hub bytes"
