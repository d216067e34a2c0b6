"""Reloads of a Qlik site, read through the Qlik client."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from qlik import QlikClient, QlikError, ReloadSeen
from runtime.errors import Transient
from scheduler.domain.outside import SLACK, Span, belongs_to_an_execution
from scheduler.domain.reloads import Reload, ReloadStatus

# The default limit of a task of a client-managed site; Cloud ends reloads far sooner.
_LONGEST_RELOAD = timedelta(days=1)
_JUDGED_AT_MOST = 10_000
_APPS_EVERY = timedelta(minutes=10)
# An app made just now may take a moment to be listed.
_APPS_AGAIN = timedelta(minutes=1)


class RepositoryReloads:
    """Implements `ports.ReloadSource` for a client-managed site.

    An execution has a record of its own. A reload outside the scheduler only moves the app's reload time; it
    is believed `settle_s` seconds later, when the record of an execution would be there.
    """

    def __init__(
        self, connection_id: str, client: QlikClient, *, now: Callable[[], datetime], settle_s: float
    ) -> None:
        """Take the connection's id, an open client, the clock, and how long a load is waited with."""
        self._connection_id = connection_id
        self._client = client
        self._now = now
        self.settle = timedelta(seconds=settle_s)
        self._outside: dict[str, bool] = {}

    async def since(self, mark: datetime) -> Sequence[Reload]:
        """Return the reloads that ended at or after `mark`, oldest first. Raises Transient."""
        with transient(self._client):
            repository = self._client.repository
            executions, loads = await asyncio.gather(
                repository.executions_since(mark), repository.app_reload_times_since(mark)
            )
            outside = [load for load in loads if await self._is_outside(load, executions)]
        found = _over(self._connection_id, [*executions, *outside])
        return sorted(found, key=lambda reload: reload.finished_at)

    async def _is_outside(self, load: ReloadSeen, executions: Iterable[ReloadSeen]) -> bool:
        at = load.finished_at
        if at is None or belongs_to_an_execution(load.app_id, at, _spans(executions)):
            return False
        if load.reload_id in self._outside:
            return self._outside[load.reload_id]
        if at + self.settle > self._now() or not _is_guid(load.app_id):
            # Looked at again: the mark is not moved past what is younger than its overlap.
            return False
        around = await self._client.repository.executions_of(load.app_id, at - _LONGEST_RELOAD - SLACK)
        outside = not belongs_to_an_execution(load.app_id, at, _spans(around))
        if len(self._outside) >= _JUDGED_AT_MOST:
            self._outside.clear()
        self._outside[load.reload_id] = outside
        return outside


class TenantReloads:
    """Implements `ports.ReloadSource` for a tenant of Qlik Cloud.

    A tenant lists reloads by when they were asked for. What still runs is therefore remembered, and the first
    time the list is read a day back: a reload that takes hours is found at its end all the same.
    """

    settle = timedelta(0)

    def __init__(self, connection_id: str, client: QlikClient) -> None:
        """Take the connection's id and an open client."""
        self._connection_id = connection_id
        self._client = client
        self._running: Mapping[str, datetime] | None = None

    async def since(self, mark: datetime) -> Sequence[Reload]:
        """Return the reloads that ended at or after `mark`, oldest first. Raises Transient."""
        running = self._running
        longest = mark - _LONGEST_RELOAD
        # One that stays in the queue for days must not make every poll read days of reloads.
        back_to = longest if running is None else max(longest, min([mark, *running.values()]))
        with transient(self._client):
            seen = await self._client.tenant.reloads_created_since(back_to)
        self._running = {
            each.reload_id: each.began_at for each in seen if not each.over and each.began_at is not None
        }
        ended = [each for each in _over(self._connection_id, seen) if each.finished_at >= mark]
        return sorted(ended, key=lambda reload: reload.finished_at)


class SiteAppIds:
    """Which apps a site has: asked every ten minutes, or every minute while one waited for is missing."""

    def __init__(self, client: QlikClient, *, now: Callable[[], datetime]) -> None:
        """Take an open client and the clock."""
        self._client = client
        self._now = now
        self._ids: frozenset[str] = frozenset()
        self._due: datetime | None = None

    async def __call__(self, waited_for: Collection[str]) -> frozenset[str]:
        """Return the ids of the apps that the connection's user sees. Raises Transient."""
        now = self._now()
        # A clock that was set back must not put the next question off.
        if self._due is None or not timedelta(0) < self._due - now <= _APPS_EVERY:
            with transient(self._client):
                self._ids = frozenset(app.id for app in await self._client.apps())
            missing = not self._ids.issuperset(waited_for)
            self._due = now + (_APPS_AGAIN if missing else _APPS_EVERY)
        return self._ids


def _over(connection_id: str, seen: Iterable[ReloadSeen]) -> Iterator[Reload]:
    for each in seen:
        # A reload that was cancelled before it began has no end.
        finished = each.finished_at or each.began_at
        if each.over and finished is not None:
            yield Reload(
                connection_id=connection_id,
                app_id=each.app_id,
                reload_id=each.reload_id,
                status=ReloadStatus(each.status),
                finished_at=finished,
            )


def _spans(executions: Iterable[ReloadSeen]) -> Iterator[Span]:
    for each in executions:
        yield Span(each.app_id, each.began_at, each.finished_at)


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@contextmanager
def transient(client: QlikClient) -> Iterator[None]:
    """Turn the client's errors into Transient: whatever is wrong with a site may be mended there."""
    try:
        yield
    except QlikError as error:
        raise Transient(f"Qlik site {client.site.name}: {error} {error.remedy}".strip()) from error
