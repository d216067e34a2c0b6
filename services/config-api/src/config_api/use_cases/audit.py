"""The audit trail: append every message once, find, verify."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from config_api.domain.audit import AuditEvent, AuditRecord, ChainCheck, Head, Verdict, link
from config_api.domain.rights import Actor, Right, demand
from config_api.ports import AuditQuery, AuditTrail
from runtime.clock import Clock

log = structlog.get_logger(__name__)

RECORDED = Counter("broadsheet_audit_records_total", "Messages appended to the audit trail.")
DUPLICATES = Counter("broadsheet_audit_duplicates_total", "Messages that were in the audit trail already.")
CONTENDED = Counter("broadsheet_audit_contended_total", "Appends that another replica was faster with.")

_MOST_RECORDS = 250
# Far below the 48 MB a MongoDB write message may have, and what a replica should hold in memory.
_MOST_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class _Waiting:
    event: AuditEvent
    done: asyncio.Future[None]


class Recorder:
    """Appends messages to the chain, many callers in one write.

    Handlers of all topics call `record` side by side; while one write is under way the next batch gathers.
    Another replica may append at the same time: the store takes a number only once, and who comes second
    links its records anew behind what is there.
    """

    def __init__(self, *, trail: AuditTrail, clock: Clock) -> None:
        """Take the ports."""
        self._trail = trail
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._writing = asyncio.Lock()
        self._head: Head | None = None
        """The newest record, as far as is known here; None when it has to be asked."""

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is safely in the trail. Raises Transient when the store is away."""
        mine = _Waiting(event, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        async with self._writing:
            # Whoever got the lock first wrote for those who were waiting then, oldest first.
            while not mine.done.done():
                await self._write(self._take())
        await mine.done

    def _take(self) -> list[_Waiting]:
        size, count = 0, 0
        for each in self._waiting[:_MOST_RECORDS]:
            size += len(each.event.body) + 4096
            if count and size > _MOST_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._append([each.event for each in batch])
        except BaseException as error:
            for each in batch:
                if not each.done.done():
                    each.done.set_exception(
                        error if isinstance(error, Exception) else asyncio.CancelledError()
                    )
                    # Everybody awaits their own future; one who was cancelled meanwhile does not.
                    each.done.exception()
            raise
        for each in batch:
            if not each.done.done():
                each.done.set_result(None)

    async def _append(self, events: Sequence[AuditEvent]) -> None:
        left = list({event.event_id: event for event in events}.values())
        DUPLICATES.inc(len(events) - len(left))
        while left:
            if self._head is None:
                # The head before the question: what is appended later takes a number of its own.
                head = await self._trail.head()
                known = await self._trail.known([event.event_id for event in left])
                DUPLICATES.inc(len(known))
                left = [event for event in left if event.event_id not in known]
                if not left:
                    self._head = head
                    return
            else:
                # Most batches follow one's own last one and hold nothing known: one write and no question.
                head = self._head
            self._head = None
            records = link(head, left, self._clock.now())
            stored = await self._trail.append(records)
            RECORDED.inc(stored)
            if stored == len(left):
                self._head = Head(records[-1].seq, records[-1].hash)
            else:
                CONTENDED.inc()
            left = left[stored:]


class Audit:
    """The trail as administrators ask it."""

    def __init__(self, *, trail: AuditTrail) -> None:
        """Take the port."""
        self._trail = trail

    def find(self, query: AuditQuery, actor: Actor) -> AsyncIterator[AuditRecord]:
        """Yield the records a query asks for, in order. Raises ForbiddenError."""
        demand(actor, Right.AUDIT)
        return self._trail.find(query)

    async def verify(self, actor: Actor, expect: Head | None = None) -> Verdict:
        """Compute the whole chain again and name the first record that does not fit."""
        demand(actor, Right.AUDIT)
        check = ChainCheck(expect=expect)
        async for record in self._trail.read():
            if not check.feed(record):
                break
        verdict = check.verdict()
        log.info("audit trail verified", records=verdict.records, broken_seq=verdict.broken_seq)
        return verdict
