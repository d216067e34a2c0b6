"""Every event Broadsheet publishes, in the order a report travels.

Compatibility (ADR-0006): adding an optional field with a default is allowed; anything else is a new version,
which is a new class with a higher `VERSION` beside the old one.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.base import Artifact, Event, ExecutionId, Id, ObjectRef, Reason, Selection, Utc, Wire
from contracts.mailing import MailAddress
from contracts.output import OutputOptions
from contracts.runs import RunOptions

TaskName = Annotated[
    str,
    Field(description="as it was when the execution was planned; empty in events from before it was told"),
]


class TriggerKind(StrEnum):
    """What started an execution."""

    SCHEDULE = "schedule"
    QLIK_RELOAD = "qlik-reload"
    MANUAL = "manual"
    API = "api"


class ReloadInfo(Wire):
    """A Qlik reload that started an execution, or was one of those that did."""

    connection_id: Id
    app_id: Id
    reload_id: Id
    finished_at: Utc
    succeeded: bool = True


class TriggerInfo(Wire):
    """Which trigger fired, for which occurrence."""

    kind: TriggerKind
    trigger_id: Id
    occurrence: Annotated[str, Field(min_length=1, max_length=300)]
    due_at: Utc
    timezone: str = "UTC"
    requested_by: str | None = None
    missed: Annotated[int, Field(ge=0, description="earlier occurrences this run stands for")] = 0
    reload: ReloadInfo | None = None
    reloads: tuple[ReloadInfo, ...] = Field(
        default=(), description="the reloads of a trigger that waits for several apps"
    )
    warnings: tuple[Reason, ...] = Field(
        default=(), description="what is wrong with the occurrence, e.g. apps that were not reloaded in time"
    )


class TaskTriggered(Event):
    """A task has to run: one occurrence of one trigger, asked for exactly once."""

    TYPE: ClassVar[str] = "task-triggered"
    TOPIC: ClassVar[str] = "task-triggered"

    execution_id: ExecutionId
    task_id: Id
    trigger: TriggerInfo
    priority: Annotated[int, Field(ge=1, le=100)] = 50
    options: RunOptions | None = Field(default=None, description="what this run alone does otherwise")


class TriggerSkipped(Event):
    """An occurrence of a trigger that did not become an execution, and why."""

    TYPE: ClassVar[str] = "trigger-skipped"
    TOPIC: ClassVar[str] = "task-triggered"

    execution_id: ExecutionId
    task_id: Id
    trigger: TriggerInfo
    reason: Reason


class Disposition(StrEnum):
    """What planning decided about an execution."""

    PLANNED = "planned"
    SKIPPED = "skipped"
    FAILED = "failed"


class ExecutionPlanned(Event):
    """Planning is over: either there is a plan, or a reason why there is none."""

    TYPE: ClassVar[str] = "execution-planned"
    TOPIC: ClassVar[str] = "execution-planned"

    execution_id: ExecutionId
    task_id: Id
    task_name: str
    task_version: Annotated[int, Field(ge=0)]
    trigger: TriggerInfo
    disposition: Disposition
    reason: Reason | None = None
    plan: ObjectRef | None = Field(default=None, description="the ExecutionPlan document")
    unit_count: Annotated[int, Field(ge=0)] = 0
    delivery_count: Annotated[int, Field(ge=0)] = Field(
        default=0, description="when planning failed: deliveries that were to be made, all of which failed"
    )
    deadline_at: Utc
    test_mode: bool = False
    options: RunOptions | None = Field(default=None, description="as asked for with the run")
    problems: tuple[Reason, ...] = ()


class PreviewRequested(Event):
    """Somebody wants to see a report as it would be, delivered to nobody."""

    TYPE: ClassVar[str] = "preview-requested"
    TOPIC: ClassVar[str] = "preview-requested"
    KEY: ClassVar[str] = "preview_id"
    IDENTITY: ClassVar[str] = "preview_id"

    preview_id: Id
    report_id: Id
    format: str
    selections: tuple[Selection, ...] = Field(
        default=(), description="narrow what the report's own filters leave; they never widen it"
    )
    iteration_value: str | None = Field(default=None, description="None takes the first there is")
    recipient_id: str | None = Field(default=None, description="whose attributes the filters take")
    options: OutputOptions = Field(default=OutputOptions(), description="as those of a task report")
    requested_by: str
    deadline_at: Utc


class PreviewSettled(Event):
    """A preview is over: either its file lies in the object store, or the reason says why there is none."""

    TYPE: ClassVar[str] = "preview-settled"
    TOPIC: ClassVar[str] = "preview-settled"
    KEY: ClassVar[str] = "preview_id"
    IDENTITY: ClassVar[str] = "preview_id"

    preview_id: Id
    report_id: Id
    report_name: str = ""
    iteration_value: str | None = None
    artifact: Artifact | None = None
    reason: Reason | None = None
    selections: tuple[Selection, ...] = Field(
        default=(), description="the selections Qlik confirmed before the data was read"
    )
    app_reloaded_at: Utc | None = None
    warnings: tuple[Reason, ...] = ()


class ReportRequested(Event):
    """One unit of a plan has to be rendered."""

    TYPE: ClassVar[str] = "report-requested"
    TOPIC: ClassVar[str] = "report-requested"
    # Units are independent: spreading them over partitions is what lets generators scale.
    KEY: ClassVar[str] = "unit_id"
    IDENTITY: ClassVar[str] = "unit_id"

    execution_id: ExecutionId
    task_id: Id
    task_name: TaskName = ""
    unit_id: Id
    plan: ObjectRef
    report_name: str
    format: str
    iteration_value: str | None = None
    deadline_at: Utc


class UnitEvent(Event):
    """How one unit settled; exactly one of these is published per unit."""

    TOPIC: ClassVar[str] = "report-settled"
    IDENTITY: ClassVar[str] = "unit_id"

    execution_id: ExecutionId
    task_id: Id
    task_name: TaskName = ""
    unit_id: Id
    report_name: str
    iteration_value: str | None = None


class RenderTimings(Wire):
    """Where the time of a unit went, in seconds."""

    qlik: Annotated[float, Field(ge=0)] = 0.0
    render: Annotated[float, Field(ge=0)] = 0.0
    store: Annotated[float, Field(ge=0)] = 0.0


class ReportGenerated(UnitEvent):
    """The file of a unit lies in the object store."""

    TYPE: ClassVar[str] = "report-generated"

    artifact: Artifact
    selections: tuple[Selection, ...] = Field(
        default=(), description="the selections Qlik confirmed before the data was read"
    )
    app_reloaded_at: Utc | None = None
    timings: RenderTimings = RenderTimings()
    warnings: tuple[Reason, ...] = ()


class ReportSkipped(UnitEvent):
    """No file was made on purpose: a condition was not met."""

    TYPE: ClassVar[str] = "report-skipped"

    reason: Reason


class ReportFailed(UnitEvent):
    """No file could be made."""

    TYPE: ClassVar[str] = "report-failed"

    reason: Reason
    attempts: Annotated[int, Field(ge=1)] = 1


class Channel(StrEnum):
    """Where a delivery goes."""

    EMAIL = "email"
    STORAGE = "storage"
    HUB = "hub"


class DeliveryEvent(Event):
    """How one delivery settled; exactly one of these is published per planned delivery."""

    TOPIC: ClassVar[str] = "delivery-settled"
    IDENTITY: ClassVar[str] = "delivery_id"

    execution_id: ExecutionId
    task_id: Id
    task_name: TaskName = ""
    delivery_id: Id
    channel: Channel
    target: str = Field(description="the address, storage or Hub the delivery was meant for, to be shown")
    recipient_id: str | None = None
    attempts: Annotated[int, Field(ge=0)] = 1
    test_mode: bool = False
    addresses: tuple[MailAddress, ...] = Field(
        default=(), description="of a mail: what became of it for each address, the recipient's first"
    )


class DeliveredFile(Wire):
    """A file as it was delivered."""

    unit_id: Id
    artifact: Artifact
    path: str = Field(description="name of the attachment, object key or file path it was delivered as")


class HubPublication(Wire):
    """Who sees the files of a Hub delivery, and how many versions are kept."""

    report_name: str
    task_name: str
    iteration_value: str | None = None
    visible_to: tuple[Id, ...] = Field(default=(), description="recipient ids")
    keep: Annotated[int, Field(ge=0, description="versions kept; 0 keeps all")] = 0


class DeliverySucceeded(DeliveryEvent):
    """The other side confirmed that it has the files.

    A mail succeeds with its recipient. Copies that were not accepted are named in `addresses`.
    """

    TYPE: ClassVar[str] = "delivery-succeeded"

    accepted_at: Utc
    files: tuple[DeliveredFile, ...] = ()
    message_id: str | None = None
    hub: HubPublication | None = None
    detail: str = ""


class DeliveryFailed(DeliveryEvent):
    """The delivery is over without success, and certainly not accepted by the other side."""

    TYPE: ClassVar[str] = "delivery-failed"

    reason: Reason


class DeliveryUnknown(DeliveryEvent):
    """Whether the other side accepted it cannot be known, and it is not sent again (task policy)."""

    TYPE: ClassVar[str] = "delivery-unknown"

    reason: Reason


class DeliverySkipped(DeliveryEvent):
    """Nothing had to be delivered: every unit of it was skipped, or the run held it back."""

    TYPE: ClassVar[str] = "delivery-skipped"

    reason: Reason


class Outcome(StrEnum):
    """How an execution went."""

    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


class UnitCounts(Wire):
    """Units of an execution by how they settled."""

    planned: int = 0
    generated: int = 0
    skipped: int = 0
    failed: int = 0


class DeliveryCounts(Wire):
    """Deliveries of an execution by how they settled."""

    planned: int = 0
    succeeded: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0


class TaskCompleted(Event):
    """An execution is over; published exactly once per execution."""

    TYPE: ClassVar[str] = "task-completed"
    TOPIC: ClassVar[str] = "task-completed"

    execution_id: ExecutionId
    task_id: Id
    task_name: str
    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    units: UnitCounts = UnitCounts()
    deliveries: DeliveryCounts = DeliveryCounts()
    triggered_at: Utc
    completed_at: Utc
    log: ObjectRef | None = None


class NotificationEvent(Event):
    """How one outcome mail settled."""

    TOPIC: ClassVar[str] = "notification-sent"
    IDENTITY: ClassVar[str] = "notification_id"

    execution_id: ExecutionId
    task_id: Id
    task_name: TaskName = ""
    notification_id: Id
    address: str
    outcome: Outcome
    addresses: tuple[MailAddress, ...] = Field(
        default=(), description="what became of the mail for each address, the one named first"
    )


class NotificationSent(NotificationEvent):
    """The mail server took the outcome mail."""

    TYPE: ClassVar[str] = "notification-sent"

    message_id: str
    accepted_at: Utc


class NotificationFailed(NotificationEvent):
    """The outcome mail was not sent, or nobody can know whether it was."""

    TYPE: ClassVar[str] = "notification-failed"

    reason: Reason
    unknown: bool = False


class ConfigurationChanged(Event):
    """Somebody changed the configuration; secrets are never part of it."""

    TYPE: ClassVar[str] = "configuration-changed"
    TOPIC: ClassVar[str] = "configuration-changed"
    KEY: ClassVar[str] = "entity_id"
    IDENTITY: ClassVar[str] = "change_id"

    change_id: Id
    entity: Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")]
    entity_id: Id
    name: str
    action: Literal["created", "changed", "enabled", "disabled", "deleted"]
    version: Annotated[int, Field(ge=0)]
    actor: str
    changed_at: Utc
    changed_fields: tuple[str, ...] = ()
    cleared_secrets: tuple[str, ...] = Field(
        default=(),
        description="secrets, by path, that were cleared because what they were entered for was changed",
    )


EVENT_TYPES: tuple[type[Event], ...] = (
    TaskTriggered,
    TriggerSkipped,
    ExecutionPlanned,
    ReportRequested,
    ReportGenerated,
    ReportSkipped,
    ReportFailed,
    PreviewRequested,
    PreviewSettled,
    DeliverySucceeded,
    DeliveryFailed,
    DeliveryUnknown,
    DeliverySkipped,
    TaskCompleted,
    NotificationSent,
    NotificationFailed,
    ConfigurationChanged,
)
"""Every published event type, all versions."""
