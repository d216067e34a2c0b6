"""What the scheduler relies on of sightings and reload marks, on the fake and on both drivers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from runtime.store import Driver
from scheduler.adapters.mongo import MongoReloadMarks
from scheduler.adapters.sightings import MongoSightings
from scheduler.domain.reloads import Awaited, Reload, ReloadStatus
from scheduler.ports import Note, ReloadMarks, Sightings
from standalone.mongo import Mongo
from support.fake_scheduler import FakeReloadMarks, FakeSightings
from support.stores import DRIVERS, fresh_store

OPENS = datetime(2026, 3, 2, 4, tzinfo=UTC)
Ports = tuple[Sightings, ReloadMarks]


def reload(app: str = "a", number: int = 1, status: ReloadStatus = ReloadStatus.SUCCEEDED) -> Reload:
    return Reload("site", app, f"{app}-{number}", status, OPENS + timedelta(minutes=number))


class Promises:
    async def test_a_trigger_nobody_looked_at_waits_for_nothing(self, ports: Ports) -> None:
        assert {} == dict(await ports[0].known("t"))

    async def test_what_is_kept_is_known_and_replaced_as_a_whole(self, ports: Ports) -> None:
        sightings, _ = ports
        app = "a.$b/c"
        first = {
            Awaited("site", app, ReloadStatus.FAILED): OPENS,
            Awaited("s", "b", ReloadStatus.FAILED): OPENS,
        }
        second = {Awaited("site", app, ReloadStatus.SUCCEEDED, "window 04:00 UTC"): OPENS}

        await sightings.keep("t", first)
        assert first == dict(await sightings.known("t"))
        await sightings.keep("t", second)
        assert second == dict(await sightings.known("t"))

    async def test_of_each_app_and_status_the_first_that_is_noted_stays(self, ports: Ports) -> None:
        sightings, _ = ports
        failed = reload(number=2, status=ReloadStatus.FAILED)
        notes = [Note("t", OPENS, each) for each in (reload(number=3), reload(number=1), failed, reload("b"))]

        await sightings.note(notes[:1])
        await sightings.note(notes)
        await sightings.note([])

        found = await sightings.noted("t", OPENS - timedelta(seconds=1))
        assert {"a-3", "a-2", "b-1"} == {each.reload_id for each in found}
        assert failed in found

    async def test_notes_are_those_of_windows_that_opened_later(self, ports: Ports) -> None:
        sightings, _ = ports
        later = OPENS + timedelta(days=1)
        await sightings.note(
            [Note("t", OPENS, reload()), Note("t", later, reload("b")), Note("u", later, reload())]
        )

        assert ["b"] == [each.app_id for each in await sightings.noted("t", OPENS)]

    async def test_when_a_site_was_read_moves_forward_only(self, ports: Ports) -> None:
        _, marks = ports
        assert {} == dict(await marks.read_at(["north", "south"]))

        await marks.read("north", OPENS)
        await marks.read("north", OPENS - timedelta(minutes=1))
        await marks.advance("south", OPENS)

        assert {"north": OPENS} == dict(await marks.read_at({"north", "south"}))
        assert await marks.get("north") is None
        assert OPENS == await marks.get("south")


class TestFake(Promises):
    @pytest.fixture
    def ports(self) -> Ports:
        return FakeSightings(), FakeReloadMarks()


@pytest.mark.integration
@pytest.mark.parametrize("driver", DRIVERS, scope="class")
class TestMongo(Promises):
    @pytest.fixture
    async def ports(self, driver: Driver, mongo_server: Mongo) -> AsyncIterator[Ports]:
        async with fresh_store(mongo_server.uri, driver=driver) as store:
            sightings = MongoSightings(store)
            await sightings.ensure_indexes()
            await sightings.ensure_indexes()
            yield sightings, MongoReloadMarks(store)
