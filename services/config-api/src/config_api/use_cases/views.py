"""Keep the read models up with the audit trail, or build them anew."""

from collections.abc import Sequence

import structlog
from prometheus_client import Gauge

from config_api.domain.audit import AuditRecord
from config_api.domain.projection import Document, Fact, Target, replay, targets
from config_api.ports import AuditTrail, Checkpoint, ViewWriter
from contracts.envelope import MalformedEventError, decode
from runtime.errors import Transient
from runtime.rounds import Rounds

log = structlog.get_logger(__name__)

_ROUNDS = Rounds("projector")

SEQ = Gauge("broadsheet_views_seq", "Number of the audit record the read models have reached.")


class Projector:
    """Folds the audit trail into the views, in its order, from the checkpoint on.

    Documents and checkpoint are written together or not at all, and only if nobody moved the checkpoint
    meanwhile: several replicas may project at once.
    """

    def __init__(self, *, trail: AuditTrail, views: ViewWriter, batch: int = 200) -> None:
        """Take the ports and how many records are folded at a time."""
        self._trail = trail
        self._views = views
        self._batch = batch

    async def catch_up(self) -> int:
        """Fold everything there is; return the number of the last record."""
        while True:
            since = await self._views.checkpoint()
            if since.clearing:
                while await self._views.clear_some():
                    pass
                continue
            seq = await self._step(since)
            if seq is None:
                return since.seq

    async def rebuild(self) -> int:
        """Delete every view and fold the trail from the beginning; return the number of the last record."""
        await self._views.request_clearing()
        return await self.catch_up()

    async def _step(self, since: Checkpoint) -> int | None:
        records = [record async for record in self._trail.read(after=since.seq, limit=self._batch)]
        if not records:
            return None
        try:
            return await self._fold(since, records)
        except Transient:
            raise
        except Exception:
            log.exception("records cannot be folded together", first_seq=records[0].seq, records=len(records))
        # One by one until the record is passed that nothing can be made of.
        record = records[0]
        with _ROUNDS.isolated(seq=str(record.seq), event_id=str(record.event.event_id)):
            return await self._fold(since, [record])
        await self._views.advance(since, record.seq, {})
        return record.seq

    async def _fold(self, since: Checkpoint, records: Sequence[AuditRecord]) -> int:
        facts = [fact for record in records if (fact := to_fact(record)) is not None]
        wanted = {target for fact in facts for target in targets(fact.event)}
        documents: dict[Target, Document] = await self._views.load(sorted(wanted, key=str))
        changed = replay(documents, facts)
        seq = records[-1].seq
        if await self._views.advance(since, seq, {target: documents[target] for target in changed}):
            SEQ.set(seq)
        return seq


def to_fact(record: AuditRecord) -> Fact | None:
    """Return what a record says, or None when it is no event this program knows."""
    headers = {name: value.decode(errors="replace") for name, value in record.event.headers}
    try:
        received = decode(headers, record.event.body)
    except MalformedEventError:
        return None
    return Fact(record.seq, received.event, record.event.occurred_at or record.recorded_at)
