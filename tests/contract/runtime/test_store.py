"""What the store promises, with either driver."""

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pymongo import ASCENDING, IndexModel
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure
from pymongo.write_concern import WriteConcern

from runtime.errors import Permanent, Transient
from runtime.store import Driver, Store, open_store, store_errors
from standalone.mongo import Mongo
from support.servers import unique
from support.stores import DRIVERS, fresh_store

pytestmark = pytest.mark.integration


@pytest.fixture(params=DRIVERS)
async def store(request: pytest.FixtureRequest, mongo_server: Mongo) -> AsyncIterator[Store]:
    async with fresh_store(mongo_server.uri, driver=cast("Driver", request.param)) as opened:
        yield opened


async def test_datetimes_come_back_aware_in_utc(store: Store) -> None:
    moment = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    await store.db["things"].insert_one({"_id": "a", "at": moment})
    found = await store.db["things"].find_one({"_id": "a"})
    assert found is not None
    assert found["at"] == moment
    assert found["at"].utcoffset() is not None


async def test_writes_are_confirmed_by_a_majority_and_journalled(store: Store) -> None:
    concern = store.db.write_concern
    assert concern == WriteConcern(w="majority", j=True, wtimeout=20_000)
    assert store.db.read_concern.level == "majority"


async def test_aggregate_yields_documents(store: Store) -> None:
    await store.db["things"].insert_many([{"_id": n, "even": n % 2 == 0} for n in range(5)])
    pipeline: list[dict[str, Any]] = [{"$match": {"even": True}}, {"$sort": {"_id": 1}}]
    assert [each["_id"] async for each in store.aggregate("things", pipeline)] == [0, 2, 4]


async def test_cursor_can_be_sorted_limited_and_listed(store: Store) -> None:
    """These spellings are shared by both drivers, and repositories rely on them."""
    await store.db["things"].insert_many([{"_id": n} for n in range(5)])
    cursor = store.db["things"].find({}).sort("_id", -1).limit(2)
    assert await cursor.to_list(None) == [{"_id": 4}, {"_id": 3}]


async def test_transaction_commits_all_of_it(store: Store) -> None:
    async with store.transaction() as session:
        await store.db["a"].insert_one({"_id": 1}, session=session)
        await store.db["b"].insert_one({"_id": 1}, session=session)
    assert await store.db["a"].count_documents({}) == 1
    assert await store.db["b"].count_documents({}) == 1


async def test_transaction_that_raises_leaves_nothing(store: Store) -> None:
    async def interrupted() -> None:
        async with store.transaction() as session:
            await store.db["a"].insert_one({"_id": 1}, session=session)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await interrupted()
    assert await store.db["a"].count_documents({}) == 0


async def test_conflict_of_two_transactions_is_transient(store: Store) -> None:
    await store.db["a"].insert_one({"_id": 1, "n": 0})

    async def inner() -> None:
        async with store.transaction() as second:
            await store.db["a"].update_one({"_id": 1}, {"$set": {"n": 2}}, session=second)

    async with store.transaction() as first:
        await store.db["a"].update_one({"_id": 1}, {"$set": {"n": 1}}, session=first)
        with pytest.raises(Transient):
            await inner()
    found = await store.db["a"].find_one({"_id": 1})
    assert found == {"_id": 1, "n": 1}


async def test_indexes_may_be_ensured_again_and_again(store: Store) -> None:
    indexes = [IndexModel([("n", ASCENDING)], name="by_n", unique=True)]
    await store.ensure_indexes("things", indexes)
    await store.ensure_indexes("things", indexes)
    assert "by_n" in await store.db["things"].index_information()


async def test_ready_when_it_answers(store: Store) -> None:
    assert await store.problems() == []


async def test_duplicate_key_is_the_callers_to_understand(store: Store) -> None:
    await store.db["things"].insert_one({"_id": 1})
    with pytest.raises(DuplicateKeyError), store_errors():
        await store.db["things"].insert_one({"_id": 1})


async def test_document_that_is_too_large_is_permanent_and_says_what_to_do(store: Store) -> None:
    with pytest.raises(Permanent) as raised, store_errors():
        await store.db["things"].insert_one({"_id": 1, "text": "x" * (17 * 1024 * 1024)})
    assert raised.value.code == "document-too-large"
    assert "Split the task" in raised.value.remedy


async def test_document_that_grows_too_large_is_permanent_too(store: Store) -> None:
    nine = "x" * (9 * 1024 * 1024)
    await store.db["things"].insert_one({"_id": 1, "a": nine})
    with pytest.raises(Permanent, match="16 MiB"), store_errors():
        await store.db["things"].update_one({"_id": 1}, {"$set": {"b": nine}})


@pytest.mark.parametrize("driver", DRIVERS)
async def test_server_that_is_not_there_is_transient(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.store._SERVER_SELECTION_MS", 300)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    uri = f"mongodb://someone:hunter2@127.0.0.1:{port}/?replicaSet=rs0"
    with warnings.catch_warnings():
        # PyMongo's asyncio client leaves a socket of a refused attempt to the collector when it is closed.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(Transient) as raised:
            async with open_store(uri, unique("db"), driver=driver):
                pass
        text = str(raised.value)
        del raised
        await asyncio.sleep(0.2)
        gc.collect()
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AutoReconnect("connection closed"), Transient),
        (OperationFailure("not primary", 10107), Transient),
        (OperationFailure("conflict", 112), Transient),
        (OperationFailure("auth", 18), Transient),
        (OperationFailure("unknown operator", 2), OperationFailure),
        (BulkWriteError({"writeErrors": [{"code": 121}]}), BulkWriteError),
        (KeyError("a bug"), KeyError),
    ],
)
async def test_driver_errors_become_the_failure_policys_and_bugs_stay_bugs(
    error: Exception, kind: type[Exception]
) -> None:
    @store_errors()
    async def work() -> None:
        raise error

    with pytest.raises(kind):
        await work()
