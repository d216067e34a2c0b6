"""One planned delivery as a row of the ledger, and how the outcomes of its units move it.

A row waits until each of its units has settled. Then it is ready to be delivered, or skipped because nothing
was generated for it. The rules here look at facts only, so any order of events leads to the same rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.base import Artifact, ExecutionId, Id, Reason, Utc, Wire
from contracts.configuration import Email
from contracts.events import (
    Channel,
    DeliveredFile,
    ReportFailed,
    ReportGenerated,
    ReportSkipped,
    UnitEvent,
)
from contracts.mailing import Addresses, AddressState, addressed
from contracts.plan import ExecutionPlan, PlannedDelivery


class State(StrEnum):
    """Where a row stands."""

    WAITING = "waiting"
    READY = "ready"
    CLAIMED = "claimed"
    """A worker has it, and repeating what it does is safe."""
    TRANSMITTING = "transmitting"
    """The mail is about to be handed over, or was: repeating it is no longer safe."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


FINAL_STATES = (State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.SKIPPED)

MAIL_TARGET = "mail"
HUB_TARGET = "hub"


class FileInfo(Wire):
    """What people should read about a unit of a delivery, whatever becomes of it."""

    file_name: str
    report_name: str
    iteration_value: str | None = None


class Acceptance(Wire):
    """The mail server took the mail for its recipient."""

    at: Utc
    files: tuple[DeliveredFile, ...] = ()
    message_id: str | None = None
    detail: str = ""


class Row(Wire):
    """A delivery with all it needs from the plan."""

    id: Id
    execution_id: ExecutionId
    task_id: Id
    task_name: str
    planned: PlannedDelivery
    files: dict[Id, FileInfo]
    deadline_at: Utc
    give_up_at: Utc
    """No attempt starts from here on; a little before the deadline, so that the outcome is known by then."""
    test_address: Email | None = None
    addresses: Addresses = ()
    """Of a mail: the state of each address, the recipient's first."""
    acceptance: Acceptance | None = None
    """Of a mail: what is reported once copies that were deferred have settled, too."""
    resent: bool = False
    """Only in rows from before there were `addresses`: whether the mail was handed over a second time."""

    @property
    def channel(self) -> Channel:
        """Return the way the delivery goes."""
        return self.planned.channel

    @property
    def decided(self) -> "Skip | Fail | None":
        """Return how the delivery ends by the plan itself, whatever becomes of its files."""
        if self.planned.failed is not None:
            return Fail(self.planned.failed)
        return Skip(self.planned.held) if self.planned.held is not None else None

    @property
    def waits_for(self) -> tuple[Id, ...]:
        """Return the units that have to settle before the row can go on."""
        return () if self.decided else tuple(dict.fromkeys(self.planned.units))

    @property
    def target_key(self) -> str:
        """Return which server has to answer: deliveries with one key fail together."""
        if self.planned.storage is not None:
            return f"storage:{self.planned.storage.storage_id}"
        return MAIL_TARGET if self.channel is Channel.EMAIL else HUB_TARGET


class UnitKind(StrEnum):
    """How a unit settled."""

    GENERATED = "generated"
    SKIPPED = "skipped"
    FAILED = "failed"


class SettledUnit(Wire):
    """The outcome of a unit: an artifact when it was generated, else a reason."""

    id: Id
    execution_id: ExecutionId
    kind: UnitKind
    artifact: Artifact | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Deliver:
    """There are files: deliver them."""


@dataclass(frozen=True, slots=True)
class Skip:
    """There is nothing to deliver."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Fail:
    """There should be something to deliver, and there is not."""

    reason: Reason


def rows_of(plan: ExecutionPlan, *, margin: timedelta) -> tuple[Row, ...]:
    """Return the rows of a plan.

    Attempts end `margin` before the deadline, or a twentieth of the time there is if that is shorter.
    """
    reports = {report.id: report.name for report in plan.reports}
    files = {
        unit.id: FileInfo(
            file_name=unit.file_name,
            report_name=reports.get(unit.report, unit.report),
            iteration_value=unit.iteration_value,
        )
        for unit in plan.units
    }
    give_up_at = _give_up_at(plan.planned_at, plan.deadline_at, margin)
    return tuple(
        Row(
            id=delivery.id,
            execution_id=plan.execution_id,
            task_id=plan.task_id,
            task_name=plan.task_name,
            planned=delivery,
            files={unit: files[unit] for unit in delivery.units if unit in files},
            deadline_at=plan.deadline_at,
            give_up_at=give_up_at,
            test_address=plan.test_address,
            addresses=_addresses(delivery, plan.test_address),
        )
        for delivery in plan.deliveries
    )


def completed(row: Row, *, transmitting: bool) -> Row:
    """Return a row as it was stored, with what rows from before there were `addresses` do not have."""
    if row.addresses or row.planned.mail is None:
        return row
    state = AddressState.SENDING if transmitting else AddressState.PENDING
    addresses = tuple(
        each.model_copy(update={"state": state, "resent": row.resent})
        for each in _addresses(row.planned, row.test_address)
    )
    return row.model_copy(update={"addresses": addresses})


def _addresses(delivery: PlannedDelivery, test_address: str | None) -> Addresses:
    if delivery.mail is None:
        return ()
    if test_address is not None:
        return addressed(test_address)
    return addressed(delivery.mail.to, delivery.mail.cc, delivery.mail.bcc)


def _give_up_at(planned_at: datetime, deadline_at: datetime, margin: timedelta) -> datetime:
    window = max(deadline_at - planned_at, timedelta(0))
    return deadline_at - min(margin, window / 20)


def settled_unit(event: UnitEvent) -> SettledUnit:
    """Return what an event says about its unit. Raises TypeError for an event that settles none."""
    unit, execution = event.unit_id, event.execution_id
    match event:
        case ReportGenerated(artifact=artifact):
            return SettledUnit(id=unit, execution_id=execution, kind=UnitKind.GENERATED, artifact=artifact)
        case ReportSkipped(reason=reason):
            return SettledUnit(id=unit, execution_id=execution, kind=UnitKind.SKIPPED, reason=reason)
        case ReportFailed(reason=reason):
            return SettledUnit(id=unit, execution_id=execution, kind=UnitKind.FAILED, reason=reason)
    raise TypeError(f"{type(event).__name__} settles no unit")


def judge(row: Row, outcomes: Mapping[str, SettledUnit]) -> Deliver | Skip | Fail:
    """Return what to do with a row all of whose units have settled. Raises KeyError when one has not.

    A delivery without files is skipped when conditions left them out, and has failed when one could not be
    made: then somebody did not get what was due.
    """
    if (decided := row.decided) is not None:
        return decided
    settled = [outcomes[unit] for unit in row.planned.units]
    if any(unit.kind is UnitKind.GENERATED for unit in settled):
        return Deliver()
    reasons = dict.fromkeys(unit.reason.message for unit in settled if unit.reason is not None)
    why = "; ".join(reasons) or "no file was generated"
    if any(unit.kind is UnitKind.FAILED for unit in settled):
        return Fail(
            Reason(
                code="files-failed",
                message=f"No file of this delivery could be made: {why}",
                remedy="See why the reports failed, then run the task again.",
            )
        )
    return Skip(
        Reason(
            code="nothing-generated",
            message=why,
            remedy="Nothing to do: the conditions of the task were not met.",
        )
    )


def missing_units(row: Row, outcomes: Mapping[str, SettledUnit]) -> tuple[tuple[FileInfo, SettledUnit], ...]:
    """Return the planned files that were not made, in the order of the plan, with the reason."""
    return tuple(
        (row.files[unit], outcomes[unit])
        for unit in row.planned.units
        if unit in row.files and outcomes[unit].kind is not UnitKind.GENERATED
    )


def generated(row: Row, outcomes: Mapping[str, SettledUnit]) -> dict[str, Artifact]:
    """Return the artifacts of a row by unit id, in the order of the plan."""
    found = ((unit, outcomes[unit].artifact) for unit in row.planned.units)
    return {unit: artifact for unit, artifact in found if artifact is not None}
