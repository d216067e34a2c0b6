"""Which reloads are read of each kind of site: every one once, however long it took, wherever it ran."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from qlik import ReloadSeen
from qlik import Transient as SiteAway
from runtime.errors import Transient
from scheduler.adapters.qlik import RepositoryReloads, TenantReloads
from support.clock import FakeClock

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
APP = "3b1c6a52-9f0d-4c9e-8a0b-f11640201301"


def client(**parts: Any) -> Any:
    return SimpleNamespace(site=SimpleNamespace(name="site"), **parts)


class FakeTenant:
    def __init__(self) -> None:
        self.reloads: list[ReloadSeen] = []
        self.asked: list[datetime] = []

    async def reloads_created_since(self, mark: datetime) -> list[ReloadSeen]:
        self.asked.append(mark)
        return [each for each in self.reloads if each.began_at is not None and each.began_at >= mark]


class FakeRepository:
    def __init__(self) -> None:
        self.executions: list[ReloadSeen] = []
        self.loads: list[ReloadSeen] = []
        self.looked: list[str] = []

    async def executions_since(self, mark: datetime) -> list[ReloadSeen]:
        return [
            each for each in self.executions if each.over and each.finished_at and each.finished_at > mark
        ]

    async def executions_of(self, app_id: str, began_after: datetime) -> list[ReloadSeen]:
        self.looked.append(app_id)
        return [
            each
            for each in self.executions
            if each.app_id == app_id and each.began_at is not None and each.began_at > began_after
        ]

    async def app_reload_times_since(self, mark: datetime) -> list[ReloadSeen]:
        return [each for each in self.loads if each.finished_at and each.finished_at > mark]


def cloud(reload_id: str, began: datetime, ended: datetime | None, status: Any = "succeeded") -> ReloadSeen:
    return ReloadSeen(
        "cloud-reload", APP, reload_id, status if ended else "running", finished_at=ended, began_at=began
    )


def execution(began: datetime | None, ended: datetime | None, app: str = APP) -> ReloadSeen:
    status: Any = "succeeded" if ended else "running"
    return ReloadSeen("qrs-execution", app, f"e-{began}", status, finished_at=ended, began_at=began)


def load(at: datetime, app: str = APP) -> ReloadSeen:
    return ReloadSeen("qrs-app", app, f"{app}@{at}", "succeeded", finished_at=at, last_reload_time=at)


async def read(source: RepositoryReloads | TenantReloads, mark: datetime) -> list[str]:
    return [each.reload_id for each in await source.since(mark)]


async def test_a_reload_that_takes_hours_is_found_at_its_end_although_others_ended_after_it_began() -> None:
    tenant = FakeTenant()
    source = TenantReloads("cloud", client(tenant=tenant))
    tenant.reloads = [cloud("long", NOW, None)]
    assert [] == await read(source, NOW - MINUTE)

    tenant.reloads.append(cloud("short", NOW + 60 * MINUTE, NOW + 61 * MINUTE))
    assert ["short"] == await read(source, NOW + 56 * MINUTE)
    tenant.reloads[0] = cloud("long", NOW, NOW + 180 * MINUTE)

    assert ["long"] == await read(source, NOW + 175 * MINUTE)
    assert NOW == tenant.asked[-1], "the list is read back to the beginning of what still ran, and no further"
    await read(source, NOW + 190 * MINUTE)
    assert NOW + 190 * MINUTE == tenant.asked[-1]


async def test_a_reload_that_ran_when_the_listener_was_started_is_found_at_its_end() -> None:
    tenant = FakeTenant()
    tenant.reloads = [cloud("long", NOW - 120 * MINUTE, NOW)]

    assert ["long"] == await read(TenantReloads("cloud", client(tenant=tenant)), NOW - MINUTE)


async def test_a_reload_cancelled_before_it_began_has_an_end_all_the_same() -> None:
    tenant = FakeTenant()
    cancelled = ReloadSeen("cloud-reload", APP, "c", "cancelled", finished_at=None, began_at=NOW)
    tenant.reloads = [cancelled]

    assert ["c"] == await read(TenantReloads("cloud", client(tenant=tenant)), NOW - MINUTE)


def repository_at(now: datetime) -> tuple[RepositoryReloads, FakeRepository, FakeClock]:
    repository, clock = FakeRepository(), FakeClock(now)
    source = RepositoryReloads("managed", client(repository=repository), now=clock.now, settle_s=15)
    return source, repository, clock


async def test_a_load_during_an_execution_is_that_execution_s_while_it_runs_and_after() -> None:
    source, repository, clock = repository_at(NOW + 2 * MINUTE)
    repository.executions = [execution(NOW - 5 * MINUTE, None)]
    repository.loads = [load(NOW)]
    assert [] == await read(source, NOW - 10 * MINUTE)

    ended = execution(NOW - 5 * MINUTE, NOW + MINUTE)
    repository.executions = [ended]
    clock.advance(MINUTE)
    assert [ended.reload_id] == await read(source, NOW - 10 * MINUTE)


@pytest.mark.parametrize(
    "other",
    [
        execution(NOW - 9 * MINUTE, NOW - MINUTE),
        execution(NOW + MINUTE, NOW + 2 * MINUTE),
        execution(NOW + MINUTE, None),
        execution(NOW - MINUTE, NOW + MINUTE, app="00000000-0000-0000-0000-000000000001"),
        execution(None, NOW + MINUTE),
    ],
    ids=["before", "after", "runs since", "of another app", "never began"],
)
async def test_a_load_that_no_execution_explains_is_a_reload(other: ReloadSeen) -> None:
    source, repository, _ = repository_at(NOW + 3 * MINUTE)
    repository.executions, repository.loads = [other], [load(NOW)]

    found = await read(source, NOW - 30 * MINUTE)

    assert load(NOW).reload_id in found


async def test_a_load_is_believed_when_an_execution_would_be_there_and_looked_into_once() -> None:
    source, repository, clock = repository_at(NOW + timedelta(seconds=14))
    repository.loads = [load(NOW)]
    assert [] == await read(source, NOW - MINUTE)

    clock.advance(timedelta(seconds=1))
    assert [load(NOW).reload_id] == await read(source, NOW - MINUTE)
    assert [load(NOW).reload_id] == await read(source, NOW - MINUTE)
    assert [APP] == repository.looked


async def test_an_id_that_is_none_never_becomes_part_of_a_filter() -> None:
    source, repository, _ = repository_at(NOW + MINUTE)
    repository.loads = [load(NOW, app="x' or name eq '")]

    assert [] == await read(source, NOW - MINUTE)
    assert [] == repository.looked


async def test_what_is_wrong_with_a_site_is_transient_and_names_the_remedy() -> None:
    class Away(FakeTenant):
        async def reloads_created_since(self, mark: datetime) -> list[ReloadSeen]:
            raise SiteAway("no answer", code="timeout", remedy="see whether it runs")

    with pytest.raises(Transient, match=r"Qlik site site: .*no answer.* see whether it runs"):
        await TenantReloads("cloud", client(tenant=Away())).since(NOW)
