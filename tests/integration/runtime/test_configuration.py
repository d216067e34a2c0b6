"""The configuration as config-api stores it, read on both drivers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from contracts.base import Wire
from contracts.configuration import Connection, ConnectionKind, Group, Recipient, TaskHead, TaskVersion
from contracts.triggers import CronRule, ScheduleTrigger
from runtime.configuration import (
    CONNECTIONS,
    GROUPS,
    RECIPIENTS,
    TASK_VERSIONS,
    TASKS,
    ConfigurationReader,
    task_version_key,
    to_document,
)
from runtime.errors import Permanent
from runtime.store import Driver, Store
from standalone.mongo import Mongo
from support.stores import DRIVERS, fresh_store

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("driver", DRIVERS)]
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TRIGGER = ScheduleTrigger(id="tr", rule=CronRule(expression="0 6 * * *"), start=NOW)


@pytest.fixture
async def store(driver: Driver, mongo_server: Mongo) -> AsyncIterator[Store]:
    async with fresh_store(mongo_server.uri, driver=driver) as opened:
        yield opened


def version(task: str, number: int = 1, *, triggers: tuple[ScheduleTrigger, ...] = (TRIGGER,)) -> TaskVersion:
    return TaskVersion(
        task_id=task,
        version=number,
        name=task,
        triggers=triggers,
        deadline=timedelta(minutes=90),
        created_at=NOW,
        created_by="ann",
    )


async def save(store: Store, collection: str, key: str, model: Wire) -> None:
    await store.db[collection].insert_one(to_document(key, model))


async def test_models_come_back_as_they_were_stored(store: Store) -> None:
    head = TaskHead(id="t", name="T", current_version=1)
    connection = Connection(
        id="c", name="C", kind=ConnectionKind.CLIENT_MANAGED, settings={"url": "u"}, sealed={"key": "x"}
    )
    await save(store, TASKS, "t", head)
    await save(store, TASK_VERSIONS, task_version_key("t", 1), version("t"))
    await save(store, CONNECTIONS, "c", connection)
    reader = ConfigurationReader(store)
    assert await reader.task_head("t") == head
    assert await reader.task_version("t", 1) == version("t")
    assert await reader.connection("c") == connection


async def test_what_is_not_there_is_none(store: Store) -> None:
    reader = ConfigurationReader(store)
    assert await reader.task_head("t") is None
    assert await reader.task_version("t", 1) is None
    assert await reader.report("r") is None
    assert await reader.template("x") is None
    assert await reader.storage_space("s") is None
    assert await reader.recipients(["r"]) == {}


async def test_several_are_read_by_id(store: Store) -> None:
    for key in ("a", "b", "c"):
        await save(store, RECIPIENTS, key, Recipient(id=key, name=key.upper()))
    await save(store, GROUPS, "g", Group(id="g", name="G", members=("a", "b")))
    reader = ConfigurationReader(store)
    assert sorted(await reader.recipients(["a", "c", "missing", "a"])) == ["a", "c"]
    assert (await reader.groups(["g"]))["g"].members == ("a", "b")


async def test_only_tasks_with_triggers_in_their_current_version(store: Store) -> None:
    for task, enabled, current in (("a", True, 2), ("a-b", False, 1), ("c", True, 1)):
        await save(store, TASKS, task, TaskHead(id=task, name=task, enabled=enabled, current_version=current))
    await save(store, TASK_VERSIONS, "a:1", version("a", 1, triggers=()))
    await save(store, TASK_VERSIONS, "a:2", version("a", 2))
    await save(store, TASK_VERSIONS, "a-b:1", version("a-b"))
    await save(store, TASK_VERSIONS, "c:1", version("c", triggers=()))
    pairs = [pair async for pair in ConfigurationReader(store).tasks_with_triggers()]
    assert [(head.id, head.enabled, task.version) for head, task in pairs] == [
        ("a", True, 2),
        ("a-b", False, 1),
    ]


async def test_more_tasks_than_one_batch(store: Store) -> None:
    keys = [f"t-{n:03}" for n in range(450)]
    await store.db[TASKS].insert_many(
        [to_document(key, TaskHead(id=key, name=key, current_version=1)) for key in keys]
    )
    await store.db[TASK_VERSIONS].insert_many([to_document(f"{key}:1", version(key)) for key in keys])
    pairs = [pair async for pair in ConfigurationReader(store).tasks_with_triggers()]
    assert [head.id for head, _ in pairs] == keys


async def test_task_that_does_not_fit_stops_nobody_else(store: Store) -> None:
    for key in ("bad", "good"):
        await save(store, TASKS, key, TaskHead(id=key, name=key, current_version=1))
        await save(store, TASK_VERSIONS, f"{key}:1", version(key))
    await store.db[TASK_VERSIONS].update_one({"_id": "bad:1"}, {"$set": {"deadline": "soon"}})
    reader = ConfigurationReader(store)
    assert [head.id async for head, _ in reader.tasks_with_triggers()] == ["good"]
    with pytest.raises(Permanent) as raised:
        await reader.task_version("bad", 1)
    assert raised.value.code == "configuration-invalid"
    assert "deadline" in raised.value.message
