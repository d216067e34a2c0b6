"""What is wrong with a draft beyond its types: times, zones, addresses, names that have to agree.

Every function returns problems instead of raising, so that a caller hears all of them at once.
"""

import re
import zoneinfo
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cronsim import CronSim, CronSimError

from config_api.domain.drafts import (
    ConnectionDraft,
    Draft,
    RecipientDraft,
    ReportDraft,
    StorageSpaceDraft,
    TaskDraft,
)
from config_api.domain.errors import Problem
from config_api.domain.formats import Source, format_problems
from config_api.domain.passwords import password_problems
from config_api.domain.tags import report_tags, task_tags
from contracts.base import EARLIEST, LATEST
from contracts.configuration import (
    ChartItem,
    StorageKind,
    TableItem,
)
from contracts.output import OutputOptions
from contracts.triggers import (
    AllReloadsTrigger,
    AnyReloadTrigger,
    CronRule,
    LatePolicy,
    ScheduleTrigger,
    Trigger,
    WatchedApp,
)

MAX_DEADLINE = timedelta(days=7)
_SLUG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABEL = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")
_LOCAL = re.compile(r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}$")
_SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|api_?key|token|private_?key)")
_DIRECTIVE = re.compile(r"%-?[YymdeHIMSfpjVGuaAbB]|%%")
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def check(draft: Draft, templates: Mapping[str, Source] | None = None) -> list[Problem]:
    """Return what is wrong with a draft.

    `templates` gives, for the reports a task names, what they are made from; reports that are missing from it
    are not checked here.
    """
    problems = [_control("name", draft.name)] if _CONTROL.search(draft.name) else []
    problems += moment_problems(draft.model_dump())
    if isinstance(draft, RecipientDraft) and draft.email is not None:
        problems += email_problems("email", draft.email)
    elif isinstance(draft, ConnectionDraft):
        problems += _secrets_in("settings", draft.settings)
    elif isinstance(draft, StorageSpaceDraft):
        problems += _storage(draft)
    elif isinstance(draft, ReportDraft):
        problems += [*_report(draft), *report_tags(draft)]
    elif isinstance(draft, TaskDraft):
        problems += [*_task(draft, templates or {}), *task_tags(draft)]
    return problems


def moment_problems(value: Any, path: str = "") -> Iterator[Problem]:
    """Yield the dates in a dumped draft, at any depth, that are too far away to compute with."""
    if isinstance(value, datetime):
        if not EARLIEST <= value <= LATEST:
            message = f"{value.isoformat()} is outside the years {EARLIEST:%Y} to {LATEST:%Y}"
            yield Problem(
                path, message, "send a date in that range, or leave the field out if it is optional"
            )
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from moment_problems(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for index, item in enumerate(value):
            yield from moment_problems(item, f"{path}.{index}" if path else str(index))


def email_problems(field: str, address: str) -> list[Problem]:
    """Return what is wrong with an address: RFC 5321's dot-atom form, in ASCII, with a domain of labels."""
    local, _, domain = address.rpartition("@")
    sound_local = bool(_LOCAL.match(local)) and not local.startswith(".") and not local.endswith(".")
    sound_domain = len(domain) <= 253 and all(_LABEL.match(label) for label in domain.split("."))  # noqa: PLR2004 - RFC 1035
    if sound_local and ".." not in local and sound_domain:
        return []
    return [
        Problem(
            field,
            f"{address[:254]!r} is no e-mail address",
            "write it as name@domain, in ASCII (an international domain in its xn-- form)",
        )
    ]


def timezone_problems(field: str, name: str) -> list[Problem]:
    """Return what is wrong with the name of a time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return [
            Problem(field, f"there is no time zone {name[:80]!r}", "take an IANA name, such as Europe/Paris")
        ]
    return []


def cron_problems(field: str, expression: str) -> list[Problem]:
    """Return what is wrong with a five-field cron expression, also that it never comes due."""
    remedy = "five fields: minute hour day-of-month month day-of-week, such as '0 6 * * 1-5'"
    if len(expression.split()) != 5:  # noqa: PLR2004 - cronsim also knows six fields, with seconds; tasks do not
        return [Problem(field, f"{expression!r} does not have five fields", remedy)]
    try:
        next(CronSim(expression, _EPOCH))
    except CronSimError as error:
        return [Problem(field, f"{expression!r} is no cron expression: {error}", remedy)]
    except StopIteration:
        return [Problem(field, f"{expression!r} never comes due", "name a date that exists")]
    return []


def unknown_fields(sent: Any, understood: Any, path: str = "") -> Iterator[Problem]:
    """Yield the fields of a request that nothing was made of, or something else than was sent, at any depth.

    The wire models ignore what they do not know, which is right for readers of events and wrong for people
    who mistype an option. They also read "1" and true as numbers. `understood` is the dump of what was
    parsed.
    """
    if isinstance(sent, dict) and isinstance(understood, dict):
        for key, value in sent.items():
            place = f"{path}.{key}" if path else str(key)
            if key not in understood:
                known = ", ".join(sorted(map(str, understood)))
                yield Problem(place, f"There is no field {str(key)[:100]!r} here.", f"Use one of {known}.")
            else:
                yield from unknown_fields(value, understood[key], place)
    elif isinstance(sent, list) and isinstance(understood, Sequence) and not isinstance(understood, str):
        for index, (value, known_value) in enumerate(zip(sent, understood, strict=False)):
            yield from unknown_fields(value, known_value, f"{path}.{index}" if path else str(index))
    elif isinstance(understood, bool) and not isinstance(sent, bool):
        yield Problem(path, "This is neither true nor false.", "Send true or false, without quotation marks.")
    elif (
        isinstance(understood, int | float)
        and isinstance(sent, str | bool)
        and not isinstance(understood, bool)
    ):
        yield Problem(path, "This is not a number.", "Send a number, without quotation marks.")


def _control(field: str, _: str) -> Problem:
    return Problem(field, "has control characters in it", "write it on one line of plain text")


def _secrets_in(path: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _secrets_in(f"{path}.{key}", value)
        elif _SECRET_NAME.search(key) and isinstance(value, str) and value and not key.endswith("_file"):
            name = f"{path}.{key}".partition(".")[2]
            yield Problem(
                f"{path}.{key}",
                "looks like a secret, and settings are shown to every developer",
                f"send it in 'secrets' as {name!r}, where it is stored encrypted and never shown",
            )


def _storage(draft: StorageSpaceDraft) -> Iterator[Problem]:
    yield from _secrets_in("settings", draft.settings)
    wanted = "bucket" if draft.kind is StorageKind.S3 else "root"
    if not draft.settings.get(wanted):
        yield Problem(
            f"settings.{wanted}", "is missing", f"a storage space of kind {draft.kind.value} needs it"
        )
    if draft.kind is StorageKind.FOLDER:
        root = draft.settings.get("root", "/")
        if not root.startswith("/") or ".." in root.split("/"):
            yield Problem(
                "settings.root", f"{root!r} is no absolute path", "write it from / on, without '..'"
            )
    known = (
        {"endpoint", "region", "bucket", "prefix", "access_key"} if draft.kind is StorageKind.S3 else {"root"}
    )
    for key in sorted(set(draft.settings) - known):
        yield Problem(f"settings.{key}", "is not known", f"known are {', '.join(sorted(known))}")
    allowed = {"secret_key"} if draft.kind is StorageKind.S3 else set()
    for key in sorted(set(draft.secrets) - allowed):
        yield Problem(f"secrets.{key}", "is not known", f"known are {', '.join(sorted(allowed)) or 'none'}")


def _report(draft: ReportDraft) -> Iterator[Problem]:
    if draft.native is not None and (draft.template_id or draft.data):
        message = "is what Qlik exports by itself, and takes neither a template nor data"
        yield Problem("native", message, "leave out 'template_id' and 'data', or 'native'")
    names = [item.name for item in draft.data]
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem(
                "data", f"{count} items are called {name!r}", "give every data item a name of its own"
            )
    tables = {item.name: item for item in draft.data if item.kind in {"table", "object", "field"}}
    for index, item in enumerate(draft.data):
        if isinstance(item, TableItem):
            yield from _table(index, item)
        if isinstance(item, ChartItem) and item.table not in tables:
            yield Problem(
                f"data.{index}.table", f"there is no table {item.table!r} in this report", "add it to 'data'"
            )
        elif isinstance(item, ChartItem) and isinstance(table := tables[item.table], TableItem):
            columns = {column.name for column in (*table.dimensions, *table.measures)}
            for name in (item.category, *item.series):
                if name not in columns:
                    yield Problem(
                        f"data.{index}", f"the table {item.table!r} has no column {name!r}", "name one it has"
                    )


def _table(index: int, item: TableItem) -> Iterator[Problem]:
    names = [column.name for column in (*item.dimensions, *item.measures)]
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem(
                f"data.{index}", f"{count} columns are called {name!r}", "give each a name of its own"
            )
    for place, name in enumerate(item.sort):
        if name.removeprefix("-") not in names:
            yield Problem(
                f"data.{index}.sort.{place}", f"there is no column {name!r}", "name a column of the table"
            )


def _task(draft: TaskDraft, templates: Mapping[str, Source]) -> Iterator[Problem]:
    yield from timezone_problems("timezone", draft.timezone)
    yield from _period("valid_until", draft.valid_from, draft.valid_until)
    if not timedelta(seconds=10) <= draft.deadline <= MAX_DEADLINE:
        yield Problem("deadline", f"{draft.deadline} is out of bounds", "between 10 seconds and 7 days")
    yield from _unique("reports", [report.id for report in draft.reports])
    yield from _unique("triggers", [trigger.id for trigger in draft.triggers])
    yield from _unique("recipients", [str(item.recipient_id or item.group_id) for item in draft.recipients])
    for index, trigger in enumerate(draft.triggers):
        yield from _trigger(f"triggers.{index}", trigger)
    for index, report in enumerate(draft.reports):
        if report.report_id in templates:
            yield from format_problems(f"reports.{index}.format", report.format, templates[report.report_id])
        yield from _patterns(f"reports.{index}.options", report.options)
        for place, target in enumerate(report.storage):
            yield from _path(f"reports.{index}.storage.{place}.path", target.path)
    yield from _addresses(draft)
    yield from password_problems(draft)
    if _CONTROL.search(draft.mail.subject):
        yield _control("mail.subject", draft.mail.subject)


def _unique(field: str, ids: Sequence[str]) -> Iterator[Problem]:
    for key, count in Counter(ids).items():
        if count > 1:
            yield Problem(field, f"{key!r} is there {count} times", "name each once")


def _period(field: str, start: datetime | None, end: datetime | None) -> Iterator[Problem]:
    if start is not None and end is not None and end <= start:
        yield Problem(field, "is not after the beginning", "choose a later moment")


def _trigger(field: str, trigger: Trigger) -> Iterator[Problem]:
    if not _SLUG.match(trigger.id):
        yield Problem(f"{field}.id", f"{trigger.id!r} is no id", "letters, digits, dot, hyphen, underscore")
    yield from timezone_problems(f"{field}.timezone", trigger.timezone)
    yield from _period(f"{field}.end", trigger.start, trigger.end)
    if isinstance(trigger, ScheduleTrigger) and isinstance(trigger.rule, CronRule):
        yield from cron_problems(f"{field}.rule.expression", trigger.rule.expression)
    if isinstance(trigger, AnyReloadTrigger | AllReloadsTrigger):
        yield from _apps(f"{field}.apps", trigger.apps)
    if isinstance(trigger, AllReloadsTrigger):
        yield from _window(field, trigger)


def _apps(field: str, apps: Sequence[WatchedApp]) -> Iterator[Problem]:
    if not apps:
        yield Problem(field, "is empty", "name at least one app to wait for")
    for (connection_id, app_id), count in Counter((app.connection_id, app.app_id) for app in apps).items():
        if count > 1:
            message = f"the app {app_id!r} on {connection_id!r} is there {count} times"
            yield Problem(field, message, "name each once")


def _window(field: str, trigger: AllReloadsTrigger) -> Iterator[Problem]:
    if not trigger.days:
        yield Problem(f"{field}.days", "is empty", "name at least one day, or leave it out for every day")
    yield from _unique(f"{field}.days", [day.value for day in trigger.days])
    if trigger.late_at is None:
        if trigger.late is LatePolicy.START or trigger.late_next_day:
            remedy = "say when the run starts although apps are missing"
            yield Problem(f"{field}.late_at", "is missing", remedy)
    elif trigger.late_next_day and trigger.late_at > trigger.since:
        message = f"{trigger.late_at} on the next day is after the next window has opened at {trigger.since}"
        yield Problem(f"{field}.late_at", message, "choose an earlier time; a window lasts at most a day")
    elif not trigger.late_next_day and trigger.late_at <= trigger.since:
        message = f"{trigger.late_at} is not after the window has opened at {trigger.since}"
        remedy = "choose a later time, or set late_next_day if it is meant to be on the next day"
        yield Problem(f"{field}.late_at", message, remedy)


def _patterns(field: str, options: OutputOptions) -> Iterator[Problem]:
    for name in ("date_format", "datetime_format"):
        pattern = getattr(options, name)
        if pattern is not None and ("%" in _DIRECTIVE.sub("", pattern) or not _DIRECTIVE.search(pattern)):
            remedy = "directives such as %Y, %m, %d, %B, %b, %A, %H, %M and %S, as in %d.%m.%Y"
            yield Problem(f"{field}.{name}", f"{pattern!r} is no pattern for dates", remedy)


def _path(field: str, path: str) -> Iterator[Problem]:
    if path.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", path) or _CONTROL.search(path):
        yield Problem(field, f"{path!r} leaves the storage space", "write a path below it, without '..'")


def _addresses(draft: TaskDraft) -> Iterator[Problem]:
    lists = {
        "mail.cc": draft.mail.cc,
        "mail.bcc": draft.mail.bcc,
        "notification.to": draft.notification.to,
        "notification.cc": draft.notification.cc,
        "notification.bcc": draft.notification.bcc,
        "test_mode.address": (draft.test_mode.address,) if draft.test_mode else (),
    }
    for field, addresses in lists.items():
        for index, address in enumerate(addresses):
            yield from email_problems(field if field == "test_mode.address" else f"{field}.{index}", address)
