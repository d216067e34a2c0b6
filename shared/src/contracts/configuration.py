"""The configuration as config-api stores it and other services read it.

config-api is the only writer. A task is stored twice: as a head that says whether it is enabled and which
version is current, and as immutable versions, so that an execution runs the task as it was configured at
that moment whatever is changed later.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from contracts.base import Id, ObjectRef, Selection, Utc, Wire, refused
from contracts.output import NativeExport, OutputOptions
from contracts.triggers import Trigger

Name = Annotated[str, Field(min_length=1, max_length=200)]
Email = Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^@\s<>,;\"]+@[^@\s<>,;\"]+$")]


class Recipient(Wire):
    """A person who gets reports, and who may sign in to the Hub if an account exists."""

    id: Id
    name: Name
    email: Email | None = None
    enabled: bool = True
    attributes: dict[str, str] = Field(
        default_factory=dict, description="what filters and scopes can refer to, e.g. airline: AA"
    )
    sealed: dict[str, str] = Field(
        default_factory=dict, description="secrets that passwords of files can refer to, encrypted"
    )


class Group(Wire):
    """A set of recipients; membership is read when a task runs."""

    id: Id
    name: Name
    members: tuple[Id, ...] = ()


class ConnectionKind(StrEnum):
    """Kinds of Qlik site."""

    CLIENT_MANAGED = "client-managed"
    CLOUD = "cloud"


class Connection(Wire):
    """A Qlik site. `settings` is a qlik.QlikSite as JSON without secrets; those are sealed apart."""

    id: Id
    name: Name
    kind: ConnectionKind
    settings: dict[str, Any] = Field(default_factory=dict)
    sealed: dict[str, str] = Field(
        default_factory=dict, description="secret settings by dotted path, encrypted (runtime.secrets)"
    )


class StorageKind(StrEnum):
    """Kinds of storage space."""

    S3 = "s3"
    FOLDER = "folder"


class StorageSpace(Wire):
    """A place that report files are saved to."""

    id: Id
    name: Name
    kind: StorageKind
    settings: dict[str, str] = Field(
        default_factory=dict,
        description="s3: endpoint, region, bucket, prefix, access_key; folder: root",
    )
    sealed: dict[str, str] = Field(default_factory=dict, description="s3: secret_key, encrypted")


class TemplateKind(StrEnum):
    """Kinds of report template."""

    XLSX = "xlsx"
    XLSM = "xlsm"
    HTML = "html"
    DOCX = "docx"
    PPTX = "pptx"


class OutputFormat(StrEnum):
    """Formats a report can be made in."""

    XLSX = "xlsx"
    XLSM = "xlsm"
    HTML = "html"
    PDF = "pdf"
    CSV = "csv"
    TXT = "txt"
    PARQUET = "parquet"
    PNG = "png"
    DOCX = "docx"
    PPTX = "pptx"


class TemplateUses(Wire):
    """What a template asks a report for, as found when it was uploaded."""

    values: tuple[str, ...] = ()
    tables: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="table to columns")
    images: tuple[str, ...] = Field(default=(), description="pictures and charts")
    places: dict[str, str] = Field(
        default_factory=dict,
        description="where a name stands first; a column as table.column, a picture as images.name",
    )
    recipient: bool = Field(
        default=False,
        description="whether it shows the recipient; not known of one uploaded before this was looked for",
    )


class Template(Wire):
    """An uploaded template file; a new upload is a new version of it."""

    id: Id
    name: Name
    kind: TemplateKind
    version: Annotated[int, Field(ge=1)]
    file: ObjectRef
    tags: tuple[str, ...] = ()
    uses: TemplateUses | None = Field(
        default=None, description="None for one that was uploaded before templates were looked into"
    )


class ExpressionItem(Wire):
    """A Qlik expression whose value a template shows."""

    kind: Literal["expression"] = "expression"
    name: Name
    expression: Annotated[str, Field(min_length=1, max_length=20_000)]


class VariableItem(Wire):
    """A Qlik variable whose value a template shows."""

    kind: Literal["variable"] = "variable"
    name: Name
    variable: Name


class FieldItem(Wire):
    """The possible values of a field as a table of one column."""

    kind: Literal["field"] = "field"
    name: Name
    field: Name
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000


class ColumnDef(Wire):
    """One column of an ad-hoc table."""

    name: Name
    expression: Annotated[str, Field(min_length=1, max_length=20_000)]
    label: str | None = None


class TableItem(Wire):
    """An ad-hoc table: dimensions and measures."""

    kind: Literal["table"] = "table"
    name: Name
    dimensions: Annotated[tuple[ColumnDef, ...], Field(min_length=1, max_length=50)]
    measures: tuple[ColumnDef, ...] = ()
    sort: tuple[str, ...] = Field(default=(), description="column names, '-' in front for descending")
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000


class ObjectItem(Wire):
    """A visualisation of the app, read as a table."""

    kind: Literal["object"] = "object"
    name: Name
    object_id: Id
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000


class ChartItem(Wire):
    """A chart drawn from one of the report's tables."""

    kind: Literal["chart"] = "chart"
    name: Name
    chart: Literal["bar", "line"] = "bar"
    table: Name
    category: Name
    series: Annotated[tuple[Name, ...], Field(min_length=1, max_length=12)]
    title: str = ""


class ImageItem(Wire):
    """A visualisation of the app as a picture: Qlik Cloud's own, else drawn by us if it is a common chart."""

    kind: Literal["image"] = "image"
    name: Name
    object_id: Id
    width: Annotated[int, Field(ge=100, le=4000, description="CSS pixels")] = 800
    height: Annotated[int, Field(ge=100, le=4000, description="CSS pixels")] = 450


DataItem = Annotated[
    ExpressionItem | VariableItem | FieldItem | TableItem | ObjectItem | ChartItem | ImageItem,
    Field(discriminator="kind"),
]


class Iteration(Wire):
    """Make one file per value of a field."""

    field: Name
    limit: Annotated[int, Field(ge=1, le=100_000)] = 10_000


class FilterSource(StrEnum):
    """Where the values of a filter come from."""

    FIXED = "fixed"
    RECIPIENT_ATTRIBUTE = "recipient-attribute"


class FilterDef(Wire):
    """A restriction of the data: fixed values, or what a recipient's attribute says."""

    field: Name
    source: FilterSource = FilterSource.FIXED
    values: tuple[str | float, ...] = ()
    attribute: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "FilterDef":
        if self.source is FilterSource.FIXED and not self.values:
            raise refused(f"The filter on {self.field!r} has no values.", "Add at least one to 'values'.")
        if self.source is FilterSource.RECIPIENT_ATTRIBUTE and not self.attribute:
            raise refused(
                f"The filter on {self.field!r} names no attribute of the recipient.",
                "Set 'attribute' to the name of the attribute that holds the value.",
            )
        return self

    def selection(self) -> Selection:
        """Return the fixed filter as a selection."""
        return Selection(field=self.field, values=self.values)


class Report(Wire):
    """What a report is made of: data from one app and a template; or what Qlik exports by itself."""

    id: Id
    name: Name
    version: Annotated[int, Field(ge=1)] = 1
    connection_id: Id
    app_id: Id
    template_id: Id | None = None
    native: NativeExport | None = None
    data: tuple[DataItem, ...] = ()
    filters: tuple[FilterDef, ...] = ()
    iteration: Iteration | None = None
    file_name: Annotated[str, Field(min_length=1, max_length=400)] = "{{ report.name }}"


class Operator(StrEnum):
    """How a condition compares."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    CONTAINS = "contains"
    STARTS_WITH = "starts-with"
    IS_EMPTY = "is-empty"
    IS_NOT_EMPTY = "is-not-empty"


class ConditionRule(Wire):
    """Left side compared with right side; an expression starts with '=', anything else is a plain value."""

    left: Annotated[str, Field(min_length=2, max_length=20_000, pattern=r"^=")]
    operator: Operator
    right: str = ""


class Condition(Wire):
    """All rules have to hold."""

    name: Name
    rules: Annotated[tuple[ConditionRule, ...], Field(min_length=1, max_length=50)]
    per_iteration: bool = False


class HubSettings(Wire):
    """Whether and how a report goes to the Hub."""

    publish: bool = False
    keep: Annotated[int, Field(ge=0, le=10_000)] = 0


class StorageTarget(Wire):
    """A storage space a report is saved to; `path` may use the tags of file names."""

    storage_id: Id
    path: Annotated[str, Field(max_length=400)] = ""
    zip: bool = False


class TaskReport(Wire):
    """A report inside a task: format, delivery, conditions."""

    id: Id
    report_id: Id
    format: OutputFormat
    options: OutputOptions = OutputOptions()
    attach: bool = True
    embed: bool = False
    zip_email: bool = False
    filters: tuple[FilterDef, ...] = ()
    conditions: tuple[Condition, ...] = ()
    storage: tuple[StorageTarget, ...] = ()
    hub: HubSettings = HubSettings()

    @model_validator(mode="after")
    def _embeddable(self) -> "TaskReport":
        if self.embed and self.format is not OutputFormat.HTML:
            raise refused(
                f"A {self.format.value} file cannot be embedded in a mail.",
                "Set 'format' to html, or set 'embed' to false to attach the file.",
            )
        return self


class Scope(StrEnum):
    """Which files of an iterating report a recipient gets."""

    ALL = "all"
    OWN = "own"


class TaskRecipient(Wire):
    """Who gets the reports of a task, by which ways."""

    recipient_id: Id | None = None
    group_id: Id | None = None
    email: bool = True
    hub: bool = True
    zip_email: bool = False
    scope: Scope = Scope.ALL
    scope_attribute: str | None = Field(
        default=None, description="scope own: the recipient attribute that has to equal the iteration value"
    )

    @model_validator(mode="after")
    def _one_target(self) -> "TaskRecipient":
        if (self.recipient_id is None) == (self.group_id is None):
            raise refused(
                "This names neither a recipient nor a group, or both.",
                "Set either 'recipient_id' or 'group_id'.",
            )
        if self.scope is Scope.OWN and not self.scope_attribute:
            raise refused(
                "The scope 'own' needs the attribute that names the recipient's own value.",
                "Set 'scope_attribute', or set 'scope' to all.",
            )
        return self


class UnknownPolicy(StrEnum):
    """What happens to a mail of which nobody can know whether it was accepted."""

    HOLD = "hold"
    RESEND = "resend"


class MailSettings(Wire):
    """The mail that carries the reports: one for each recipient. Subject and body may use tags."""

    subject: Annotated[str, Field(min_length=1, max_length=500)] = "{{ task.name }}"
    body: Annotated[str, Field(max_length=100_000)] = ""
    cc: tuple[Email, ...] = Field(
        default=(),
        description="get a copy of the mail of each recipient, so with 500 recipients 500 copies; none in "
        "test mode, or in a run for some recipients",
    )
    bcc: tuple[Email, ...] = Field(default=(), description="as `cc`, and named in no mail")
    unknown: UnknownPolicy = Field(
        default=UnknownPolicy.HOLD,
        description="`hold` never sends a mail again that may have been accepted; `resend` does so once, and "
        "the outcome names who may have received it twice",
    )


class NotificationSettings(Wire):
    """Who hears how an execution went."""

    on_success: bool = False
    on_warning: bool = True
    on_error: bool = True
    to: tuple[Email, ...] = ()
    cc: tuple[Email, ...] = ()
    bcc: tuple[Email, ...] = ()


class Destination(StrEnum):
    """Where reports go besides mail."""

    STORAGE = "storage"
    HUB = "hub"


class TestMode(Wire):
    """While set, every mail of the task goes to one address, and storage and Hub get nothing."""

    __test__ = False

    address: Email = Field(description="gets every mail of the task, the outcome mails included")
    deliver: tuple[Destination, ...] = Field(
        default=(),
        max_length=2,
        description="destinations that get the files in test mode all the same; deliveries to the others are "
        "skipped with the reason `held-back`",
    )


class TriggerSeries(Wire):
    """What identifies the runs of a trigger, kept while the trigger stays in its task."""

    since: Utc | None = Field(
        default=None, description="when it was added to the task; null if that was before this was recorded"
    )
    by_trigger_id: bool = Field(
        default=False,
        description="made while trigger ids were unique over all tasks: the id alone identifies its runs",
    )


class TaskVersion(Wire):
    """A task as it was configured at one moment; never changed once stored."""

    task_id: Id
    version: Annotated[int, Field(ge=1)]
    name: Name
    description: str = ""
    reports: tuple[TaskReport, ...] = ()
    recipients: tuple[TaskRecipient, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    mail: MailSettings = MailSettings()
    notification: NotificationSettings = NotificationSettings()
    test_mode: TestMode | None = None
    timezone: str = "UTC"
    valid_from: Utc | None = None
    valid_until: Utc | None = None
    deadline: timedelta = timedelta(hours=1)
    sealed: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "passwords of files, encrypted: reports.<id>.open_password, edit_password or zip_password, a "
            "text that may have tags; with .<iteration value> behind it, for that value only"
        ),
    )
    series: dict[str, TriggerSeries] = Field(
        default_factory=dict,
        description="by trigger id; a trigger without one was made while ids were unique over all tasks",
    )
    created_at: Utc
    created_by: str


class TaskHead(Wire):
    """Which version of a task is current, and whether triggers may run it."""

    id: Id
    name: Name
    enabled: bool = True
    current_version: Annotated[int, Field(ge=1)]
