"""What callers send to create or change an object. Secrets are accepted here and given back nowhere."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from contracts.base import Id, Utc
from contracts.configuration import (
    ConnectionKind,
    DataItem,
    Email,
    FilterDef,
    Iteration,
    MailSettings,
    Name,
    NotificationSettings,
    StorageKind,
    TaskRecipient,
    TaskReport,
    TestMode,
)
from contracts.output import NativeExport
from contracts.triggers import Trigger

Slug = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="letters, digits, dot, hyphen, underscore; at most 100",
    ),
]

MASK = "••••"
"""What stands in answers where a secret is set; sent back unchanged it keeps the secret."""

Enabled = Annotated[bool | None, Field(description="left out, it stays as it is; what is new is enabled")]

READ_ONLY = frozenset(
    {"revision", "updated_at", "updated_by", "version", "created_at", "created_by", "file", "uses"}
    | {"warnings", "cleared_secrets"}
)
"""Fields answers carry and requests may repeat without effect, so that what was read can be sent back."""


_DURATION = {
    "anyOf": [
        {"type": "number", "minimum": 10, "maximum": 7 * 24 * 3600},
        {"type": "string", "format": "duration"},
    ]
}


class Draft(BaseModel):
    """What is common to everything that can be sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Slug | None = Field(default=None, description="chosen by the caller, or left out to get one")
    name: Name

    @model_validator(mode="before")
    @classmethod
    def _without_read_only(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if key not in READ_ONLY - set(cls.model_fields)}


class RecipientDraft(Draft):
    """A person who gets reports."""

    email: Email | None = None
    enabled: Enabled = None
    attributes: dict[Annotated[str, Field(min_length=1, max_length=100)], str] = Field(
        default_factory=dict, max_length=200
    )
    secrets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")], str | None] = Field(
        default_factory=dict,
        max_length=20,
        description="what passwords of files may name; null removes one, left out or masked keeps it",
    )


class GroupDraft(Draft):
    """A set of recipients."""

    members: tuple[Id, ...] = Field(default=(), max_length=50_000)


class ConnectionDraft(Draft):
    """A Qlik site; `secrets` by dotted path into the settings, write-only."""

    kind: ConnectionKind
    settings: dict[str, Any] = Field(default_factory=dict)
    secrets: dict[str, str | None] = Field(
        default_factory=dict,
        description="a value sets the secret, null removes it, left out or masked keeps it",
    )


class StorageSpaceDraft(Draft):
    """A place that report files are saved to; `secrets` are write-only."""

    kind: StorageKind
    settings: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, str | None] = Field(
        default_factory=dict, description="s3: secret_key; null removes it, left out or masked keeps it"
    )


class TemplateDraft(Draft):
    """What can be changed about a template without a new upload."""

    tags: tuple[Name, ...] = Field(default=(), max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _without_kind(cls, value: Any) -> Any:
        # The kind of a template is what its file is; answers carry it, so requests may repeat it.
        return (
            {key: item for key, item in value.items() if key != "kind"} if isinstance(value, dict) else value
        )


class ReportDraft(Draft):
    """What a report is made of."""

    connection_id: Id
    app_id: Id
    template_id: Id | None = None
    native: NativeExport | None = None
    data: tuple[DataItem, ...] = Field(default=(), max_length=500)
    filters: tuple[FilterDef, ...] = Field(default=(), max_length=100)
    iteration: Iteration | None = None
    file_name: Annotated[str, Field(min_length=1, max_length=400)] = "{{ report.name }}"


class TaskCopy(BaseModel):
    """Names of the copy of a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Slug | None = Field(default=None, description="chosen by the caller, or left out to get one")
    name: Name


class TaskDraft(Draft):
    """A task as a whole: every change of it makes a new immutable version."""

    enabled: Enabled = None
    description: Annotated[str, Field(max_length=4000)] = ""
    reports: tuple[TaskReport, ...] = Field(default=(), max_length=100)
    recipients: tuple[TaskRecipient, ...] = Field(default=(), max_length=10_000)
    triggers: tuple[Trigger, ...] = Field(default=(), max_length=100)
    mail: MailSettings = MailSettings()
    notification: NotificationSettings = NotificationSettings()
    test_mode: TestMode | None = None
    timezone: str = "UTC"
    valid_from: Utc | None = None
    valid_until: Utc | None = None
    deadline: Annotated[timedelta, WithJsonSchema(_DURATION)] = Field(
        default=timedelta(hours=1), description="seconds, or an ISO 8601 duration; 10 seconds to 7 days"
    )
    secrets: dict[Annotated[str, Field(max_length=500)], str | None] = Field(
        default_factory=dict,
        max_length=10_000,
        description=(
            "passwords of files, write-only: reports.<id>.open_password, edit_password or zip_password; for "
            "one iteration value with .<value> behind it; null removes one, left out or masked keeps it"
        ),
    )
