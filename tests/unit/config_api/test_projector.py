"""The read models go on behind a record that nothing can be made of."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest

from config_api.domain.audit import AuditEvent, AuditRecord, Head
from config_api.domain.projection import Document, Target
from config_api.ports import AuditQuery, Checkpoint
from config_api.use_cases.views import Projector
from contracts import ids
from contracts.envelope import encode
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind
from runtime.errors import Transient

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def record(seq: int, missed: int = 0) -> AuditRecord:
    trigger = TriggerInfo(
        kind=TriggerKind.SCHEDULE, trigger_id="t", occurrence=str(seq), due_at=NOW, missed=missed
    )
    event = TaskTriggered(
        execution_id=ids.execution_id("t", str(seq)), task_id=f"task-{seq}", trigger=trigger
    )
    message = encode(event, source="scheduler", time=NOW)
    headers = tuple((name, value.encode()) for name, value in message.headers.items())
    return AuditRecord(
        seq=seq,
        recorded_at=NOW,
        event=AuditEvent(
            event_id=str(seq),
            type="task-triggered",
            subject="",
            occurred_at=NOW,
            topic=message.topic,
            partition=0,
            offset=seq,
            key=None,
            headers=headers,
            body=message.body,
        ),
        previous="",
        hash="",
    )


class Trail:
    def __init__(self, *records: AuditRecord) -> None:
        self.records = records

    async def read(self, after: int = 0, limit: int = 0) -> AsyncIterator[AuditRecord]:
        for each in [each for each in self.records if each.seq > after][: limit or None]:
            yield each

    def find(self, query: AuditQuery) -> AsyncIterator[AuditRecord]:
        raise NotImplementedError(query)

    async def head(self) -> Head:
        raise NotImplementedError

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        raise NotImplementedError(event_ids)

    async def append(self, records: Sequence[AuditRecord]) -> int:
        raise NotImplementedError(records)


class Views:
    """A store that, as MongoDB, takes no number above 64 bits; `away` is what it raises otherwise."""

    def __init__(self) -> None:
        self.at = Checkpoint()
        self.documents: dict[Target, Document] = {}
        self.away: Exception | None = None

    async def checkpoint(self) -> Checkpoint:
        return self.at

    async def load(self, wanted: Sequence[Target]) -> dict[Target, Document]:
        return {target: self.documents[target] for target in wanted if target in self.documents}

    async def advance(self, since: Checkpoint, seq: int, changed: Mapping[Target, Document]) -> bool:
        if self.away is not None:
            raise self.away
        if any(str(2**70) in str(document) for document in changed.values()):
            raise OverflowError("MongoDB can only handle up to 8-byte ints")
        assert since == self.at
        self.at = Checkpoint(seq)
        self.documents |= changed
        return True

    async def request_clearing(self) -> None:
        raise NotImplementedError

    async def clear_some(self) -> bool:
        return False


async def test_a_record_that_cannot_be_stored_keeps_no_other_from_being_shown() -> None:
    views = Views()

    assert (
        4
        == await Projector(
            trail=Trail(record(1), record(2, 2**70), record(3), record(4)), views=views
        ).catch_up()
    )

    shown = {target.id for target in views.documents}
    assert {"task-1", "task-3", "task-4"} <= shown
    assert "task-2" not in shown


async def test_while_the_store_is_unavailable_no_record_is_passed_over() -> None:
    views = Views()
    views.away = Transient("no primary")

    with pytest.raises(Transient):
        await Projector(trail=Trail(record(1)), views=views).catch_up()

    assert Checkpoint() == views.at
