"""A notifier that dies at any step, before or after the step took effect, and gets its message again."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contracts.events import Outcome
from notifier.adapters.stored import StoredLogs
from notifier.domain.model import Status, Triggered
from notifier.use_cases.mailing import Post, Sender
from notifier.use_cases.watch import Watch
from runtime.plans import StoredPlans
from support.clock import FakeClock
from support.fake_ledger import FakeLedger
from support.fake_mail import FakeMail
from support.fake_objects import FakeObjects
from support.notifier_kit import (
    DEADLINE,
    EXECUTION,
    NOW,
    TRIGGER,
    FakeExecutions,
    FakeTasks,
    delivery,
    plan,
    planned,
    unit,
)

LEASE = timedelta(minutes=3)


class Died(BaseException):
    pass


class Fate:
    """Lets the process die at its n-th step."""

    def __init__(self, step: int, *, after: bool) -> None:
        self.left = step
        self.after = after

    def wrap(self, port: Any, *names: str) -> Any:
        """Return the port with the named methods counted as steps."""
        return _Fated(port, names, self)

    async def step(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Died
        result = await call()
        if self.left == 0:
            raise Died
        return result


class _Fated:
    def __init__(self, port: Any, names: tuple[str, ...], fate: Fate) -> None:
        self._port, self._names, self._fate = port, names, fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._names:
            return method

        async def fated(*args: Any, **kwargs: Any) -> Any:
            return await self._fate.step(lambda: method(*args, **kwargs))

        return fated


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 26))
async def test_execution_ends_once_and_its_mail_is_written_once(step: int, after: bool) -> None:
    executions, objects, mails = FakeExecutions(), FakeObjects(), FakeLedger()
    ref = await objects.put("p", plan().model_dump_json().encode(), content_type="application/json")
    fate = Fate(step, after=after)
    watch = Watch(
        executions=fate.wrap(
            executions, "triggered", "planned", "settled", "get", "items", "complete", "announced"
        ),
        plans=StoredPlans(objects),
        logs=fate.wrap(StoredLogs(objects), "store"),
        tasks=FakeTasks(),
        mails=fate.wrap(mails, "add"),
        clock=FakeClock(NOW + timedelta(minutes=1)),
    )
    messages: list[Callable[[], Awaitable[None]]] = [
        lambda: watch.triggered(EXECUTION, "t-1", Triggered(at=NOW, trigger=TRIGGER)),
        lambda: watch.settled(unit(Status.GENERATED)),
        lambda: watch.planned(EXECUTION, "t-1", planned(1, 1, plan=ref), DEADLINE),
        lambda: watch.settled(delivery(Status.SUCCEEDED)),
    ]
    for message in messages:
        try:
            await message()
        except Died:
            await message()
    await watch.sweep()
    (event,) = executions.completed()
    assert event.outcome is Outcome.SUCCESS
    assert [row["letter"]["to"] for row in mails.rows.values()] == ["ann@example.org"]
    assert executions.pending == set()
    assert executions.late == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 8))
async def test_mail_reaches_the_server_at_most_once_and_settles_once(step: int, after: bool) -> None:
    executions, objects, mails, server = FakeExecutions(), FakeObjects(), FakeLedger(), FakeMail()
    ref = await objects.put("p", plan().model_dump_json().encode(), content_type="application/json")
    clock = FakeClock(NOW + timedelta(minutes=1))
    watch = Watch(
        executions=executions,
        plans=StoredPlans(objects),
        logs=StoredLogs(objects),
        tasks=FakeTasks(),
        mails=mails,
        clock=clock,
    )
    await watch.planned(EXECUTION, "t-1", planned(1, 0, plan=ref), DEADLINE)
    await watch.settled(unit(Status.GENERATED))
    fate = Fate(step, after=after)
    healthy = Post(
        mails=mails,
        logs=StoredLogs(objects),
        mailer=server,
        clock=clock,
        sender=Sender("reports@example.org", "", "example.org"),
        lease_for=LEASE,
    )
    doomed = replace(
        healthy,
        mails=fate.wrap(mails, "claim", "mark", "settle"),
        logs=fate.wrap(StoredLogs(objects), "load"),
        mailer=fate.wrap(server, "send"),
    )
    try:
        await doomed.send_due()
    except Died:
        clock.advance(LEASE)
        await healthy.send_due()
        await healthy.resolve_abandoned()
    (row,) = mails.rows.values()
    assert len(server.sent) <= 1
    assert len(row["outbox"]) == 1
    assert row["state"] in ({"succeeded", "unknown"} if server.sent else {"unknown"})
