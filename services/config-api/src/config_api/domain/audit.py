"""The audit trail as a chain: every record holds the hash of the one before it.

Changing, removing or inserting a record breaks every hash from there on. What a chain alone cannot show is
that its newest records were cut off; for that, `check` takes a head that was noted earlier, elsewhere.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64
"""What the first record names as the hash before it."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A message as it came from the bus, byte for byte, with what it is found again by."""

    event_id: str
    type: str
    subject: str
    occurred_at: datetime | None
    """When the fact happened according to the message, UTC, in milliseconds; None when it does not say."""
    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """In the order they came."""
    body: bytes
    execution_id: str | None = None
    task_id: str | None = None
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One link of the chain."""

    seq: int
    recorded_at: datetime
    event: AuditEvent
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link: its number and hash."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking the chain found."""

    records: int
    head: Head
    broken_seq: int | None = None
    reason: str = ""

    @property
    def intact(self) -> bool:
        """Return whether nothing was found."""
        return self.broken_seq is None


def describe(
    topic: str,
    key: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    body: bytes,
    *,
    partition: int,
    offset: int,
) -> AuditEvent:
    """Return a message as it goes into the trail. Never raises: what is no event is kept all the same.

    A message without a CloudEvents id gets one made of where it lay and what it holds, so that reading it
    twice keeps it once.
    """
    text = {name: value.decode(errors="replace")[:400] for name, value in headers}
    fields = _fields(body)
    unnamed = hashlib.sha256(f"{topic}/{partition}/{offset}/".encode() + body).hexdigest()
    return AuditEvent(
        event_id=text.get("ce_id") or f"raw:{unnamed}",
        type=text.get("ce_type", ""),
        subject=text.get("ce_subject", ""),
        occurred_at=_moment(text.get("ce_time", "")),
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        headers=tuple(headers),
        body=body,
        execution_id=_text(fields.get("execution_id")),
        task_id=_text(fields.get("task_id")) or _entity(fields, "task"),
        recipients=_recipients(fields),
    )


def link(head: Head, events: Sequence[AuditEvent], recorded_at: datetime) -> list[AuditRecord]:
    """Return the records that append `events`, in order, after `head`."""
    records: list[AuditRecord] = []
    for event in events:
        seq = head.seq + 1
        digest = record_hash(head.hash, seq, milliseconds(recorded_at), event)
        records.append(AuditRecord(seq, milliseconds(recorded_at), event, head.hash, digest))
        head = Head(seq, digest)
    return records


def record_hash(previous: str, seq: int, recorded_at: datetime, event: AuditEvent) -> str:
    """Return SHA-256 over the hash before and the canonical form of everything the record holds."""
    content = {
        "seq": seq,
        "recorded_at": recorded_at.isoformat(),
        "event_id": event.event_id,
        "type": event.type,
        "subject": event.subject,
        "occurred_at": event.occurred_at.isoformat() if event.occurred_at else None,
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "key": None if event.key is None else base64.b64encode(event.key).decode(),
        "headers": [[name, base64.b64encode(value).decode()] for name, value in event.headers],
        "body": base64.b64encode(event.body).decode(),
        "execution_id": event.execution_id,
        "task_id": event.task_id,
        "recipients": list(event.recipients),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()


@dataclass(slots=True)
class ChainCheck:
    """Checks records one after the other, in the order of their numbers; stops at the first break."""

    expect: Head | None = None
    """A head noted earlier that the chain has to contain."""
    head: Head = field(default_factory=Head)
    records: int = 0
    broken_seq: int | None = None
    reason: str = ""

    def feed(self, record: AuditRecord) -> bool:
        """Check one record. Return whether the chain is intact so far."""
        fault = self._fault(record)
        if fault:
            self.broken_seq, self.reason = min(record.seq, self.head.seq + 1), fault
            return False
        self.head = Head(record.seq, record.hash)
        self.records += 1
        return True

    def verdict(self) -> Verdict:
        """Return what was found."""
        if self.broken_seq is None and self.expect is not None and self.head.seq < self.expect.seq:
            return Verdict(
                self.records, self.head, self.head.seq + 1, f"records up to {self.expect.seq} were there once"
            )
        return Verdict(self.records, self.head, self.broken_seq, self.reason)

    def _fault(self, record: AuditRecord) -> str:
        if record.seq != self.head.seq + 1:
            return f"record {self.head.seq + 1} is missing; the next one is {record.seq}"
        if record.previous != self.head.hash:
            return "does not continue the record before it"
        if record.hash != record_hash(record.previous, record.seq, record.recorded_at, record.event):
            return "its content is not what was recorded"
        if self.expect is not None and record.seq == self.expect.seq and record.hash != self.expect.hash:
            return "is another record than the one noted earlier"
        return ""


def verify(records: Iterable[AuditRecord], expect: Head | None = None) -> Verdict:
    """Return what checking a whole chain finds; `records` in the order of their numbers."""
    check = ChainCheck(expect=expect)
    for record in records:
        if not check.feed(record):
            break
    return check.verdict()


def milliseconds(moment: datetime) -> datetime:
    """Return a moment as the store keeps it: UTC, cut to milliseconds."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _moment(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
        return milliseconds(parsed) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str | None:
    # A lone surrogate is valid in JSON and in no database.
    return value[:400].encode(errors="replace").decode() if isinstance(value, str) and value else None


def _entity(fields: Mapping[str, Any], kind: str) -> str | None:
    return _text(fields.get("entity_id")) if fields.get("entity") == kind else None


def _recipients(fields: Mapping[str, Any]) -> tuple[str, ...]:
    hub = fields.get("hub")
    visible = hub.get("visible_to") if isinstance(hub, dict) else None
    named = [
        fields.get("recipient_id"),
        _entity(fields, "recipient"),
        *(visible if isinstance(visible, list) else []),
    ]
    return tuple(sorted({text for text in map(_text, named) if text}))
