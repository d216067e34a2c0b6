"""What is refused, where, and with what advice."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from config_api.adapters.site_check import check_site
from config_api.domain.drafts import ConnectionDraft, ReportDraft, StorageSpaceDraft, TaskDraft
from config_api.domain.formats import FORMATS, Source
from config_api.domain.references import references
from config_api.domain.validation import (
    check,
    cron_problems,
    email_problems,
    timezone_problems,
    unknown_fields,
)
from contracts.configuration import (
    ConnectionKind,
    OutputFormat,
    TemplateKind,
)
from contracts.output import NativeKind
from contracts.triggers import ReloadOn, ReloadTrigger
from rendering.engine import RENDERERS
from support.config_api_kit import CONNECTION, REPORT, STORAGE, TASK


def _task(**changes: Any) -> TaskDraft:
    return TaskDraft.model_validate({**TASK, **changes})


def _fields(draft: Any, templates: dict[str, Source] | None = None) -> set[str]:
    problems = check(draft, templates)
    assert all(problem.message and problem.remedy for problem in problems), (
        "every problem says how to mend it"
    )
    return {problem.field for problem in problems}


def test_the_example_is_in_order() -> None:
    assert _fields(_task(), {"delays": TemplateKind.HTML}) == set()
    assert _fields(ReportDraft.model_validate(REPORT)) == set()
    assert _fields(StorageSpaceDraft.model_validate(STORAGE)) == set()
    assert check_site(ConnectionKind.CLIENT_MANAGED, CONNECTION["settings"], ["auth.key_pem"]) == []


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_dates_too_far_away_to_compute_with_are_refused_wherever_they_stand(moment: str) -> None:
    schedule = {"kind": "schedule", "id": "s", "rule": {"kind": "cron", "expression": "0 6 * * *"}}
    reload = {"kind": "qlik-reload", "id": "r", "connection_id": "flights", "app_id": "app"}
    task = _task(
        triggers=[
            schedule | {"start": moment},
            schedule | {"id": "s2", "start": "2026-01-01T00:00:00Z", "end": moment},
            reload | {"start": moment},
        ],
        valid_from=moment,
    )

    expected = {"triggers.0.start", "triggers.1.end", "triggers.2.start", "valid_from"}
    assert expected == _fields(task) & expected


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-05:00"])
def test_a_date_that_has_no_moment_in_utc_is_not_valid(moment: str) -> None:
    with pytest.raises(ValidationError, match="before the year 1 or after the year 9999"):
        _task(valid_from=moment)


@pytest.mark.parametrize("moment", ["2000-01-01T00:00:00Z", "2200-12-31T23:59:59Z"])
def test_the_first_and_the_last_date_are_taken(moment: str) -> None:
    assert "valid_from" not in _fields(_task(valid_from=moment))


@pytest.mark.parametrize("expression", ["0 6 * * *", "*/5 * * * 1-5", "0 0 L * *", "30 4 1,15 * 5"])
def test_cron_that_is_understood(expression: str) -> None:
    assert cron_problems("f", expression) == []


@pytest.mark.parametrize(
    "expression", ["0 6 * *", "61 * * * *", "0 6 30 2 *", "every day at six", "0 0 6 * * *", ""]
)
def test_cron_that_is_wrong_or_never_due(expression: str) -> None:
    assert cron_problems("f", expression)[0].field == "f"


@pytest.mark.parametrize(
    "name", ["Mars/Base", "", "../../etc/passwd", "/etc/localtime", "Europe/Paris\x00", "x" * 400]
)
def test_time_zones_that_do_not_exist(name: str) -> None:
    assert timezone_problems("f", name)


def test_time_zones_that_exist() -> None:
    assert not timezone_problems("f", "America/New_York")
    assert not timezone_problems("f", "UTC")


@pytest.mark.parametrize(
    "address",
    ["a@b.example", "first.last+tag@sub.example.com", "o'brien@example.com", "x@xn--bcher-kva.example"],
)
def test_addresses_that_are_right(address: str) -> None:
    assert email_problems("f", address) == []


@pytest.mark.parametrize(
    "address",
    [
        "a@b..example",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@-x.example",
        "ä@example.com",
        "a@exämple.com",
        "a b@example.com",
        "@example.com",
        "a@",
        f"{'a' * 65}@example.com",
        "a@" + "b." * 130 + "c",
    ],
)
def test_addresses_that_are_wrong(address: str) -> None:
    assert email_problems("f", address)


TRIGGER = TASK["triggers"][0]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timezone": "Nowhere"}, "timezone"),
        ({"deadline": 5}, "deadline"),
        ({"deadline": timedelta(days=8)}, "deadline"),
        ({"valid_from": "2026-02-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"}, "valid_until"),
        ({"reports": [TASK["reports"][0], TASK["reports"][0]]}, "reports"),
        ({"recipients": [{"recipient_id": "a"}, {"recipient_id": "a"}]}, "recipients"),
        ({"triggers": [TRIGGER, TRIGGER]}, "triggers"),
        ({"triggers": [{**TRIGGER, "id": "manual:x"}]}, "triggers.0.id"),
        ({"triggers": [{**TRIGGER, "timezone": "Nowhere"}]}, "triggers.0.timezone"),
        ({"triggers": [{**TRIGGER, "end": "2025-01-01T00:00:00Z"}]}, "triggers.0.end"),
        (
            {"triggers": [{**TRIGGER, "rule": {"kind": "cron", "expression": "99 6 * * *"}}]},
            "triggers.0.rule.expression",
        ),
        ({"mail": {"subject": "a\nBcc: b@example.com"}}, "mail.subject"),
        ({"mail": {"cc": ["a@b..c"]}}, "mail.cc.0"),
        ({"notification": {"to": ["ok@example.com", "a@b..c"]}}, "notification.to.1"),
        ({"test_mode": {"address": "a@b..c"}}, "test_mode.address"),
        ({"name": "a\nb"}, "name"),
        ({"mail": {"subject": "Report {{7*7}}"}}, "mail.subject"),
        ({"mail": {"subject": "Sales {{ total }}"}}, "mail.subject"),
        ({"mail": {"subject": "Sales {{ meta.report }}"}}, "mail.subject"),
        ({"mail": {"subject": "Sales {{ task.name"}}, "mail.subject"),
        ({"mail": {"body": "{% if task.name %}x{% endif %}"}}, "mail.body"),
        ({"mail": {"body": "<p>{{ recipient.secrets.pin }}</p>"}}, "mail.body"),
        ({"mail": {"body": "{{ now | date('%Q') }}"}}, "mail.body"),
        (
            {"reports": [{**TASK["reports"][0], "storage": [{"storage_id": "s", "path": "{{ vFolder }}"}]}]},
            "reports.0.storage.0.path",
        ),
        (
            {"reports": [{**TASK["reports"][0], "storage": [{"storage_id": "s", "path": "../x"}]}]},
            "reports.0.storage.0.path",
        ),
        (
            {"reports": [{**TASK["reports"][0], "storage": [{"storage_id": "s", "path": "/x"}]}]},
            "reports.0.storage.0.path",
        ),
    ],
)
def test_what_is_wrong_in_a_task_is_named_by_its_place(changes: dict[str, Any], field: str) -> None:
    assert field in _fields(_task(**changes))


def test_a_wrong_tag_is_told_with_its_place_and_the_names_there_are() -> None:
    draft = _task(mail={"subject": "Sales {{ total }} {{ nobody }}", "body": "one\ntwo {{ totl }}"})
    found = [(each.field, each.message, each.remedy) for each in check(draft)]
    assert ["mail.subject", "mail.subject", "mail.body"] == [field for field, _, _ in found]
    assert "line 1, column 7: the tag '{{ total }}' names 'total'" in found[0][1]
    assert "line 2, column 5" in found[2][1]
    assert "task.name" in found[0][2]
    assert "report.name" not in found[0][2]


def test_a_wrong_tag_in_the_name_of_a_file_is_refused() -> None:
    assert {"file_name"} == _fields(ReportDraft.model_validate({**REPORT, "file_name": "{{ nonsense }}"}))
    known = (
        "{{ meta.report }} {{ iteration.value }} {{ meta.now | date('%Y-%m') }} {{ recipient.attributes.x }}"
    )
    assert set() == _fields(ReportDraft.model_validate({**REPORT, "file_name": known}))


@pytest.mark.parametrize(
    ("kind", "wanted", "fine"),
    [
        (TemplateKind.HTML, "html", True),
        (TemplateKind.HTML, "pdf", True),
        (TemplateKind.HTML, "xlsx", False),
        (TemplateKind.XLSX, "xlsx", True),
        (TemplateKind.XLSX, "pdf", True),
        (TemplateKind.XLSX, "docx", False),
        (None, "csv", True),
        (None, "pdf", False),
    ],
)
def test_a_format_has_to_be_one_the_template_makes(
    kind: TemplateKind | None, wanted: str, fine: bool
) -> None:
    draft = _task(reports=[{"id": "r1", "report_id": "delays", "format": wanted}])
    assert ("reports.0.format" not in _fields(draft, {"delays": kind})) is fine


@pytest.mark.parametrize(
    ("pattern", "fine"), [("%d.%m.%Y", True), ("%Y-%m-%d %H:%M", True), ("dd.mm.yyyy", False), ("%Q", False)]
)
def test_a_pattern_for_dates_has_to_be_one(pattern: str, *, fine: bool) -> None:
    report = {**TASK["reports"][0], "options": {"date_format": pattern}}
    assert ("reports.0.options.date_format" not in _fields(_task(reports=[report]))) is fine


@pytest.mark.parametrize(
    ("kind", "wanted", "fine"),
    [
        (NativeKind.SHEET, "pdf", True),
        (NativeKind.SHEET, "xlsx", False),
        (NativeKind.OBJECT_DATA, "xlsx", True),
    ],
)
def test_an_export_of_qliks_has_the_formats_qlik_makes(kind: NativeKind, wanted: str, *, fine: bool) -> None:
    draft = _task(reports=[{"id": "r1", "report_id": "delays", "format": wanted}])
    assert ("reports.0.format" not in _fields(draft, {"delays": kind})) is fine


def test_an_export_of_qliks_takes_neither_template_nor_data() -> None:
    native = {"kind": "sheet", "id": "s"}
    assert "native" in _fields(ReportDraft.model_validate({**REPORT, "native": native}))
    alone = {**REPORT, "native": native, "template_id": None, "data": []}
    assert _fields(ReportDraft.model_validate(alone)) == set()


def test_charts_and_sorting_name_what_there_is() -> None:
    chart = {"kind": "chart", "name": "c", "table": "by_dest", "category": "dest", "series": ["flights"]}
    good = ReportDraft.model_validate({**REPORT, "data": [*REPORT["data"], chart]})
    assert _fields(good) == set()
    for broken in ({**chart, "table": "no"}, {**chart, "series": ["no"]}, {**chart, "name": "by_dest"}):
        assert _fields(ReportDraft.model_validate({**REPORT, "data": [*REPORT["data"], broken]}))
    sorted_by_nothing = {**REPORT["data"][0], "sort": ["-nothing"]}
    assert _fields(ReportDraft.model_validate({**REPORT, "data": [sorted_by_nothing]})) == {"data.0.sort.0"}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"root": "relative"}, "settings.root"),
        ({"root": "/a/../etc"}, "settings.root"),
        ({}, "settings.root"),
        ({"root": "/srv", "colour": "red"}, "settings.colour"),
    ],
)
def test_a_folder_is_an_absolute_path(settings: dict[str, str], field: str) -> None:
    assert field in _fields(StorageSpaceDraft(name="S", kind="folder", settings=settings))


def test_secrets_are_not_taken_as_settings() -> None:
    storage = StorageSpaceDraft.model_validate(
        {**STORAGE, "settings": {**STORAGE["settings"], "secret_key": "x"}}
    )
    assert "settings.secret_key" in _fields(storage)
    cloud = {"engine_url": "wss://t.eu.qlikcloud.com", "tenant_url": "https://t.eu.qlikcloud.com"}
    draft = ConnectionDraft(
        name="C", kind="cloud", settings={**cloud, "auth": {"kind": "api-key", "key": "abc"}}
    )
    assert [problem.field for problem in check_site(draft.kind, draft.settings, [])] == ["settings.auth.key"]
    fine = {**cloud, "auth": {"kind": "api-key"}}
    assert check_site(draft.kind, fine, ["auth.key"]) == []


def test_what_is_missing_in_a_site_is_named() -> None:
    problems = check_site(ConnectionKind.CLOUD, {"auth": {"kind": "api-key"}}, ["auth.key"])
    assert {problem.field for problem in problems} == {"settings.engine_url"}
    assert (
        check_site(ConnectionKind.CLOUD, {"engine_url": "x"}, ["engine_url.deep"])[0].field
        == "secrets.engine_url.deep"
    )


def test_references_name_their_place() -> None:
    places = {(each.key, each.field) for each in references(_task())}
    assert ("report:delays", "reports.0.report_id") in places
    assert ("group:airlines", "recipients.0.group_id") in places
    assert ("connection:qlik", "triggers.1.connection_id") in places
    assert ("storage-space:archive", "reports.0.storage.0.storage_id") in places


A, B = {"connection_id": "qlik", "app_id": "a"}, {"connection_id": "north", "app_id": "b", "name": "B"}


def _on_reload(kind: str, **changes: Any) -> TaskDraft:
    return _task(triggers=[{"kind": kind, "id": "t", "apps": [A, B], **changes}])


def test_triggers_on_several_apps_that_are_in_order() -> None:
    assert _fields(_on_reload("qlik-reload-any", on="failed")) == set()
    for window in (
        {"since": "04:00"},
        {"since": "04:00", "late_at": "06:30", "late": "start", "days": ["mon", "fri"]},
        {"since": "22:00", "late_at": "02:00", "late_next_day": True},
        {"since": "04:00", "late_at": "04:00", "late_next_day": True},
    ):
        assert _fields(_on_reload("qlik-reload-all", **window)) == set()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"apps": []}, "triggers.0.apps"),
        ({"apps": [A, B, A]}, "triggers.0.apps"),
        ({"timezone": "Mars/Base"}, "triggers.0.timezone"),
        ({"days": []}, "triggers.0.days"),
        ({"days": ["mon", "mon"]}, "triggers.0.days"),
        ({"late": "start"}, "triggers.0.late_at"),
        ({"late_next_day": True}, "triggers.0.late_at"),
        ({"late_at": "03:59"}, "triggers.0.late_at"),
        ({"late_at": "04:00"}, "triggers.0.late_at"),
        ({"late_at": "04:01", "late_next_day": True}, "triggers.0.late_at"),
    ],
)
def test_windows_that_make_no_sense(changes: dict[str, Any], field: str) -> None:
    assert _fields(_on_reload("qlik-reload-all", **{"since": "04:00", **changes})) == {field}


@pytest.mark.parametrize("since", ["4:00", "24:00", "04:60", "04:00:00", ""])
def test_a_time_of_day_has_hours_and_minutes(since: str) -> None:
    with pytest.raises(ValidationError, match="since"):
        _on_reload("qlik-reload-all", since=since)


def test_every_app_of_a_trigger_refers_to_its_connection() -> None:
    places = {(each.key, each.field) for each in references(_on_reload("qlik-reload-all", since="04:00"))}
    assert ("connection:qlik", "triggers.0.apps.0.connection_id") in places
    assert ("connection:north", "triggers.0.apps.1.connection_id") in places


def test_a_reload_trigger_as_it_was_stored_before_is_still_read() -> None:
    stored = {"kind": "qlik-reload", "id": "r", "connection_id": "qlik", "app_id": "flights"}
    (found,) = _task(triggers=[stored]).triggers
    assert isinstance(found, ReloadTrigger)
    assert found.on is ReloadOn.SUCCEEDED


def test_unknown_fields_are_found_at_any_depth_and_free_keys_are_free() -> None:
    sent = {"a": {"b": [{"c": 1, "typo": 2}]}, "free": {"any": "thing"}}
    understood = {"a": {"b": ({"c": 1, "d": 0},)}, "free": {"any": "thing"}}
    assert [problem.field for problem in unknown_fields(sent, understood)] == ["a.b.0.typo"]


def test_the_formats_of_a_template_are_those_the_renderers_make() -> None:
    made: dict[TemplateKind | None, set[str]] = {}
    for kind, wanted in RENDERERS:
        ours = None if kind.value == "table" else TemplateKind(kind.value)
        if wanted.value in {each.value for each in OutputFormat}:
            made.setdefault(ours, set()).add(wanted.value)
    assert {kind: {each.value for each in formats} for kind, formats in FORMATS.items()} == made
