"""What answers look like, for the OpenAPI description.

The bodies themselves are made from what is stored, which may be older than these models: fields that came
later are optional here, and a reader has to ignore fields it does not know.
"""

from types import GenericAlias
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from config_api.domain.findings import Severity
from config_api.domain.kinds import RECIPIENT, REPORT, TASK, TEMPLATE, Kind
from config_api.domain.rights import Role
from config_api.domain.sites import Health
from contracts.base import Artifact, Id, ObjectRef, Reason, Selection, Utc
from contracts.configuration import ConnectionKind, TemplateKind, TemplateUses
from contracts.events import (
    Channel,
    DeliveredFile,
    DeliveryCounts,
    Disposition,
    Outcome,
    RenderTimings,
    TriggerInfo,
    UnitCounts,
)
from contracts.mailing import MailAddress
from contracts.runs import RunOptions
from contracts.sites import SiteMending, SiteProblem, SitePush

T = TypeVar("T")


class Answer(BaseModel):
    """Part of an answer; later versions of the service may add fields."""

    model_config = ConfigDict(extra="allow")


class FieldProblem(Answer):
    """One thing that is wrong with a request: where, what, and how to correct it."""

    field: str = Field(
        description="path in the body, such as triggers.0.rule.expression, or a parameter's name"
    )
    message: str = Field(description="what is wrong, for people")
    remedy: str = Field(description="how to correct it, for people")


class Problem(Answer):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="always about:blank: the status says what kind of problem it is")
    title: str
    status: int = Field(ge=400, le=599, description="the status code of the answer")
    detail: str = Field(description="what happened, for people")
    remedy: str = Field(description="what to do about it, for people")
    problems: list[FieldProblem] = Field(default=[], description="with 422: every fault that was found")
    referrers: list[str] = Field(default=[], description="with 409: what still refers to the object")


class Page(Answer, Generic[T]):
    """Some of the items there are."""

    items: list[T]
    next: str | None = Field(description="send it as `after` to get the following page; null on the last")


class SwitchResult(Answer):
    """What became of one of several objects."""

    id: str
    done: bool
    problem: Problem | None = Field(default=None, description="why not, if it was not done")


class SwitchResults(Answer):
    """A result for each object."""

    results: list[SwitchResult]


class RunAccepted(Answer):
    """A run that was asked for."""

    execution_id: str
    task_id: str
    requested_by: str
    requested_at: Utc
    options: RunOptions | None = Field(default=None, description="what this run alone was asked to do")
    status_url: str = Field(description="where to see how it stands")


class Execution(Answer):
    """How an execution stands. What is not known yet is missing or null."""

    id: str
    task_id: str | None
    state: Literal["triggered", "running", "ending", "completed"]
    outcome: Outcome | None = Field(description="null until the execution is completed")
    started_at: Utc
    completed_at: Utc | None = None
    units: UnitCounts
    deliveries: DeliveryCounts
    reasons: list[Reason] = Field(description="why the outcome is not success")
    task_name: str | None = None
    task_version: int | None = None
    trigger: TriggerInfo | None = None
    disposition: Disposition | None = None
    planned_at: Utc | None = None
    deadline_at: Utc | None = None
    test_mode: bool | None = None
    problems: list[Reason] | None = Field(default=None, description="what planning had to leave out")
    log: ObjectRef | None = None
    options: RunOptions | None = Field(default=None, description="what this run alone was asked to do")


class Unit(Answer):
    """One file of an execution, or why there is none."""

    id: str
    execution_id: str
    task_id: str
    report_name: str
    iteration_value: str | None
    state: Literal["requested", "generated", "skipped", "failed", "unknown"]
    format: str | None = None
    requested_at: Utc | None = None
    settled_at: Utc | None = None
    artifact: Artifact | None = None
    selections: list[Selection] | None = Field(default=None, description="what Qlik confirmed as selected")
    app_reloaded_at: Utc | None = None
    timings: RenderTimings | None = None
    warnings: list[Reason] | None = None
    reason: Reason | None = None
    attempts: int | None = None


class Delivery(Answer):
    """One mail, one storage space or one Hub entry of an execution, and how it went."""

    id: str
    execution_id: str
    task_id: str
    channel: Channel
    target: str
    recipient_id: str | None
    attempts: int
    test_mode: bool
    state: Literal["succeeded", "failed", "unknown", "skipped"]
    settled_at: Utc
    reason: Reason | None
    accepted_at: Utc | None = None
    message_id: str | None = None
    detail: str | None = None
    files: list[DeliveredFile] | None = None
    addresses: list[MailAddress] | None = Field(
        default=None, description="of a mail: each address, its state and the server's answer"
    )


class Notification(Answer):
    """One mail about the outcome of an execution."""

    id: str
    execution_id: str
    task_id: str
    address: str
    outcome: Outcome
    state: Literal["sent", "failed", "unknown"]
    settled_at: Utc
    reason: Reason | None
    message_id: str | None
    addresses: list[MailAddress] | None = Field(
        default=None, description="each address of the mail, its state and the server's answer"
    )


class ExecutionList(Page[Execution]):
    """Executions, newest first."""


class _Parts(Page[T], Generic[T]):
    """Parts of an execution, by id."""

    next: int | None = Field(  # type: ignore[assignment]
        description="send it as `skip` to get the following page; null on the last"
    )


class UnitList(_Parts[Unit]):
    """Units of an execution."""


class DeliveryList(_Parts[Delivery]):
    """Deliveries of an execution."""


class NotificationList(_Parts[Notification]):
    """Notifications of an execution."""


class HubFile(Answer):
    """A file in the Hub."""

    id: str
    report_name: str
    task_name: str
    iteration_value: str | None
    published_at: Utc
    file_name: str
    size: int = Field(description="bytes")


class HubSeries(Answer):
    """The versions of one report in the Hub, newest first."""

    versions: list[HubFile]


class HubList(Answer):
    """The files made for the person who asks."""

    items: list[HubSeries]


class AuditEntry(Answer):
    """One message as it was on the bus, and its place in the chain."""

    seq: int
    recorded_at: Utc
    event_id: str
    type: str
    subject: str
    occurred_at: Utc | None
    topic: str
    partition: int
    offset: int
    key: str | None
    headers: list[list[str]] = Field(description="name and value of each, in their order")
    body_kind: Literal["json", "other"]
    data: Any = Field(description="the body, if it is JSON")
    body_base64: str = Field(description="the bytes of the body, which the hash covers")
    previous: str = Field(description="hash of the record before")
    hash: str


class AuditList(Answer):
    """Records of the audit trail, in the order in which they were recorded."""

    items: list[AuditEntry]
    next: int | None = Field(description="send it as `after` to get the following page; null on the last")


class AuditVerdict(Answer):
    """What computing the chain again found."""

    intact: bool
    records: int
    head: str = Field(description="number and hash of the last record, as seq:hash; keep it elsewhere")
    broken_seq: int | None = Field(description="the first record that does not fit")
    reason: str = Field(description="why it does not fit; empty when the trail is intact")


class Me(Answer):
    """Who is asking."""

    account_id: str
    email: str
    role: Role
    recipient_id: str | None


class Account(Answer):
    """Somebody who may sign in."""

    id: str
    email: str
    role: Role
    recipient_id: str | None
    enabled: bool
    created_at: Utc


class AccountList(Answer):
    """Everybody who may sign in."""

    items: list[Account]


class ApiKey(Answer):
    """An API key, without its text."""

    id: str
    name: str
    account_id: str
    role: Role
    created_at: Utc
    expires_at: Utc
    revoked: bool


class ApiKeyList(Answer):
    """API keys."""

    items: list[ApiKey]


class CreatedApiKey(ApiKey):
    """A new API key with its text, which no other answer has."""

    key: str = Field(description="send it as Authorization: Bearer; it is not shown again")


class App(Answer):
    """A Qlik app that the connection's user sees."""

    id: str
    name: str
    space: str = Field(description="stream, or id of the space")
    description: str
    published: bool
    reloaded_at: Utc | None


class AppList(Page[App]):
    """Apps of a site, by name."""

    total: int = Field(description="how many fit the search")


class SiteStatus(Answer):
    """How a Qlik site is, as the Qlik listener last saw it; what only a listener knows may be missing."""

    id: str
    name: str
    kind: ConnectionKind
    address: str
    health: Health
    watched: bool = Field(description="whether a listener ever watched the site")
    reported_at: Utc | None = None
    poll_every_s: float | None = Field(default=None, description="seconds between polls")
    read_at: Utc | None = Field(default=None, description="the last poll that went well")
    pushed_at: Utc | None = Field(default=None, description="the last time the site called")
    lag_s: float | None = Field(default=None, description="seconds until the latest reload was noticed")
    push: SitePush | None = None
    problem: SiteProblem | None = Field(default=None, description="why the site cannot be read")
    mended: list[SiteMending] | None = Field(
        default=None, description="what the listener repaired, oldest first"
    )


class TriggerProblem(Answer):
    """Why a trigger does not start its task, or may not."""

    trigger_id: str | None = Field(description="null: every trigger of the task")
    code: str
    message: str
    remedy: str
    since: Utc
    found_by: str = Field(description="scheduler, listener or site:<connection id>")


class TriggerProblemList(Answer):
    """What keeps the triggers of a task from starting it, oldest first."""

    items: list[TriggerProblem]


class Finding(Answer):
    """One thing that a check found."""

    severity: Severity
    field: str
    message: str
    remedy: str


class ReportCheck(Answer):
    """What a check of a report found."""

    report_id: str
    version: int
    in_order: bool = Field(description="whether nothing is known to be wrong; warnings do not count")
    findings: list[Finding]


class TaskCheck(Answer):
    """What a check of a task as a whole found."""

    task_id: str
    version: int
    in_order: bool = Field(description="whether nothing is known to be wrong; warnings do not count")
    findings: list[Finding]


class StorageTest(Answer):
    """What writing, reading and deleting a file in a storage space found."""

    storage_id: str
    in_order: bool = Field(description="whether all three worked")
    findings: list[Finding]


class PreviewAccepted(Answer):
    """A preview that was asked for."""

    preview_id: str
    report_id: str
    deadline_at: Utc
    status_url: str = Field(description="where to see how it stands")
    file_url: str = Field(description="where its file is, once it is made")


class Preview(Answer):
    """How a preview stands."""

    id: str
    state: Literal["requested", "made", "failed", "overdue"]
    report_id: str
    requested_by: str
    requested_at: Utc
    deadline_at: Utc
    settled_at: Utc | None = None
    report_name: str | None = None
    format: str | None = None
    iteration_value: str | None = None
    shown_value: str | None = Field(default=None, description="the iteration value that was shown")
    recipient_id: str | None = None
    asked_selections: list[Selection] | None = None
    selections: list[Selection] | None = Field(default=None, description="what Qlik confirmed as selected")
    artifact: Artifact | None = None
    warnings: list[Reason] | None = None
    reason: Reason | None = Field(default=None, description="why there is no file")


Number = Annotated[int, Field(ge=1)]
_OF_KIND: dict[Kind, dict[str, Any]] = {
    RECIPIENT: {"enabled": (bool, ...)},
    TEMPLATE: {
        "kind": (TemplateKind, ...),
        "version": (Number, Field(description="counts the uploads of the file")),
        "file": (ObjectRef, ...),
        "uses": (
            TemplateUses | None,
            Field(default=None, description="the names the template asks a report for"),
        ),
    },
    REPORT: {"version": (Number, ...)},
    TASK: {
        "enabled": (bool, ...),
        "version": (Number, Field(description="counts the changes of the task")),
        "deadline": (float, Field(description="seconds")),
        "created_at": (Utc, Field(description="when this version was made")),
        "created_by": (str, ...),
    },
}


def answer_of(kind: Kind) -> type[BaseModel]:
    """Return what answers show of an object of a kind: what was sent, and what the service knows of it."""
    about: dict[str, Any] = {
        "id": (Id, ...),
        "revision": (Number, Field(description="counts every change; the ETag")),
        "updated_at": (Utc, ...),
        "updated_by": (str, ...),
        "warnings": (
            list[FieldProblem],
            Field(default=[], description="after a change: what nobody can be sure of now"),
        ),
    }
    if "secrets" in kind.draft.model_fields:
        cleared = Field(default=None, description="secrets that this change cleared; send them again")
        about["cleared_secrets"] = (list[str] | None, cleared)
    model: type[BaseModel] = create_model(
        name_of(kind),
        __base__=kind.draft,
        __doc__=kind.draft.__doc__,
        **about | _OF_KIND.get(kind, {}),
    )
    return model


def page_of(kind: Kind, item: type[BaseModel]) -> type[BaseModel]:
    """Return a page of objects of a kind, in the order of their ids."""
    items: Any = GenericAlias(list, item)
    made: type[BaseModel] = create_model(
        f"{name_of(kind)}List",
        __base__=Page[Any],
        __doc__="Objects in the order of their ids.",
        items=(items, ...),
    )
    return made


def name_of(kind: Kind) -> str:
    """Return the name of a kind of object as schemas have it."""
    return "".join(part.capitalize() for part in kind.name.split("-"))
