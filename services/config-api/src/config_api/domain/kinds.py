"""The kinds of object that configuration consists of, in one list."""

from dataclasses import dataclass

from config_api.domain.drafts import (
    ConnectionDraft,
    Draft,
    GroupDraft,
    RecipientDraft,
    ReportDraft,
    StorageSpaceDraft,
    TaskDraft,
    TemplateDraft,
)
from contracts.base import Wire
from contracts.configuration import Connection, Group, Recipient, Report, StorageSpace, TaskHead, Template


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object: its names, what is sent, what is stored."""

    name: str
    """In events, references and messages."""
    path: str
    """In addresses: /api/v1/<path>."""
    collection: str
    """In MongoDB; other services read it (runtime.configuration)."""
    draft: type[Draft]
    model: type[Wire]


RECIPIENT = Kind("recipient", "recipients", "config_recipients", RecipientDraft, Recipient)
GROUP = Kind("group", "groups", "config_groups", GroupDraft, Group)
CONNECTION = Kind("connection", "connections", "config_connections", ConnectionDraft, Connection)
STORAGE = Kind("storage-space", "storage-spaces", "config_storage_spaces", StorageSpaceDraft, StorageSpace)
TEMPLATE = Kind("template", "templates", "config_templates", TemplateDraft, Template)
REPORT = Kind("report", "reports", "config_reports", ReportDraft, Report)
TASK = Kind("task", "tasks", "config_tasks", TaskDraft, TaskHead)

KINDS = {kind.name: kind for kind in (RECIPIENT, GROUP, CONNECTION, STORAGE, TEMPLATE, REPORT, TASK)}
TASK_VERSIONS = "config_task_versions"
