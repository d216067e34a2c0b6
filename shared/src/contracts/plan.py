"""The plan of an execution: an immutable document in the object store, referred to by events.

It is complete: a renderer or distributor needs nothing of the configuration but the secrets of connections
and storage spaces, which no event and no plan ever holds.
"""

from typing import Annotated

from pydantic import Field

from contracts.base import ExecutionId, Id, ObjectRef, Reason, Selection, Utc, Wire
from contracts.configuration import (
    Condition,
    DataItem,
    Email,
    NotificationSettings,
    OutputFormat,
    TemplateKind,
    UnknownPolicy,
)
from contracts.events import Channel, TriggerInfo
from contracts.output import NativeExport, OutputOptions
from contracts.runs import RunOptions


class PlannedReport(Wire):
    """A task report as units refer to it."""

    id: Id = Field(description="id of the task report")
    report_id: Id
    name: str
    format: OutputFormat
    connection_id: Id
    app_id: Id
    template_kind: TemplateKind | None = None
    template: ObjectRef | None = None
    native: NativeExport | None = None
    data: tuple[DataItem, ...] = ()
    options: OutputOptions = OutputOptions()
    iteration_field: str | None = None


class PlannedReader(Wire):
    """The one person a file is made for, as tags of its template show them."""

    name: str
    email: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)


class PlannedUnit(Wire):
    """One file to be made."""

    id: Id
    report: Id = Field(description="id of the PlannedReport")
    file_name: Annotated[str, Field(min_length=1, max_length=255)]
    selections: tuple[Selection, ...] = ()
    sealed: dict[str, str] = Field(
        default_factory=dict, description="passwords of the file, encrypted: open, edit, zip"
    )
    iteration_value: str | None = None
    recipient: PlannedReader | None = Field(
        default=None, description="None for a file that several people share, or that nobody gets by name"
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), description="to be evaluated under the unit's selections before it is rendered"
    )
    skip: Reason | None = Field(
        default=None,
        description="decided while planning: a condition tested once for the whole iteration failed",
    )


class PlannedMail(Wire):
    """An email as it will be sent, but for its files."""

    to: Email
    cc: tuple[Email, ...] = ()
    bcc: tuple[Email, ...] = ()
    subject: str
    body: str = ""
    attach: tuple[Id, ...] = Field(default=(), description="units attached one by one")
    zipped: tuple[Id, ...] = Field(default=(), description="units attached in one archive")
    zip_name: str | None = None
    embed: tuple[Id, ...] = Field(default=(), description="HTML units placed in the body")
    unknown: UnknownPolicy = UnknownPolicy.HOLD


class PlannedStorage(Wire):
    """Files saved to a storage space."""

    storage_id: Id
    paths: dict[Id, str] = Field(default_factory=dict, description="unit id to relative path")
    zip_path: str | None = Field(default=None, description="all units in one archive at this path")


class PlannedHub(Wire):
    """A file published in the Hub."""

    visible_to: tuple[Id, ...] = ()
    keep: int = 0


class PlannedDelivery(Wire):
    """One row of the delivery ledger, as planned.

    Exactly one of mail, storage and hub is set; none of them when it cannot be delivered (`failed`).
    """

    id: Id
    channel: Channel
    target: str
    recipient_id: str | None = None
    units: tuple[Id, ...] = Field(description="at least one, unless `failed` says why there is none")
    mail: PlannedMail | None = None
    storage: PlannedStorage | None = None
    hub: PlannedHub | None = None
    failed: Reason | None = Field(
        default=None, description="decided while planning: it cannot be delivered, and settles as failed"
    )
    held: Reason | None = Field(
        default=None, description="decided while planning: this run delivers it to nobody; settles as skipped"
    )


class ExecutionPlan(Wire):
    """Everything an execution will do."""

    execution_id: ExecutionId
    task_id: Id
    task_name: str
    task_version: int
    trigger: TriggerInfo
    planned_at: Utc
    deadline_at: Utc
    timezone: str = "UTC"
    test_address: Email | None = None
    reports: tuple[PlannedReport, ...] = ()
    units: tuple[PlannedUnit, ...] = ()
    deliveries: tuple[PlannedDelivery, ...] = ()
    notification: NotificationSettings = NotificationSettings()
    problems: tuple[Reason, ...] = ()
    options: RunOptions | None = Field(default=None, description="as asked for with the run")
