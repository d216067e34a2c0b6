"""The audit trail and the read models in MongoDB, under several replicas and after tampering."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from bson import encode as to_bson

import config_api.adapters.audit_store as audit_store_module
from config_api.adapters.audit_store import AUDIT_EVENTS, MongoAuditTrail, to_record
from config_api.adapters.view_store import MongoViews
from config_api.domain.audit import AuditEvent, Head, describe, verify
from config_api.domain.projection import VIEWS
from config_api.domain.rights import Role
from config_api.ports import AuditQuery
from config_api.use_cases.audit import Recorder
from config_api.use_cases.identity import COMMAND
from config_api.use_cases.views import Projector
from standalone.mongo import Mongo
from support.config_api_events import road
from support.config_api_kit import ADMIN, Kit, config_api

pytestmark = pytest.mark.integration


def _event(number: int) -> AuditEvent:
    headers = [("ce_id", f"e{number}".encode()), ("ce_type", b"io.broadsheet.task-triggered.v1")]
    body = b'{"execution_id": "%d", "task_id": "t"}' % (number % 7)
    return describe("task-triggered", b"k", headers, body, partition=0, offset=number)


async def _documents(kit: Kit) -> list[dict[str, Any]]:
    return [document async for document in kit.store.collection(AUDIT_EVENTS).find({}).sort("_id", 1)]


async def test_two_replicas_append_without_gap_duplicate_or_fork(kit: Kit) -> None:
    replicas = [Recorder(trail=MongoAuditTrail(kit.store), clock=kit.clock) for _ in range(2)]
    # Every event comes to both, as after a rebalance, and in another order.
    await asyncio.gather(
        *(replicas[0].record(_event(number)) for number in range(300)),
        *(replicas[1].record(_event(number)) for number in reversed(range(100, 400))),
    )
    documents = await _documents(kit)
    assert [document["_id"] for document in documents] == list(range(1, 401))
    assert len({document["event_id"] for document in documents}) == 400
    assert verify(map(to_record, documents)).intact


async def test_what_is_recorded_is_the_message_byte_for_byte(kit: Kit) -> None:
    body, headers = b'{"a": 1 ,\n "b":"\xc3\xa4"}', [("ce_id", b"x"), ("odd", b"\xff\x00"), ("odd", b"twice")]
    await kit.parts.recorder.record(describe("t", b"\x00\xff", headers, body, partition=3, offset=9))
    await kit.parts.recorder.record(describe("t", None, [], b"\xfe no event", partition=3, offset=10))
    first, second = [record async for record in MongoAuditTrail(kit.store).read()]
    assert (first.event.body, list(first.event.headers), first.event.key) == (body, headers, b"\x00\xff")
    assert (second.event.body, second.event.key, second.event.type) == (b"\xfe no event", None, "")


async def test_many_handlers_share_a_write(kit: Kit) -> None:
    writes: list[int] = []

    class Counting(MongoAuditTrail):
        async def append(self, records: Any) -> int:
            writes.append(len(records))
            return await super().append(records)

    recorder = Recorder(trail=Counting(kit.store), clock=kit.clock)
    await asyncio.gather(*(recorder.record(_event(number)) for number in range(600)))
    assert sum(writes) == 600
    assert len(writes) < 10


async def test_a_failed_write_fails_all_who_wait_for_it_and_loses_nobody(kit: Kit) -> None:
    class Failing(MongoAuditTrail):
        failures = 1

        async def append(self, records: Any) -> int:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("gone")
            return await super().append(records)

    recorder = Recorder(trail=Failing(kit.store), clock=kit.clock)
    results = await asyncio.gather(*(recorder.record(_event(n)) for n in range(20)), return_exceptions=True)
    failed = [number for number, result in enumerate(results) if result is not None]
    assert failed
    assert all(isinstance(results[number], ConnectionError) for number in failed)
    # The bus brings those messages again.
    await asyncio.gather(*(recorder.record(_event(number)) for number in failed))
    assert len(await _documents(kit)) == 20


async def test_a_handler_that_is_cancelled_takes_no_other_with_it(kit: Kit) -> None:
    recorder = kit.parts.recorder
    tasks = [asyncio.create_task(recorder.record(_event(number))) for number in range(10)]
    await asyncio.sleep(0)
    tasks[5].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for number, result in enumerate(results) if number != 5] == [type(None)] * 9
    await recorder.record(_event(5))
    assert len(await _documents(kit)) == 10


async def test_tampering_in_the_database_is_found_and_named(kit: Kit) -> None:
    for number in range(10):
        await kit.parts.recorder.record(_event(number))
    verdict = await kit.parts.audit.verify(COMMAND)
    assert verdict.intact
    events = kit.store.collection(AUDIT_EVENTS)
    await events.update_one({"_id": 6}, {"$set": {"body": b"{}"}})
    assert (await kit.parts.audit.verify(COMMAND)).broken_seq == 6
    await events.delete_one({"_id": 4})
    assert (await kit.parts.audit.verify(COMMAND)).broken_seq == 4
    await events.delete_many({"_id": {"$gt": 2}})
    assert (await kit.parts.audit.verify(COMMAND)).intact
    assert (await kit.parts.audit.verify(COMMAND, Head(10, verdict.head.hash))).broken_seq == 3


def test_the_store_of_the_trail_has_no_way_to_change_or_remove() -> None:
    source = Path(audit_store_module.__file__).read_text(encoding="utf-8")
    assert (
        re.search(r"\b(update|replace|delete|remove|drop|rename|bulk_write|find_one_and)\w*\(", source)
        is None
    )
    public = {name for name in dir(MongoAuditTrail) if not name.startswith("_")}
    assert public == {"append", "ensure_indexes", "find", "head", "known", "read"}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (AuditQuery(execution_id="3"), [3, 10, 17]),
        (AuditQuery(task_id="t", limit=4), [0, 1, 2, 3]),
        (AuditQuery(type="task-triggered", after=18), [18, 19]),
        (AuditQuery(type="io.broadsheet.task-triggered.v1", limit=1), [0]),
        (AuditQuery(type="task"), []),
        (AuditQuery(event_id="e7"), [7]),
        (AuditQuery(recipient_id="nobody"), []),
    ],
)
async def test_the_trail_is_asked_by_what_events_are_about(
    kit: Kit, query: AuditQuery, numbers: list[int]
) -> None:
    for number in range(20):
        await kit.parts.recorder.record(_event(number))
    found = [record.event.event_id async for record in kit.parts.audit.find(query, COMMAND)]
    assert found == [f"e{number}" for number in numbers]


async def _dump(kit: Kit) -> dict[str, list[bytes]]:
    return {
        view: [to_bson(document) async for document in kit.store.collection(view).find({}).sort("_id", 1)]
        for view in VIEWS
    }


async def test_views_built_anew_are_the_same_byte_for_byte(kit: Kit) -> None:
    events = [event for task in ("a", "b") for number in range(3) for event in road(task, number)]
    for start in range(0, len(events), 7):
        await kit.record(*events[start : start + 7])
    before = await _dump(kit)
    assert sum(map(len, before.values())) > 50
    await kit.parts.projector.rebuild()
    assert await _dump(kit) == before
    assert await Projector(
        trail=MongoAuditTrail(kit.store), views=MongoViews(kit.store), batch=1
    ).rebuild() == len(events)
    assert await _dump(kit) == before


async def test_replicas_that_project_and_rebuild_side_by_side_end_with_the_same_views(kit: Kit) -> None:
    await kit.record(*road("a", 1))
    events = [event for number in range(2, 6) for event in road("a", number)]
    replicas = [
        Projector(trail=MongoAuditTrail(kit.store), views=MongoViews(kit.store), batch=5) for _ in range(3)
    ]

    async def keep_up() -> None:
        for replica in replicas:
            await replica.catch_up()

    await asyncio.gather(
        kit.record(*events), keep_up(), replicas[0].rebuild(), replicas[1].rebuild(), keep_up()
    )
    await keep_up()
    mixed = await _dump(kit)
    await replicas[2].rebuild()
    assert await _dump(kit) == mixed
    execution = await kit.parts.runs.get(road("a", 3)[0].key(), COMMAND)
    assert execution["units"] == {"planned": 3, "generated": 1, "skipped": 1, "failed": 1}


async def test_the_trail_over_rest_is_for_administrators(kit: Kit, admin: httpx.AsyncClient) -> None:
    await kit.record(*road("a", 1))
    page = (
        await admin.get("/api/v1/audit", params={"execution_id": road("a", 1)[0].key(), "limit": 5})
    ).json()
    assert [item["seq"] for item in page["items"]] == [1, 2, 3, 4, 5]
    assert page["items"][0]["data"]["task_id"] == "a"
    assert page["next"] == 5
    verdict = (await admin.get("/api/v1/audit/verify")).json()
    assert verdict["intact"]
    assert (await admin.get("/api/v1/audit/verify", params={"expect": verdict["head"]})).json()["intact"]
    assert (await admin.get("/api/v1/audit/verify", params={"expect": "nonsense"})).status_code == 422
    async with kit.client(await kit.key(Role.DEVELOPER, "dev@example.com")) as developer:
        for path in ("/api/v1/audit", "/api/v1/audit/verify"):
            assert (await developer.get(path)).status_code == 403


@pytest.mark.parametrize("driver", ["pymongo"])
async def test_the_same_holds_with_the_other_driver(mongo_server: Mongo, driver: Any) -> None:
    async with config_api(mongo_server.uri, driver=driver) as kit:
        await kit.account(Role.ADMIN, ADMIN)
        await kit.record(*road("a", 1))
        before = await _dump(kit)
        await kit.parts.projector.rebuild()
        assert await _dump(kit) == before
        assert (await kit.parts.audit.verify(COMMAND)).intact
