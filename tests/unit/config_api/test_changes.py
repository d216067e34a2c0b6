"""What a change writes: secrets that stay, files that are replaced, references that are new."""

from datetime import UTC, datetime

import pytest

from config_api.domain.changes import Stamp, Stored, Upload, merged_secrets, save, shown
from config_api.domain.drafts import (
    MASK,
    ConnectionDraft,
    Draft,
    GroupDraft,
    RecipientDraft,
    ReportDraft,
    TemplateDraft,
)
from config_api.domain.errors import InUseError, InvalidError, NotFoundError, StaleError, ThrottledError
from config_api.domain.kinds import CONNECTION, GROUP, REPORT, TEMPLATE
from config_api.domain.references import references, unknown
from config_api.domain.rights import Actor, Role
from config_api.domain.storable import unstorable
from config_api.domain.validation import check
from contracts.base import ObjectRef
from contracts.configuration import TemplateKind
from support.config_api_kit import CONNECTION as CONNECTION_BODY
from support.config_api_kit import REPORT as REPORT_BODY

ACTOR = Actor("1", "dev@example.com", Role.DEVELOPER, None, "session")


def _stamp(change: str = "1") -> Stamp:
    return Stamp(ACTOR, datetime(2026, 3, 2, 8, 0, tzinfo=UTC), change)


def _file(digit: str) -> ObjectRef:
    return ObjectRef(key=f"templates/{digit * 64}", size=1, sha256=digit * 64, content_type="text/html")


def _connection(**secrets: str | None) -> ConnectionDraft:
    return ConnectionDraft.model_validate({**CONNECTION_BODY, "secrets": secrets})


def _stored_connection() -> Stored:
    return save(
        CONNECTION, "c", _connection(), None, _stamp(), sealed={"a": "sealed-a", "b": "sealed-b"}
    ).stored


def test_secrets_are_kept_removed_and_replaced_one_by_one() -> None:
    before = _stored_connection()
    assert merged_secrets(_connection(), before) == ({"a": "sealed-a", "b": "sealed-b"}, {})
    assert merged_secrets(_connection(a=None), before) == ({"b": "sealed-b"}, {})
    kept, fresh = merged_secrets(_connection(a="new", b=MASK), before)
    assert (kept["b"], fresh) == ("sealed-b", {"a": "new"})
    assert merged_secrets(_connection(a="••••••••"), before)[1] == {}, "a mask of any length is a mask"
    assert merged_secrets(GroupDraft(name="G"), None) == ({}, {})


def test_a_mask_over_nothing_is_refused() -> None:
    with pytest.raises(InvalidError):
        merged_secrets(_connection(c=MASK), _stored_connection())


def test_the_settings_of_a_site_name_its_kind_as_the_client_reads_them() -> None:
    assert _stored_connection().document["settings"]["kind"] == "client-managed"


def test_a_template_gets_a_new_version_only_with_other_bytes() -> None:
    draft = TemplateDraft(name="T", tags=("monthly",))
    with pytest.raises(InvalidError):
        save(TEMPLATE, "t", draft, None, _stamp())
    first = save(TEMPLATE, "t", draft, None, _stamp(), upload=Upload(TemplateKind.HTML, _file("a"))).stored
    assert (first.document["version"], first.document["kind"]) == (1, "html")
    renamed = save(TEMPLATE, "t", TemplateDraft(name="U"), first, _stamp("2")).stored
    assert (renamed.document["version"], renamed.document["file"]) == (1, first.document["file"])
    same = save(
        TEMPLATE, "t", draft, renamed, _stamp("3"), upload=Upload(TemplateKind.HTML, _file("a"))
    ).stored
    assert same.document["version"] == 1
    other = save(TEMPLATE, "t", draft, same, _stamp("4"), upload=Upload(TemplateKind.HTML, _file("b"))).stored
    assert other.document["version"] == 2
    assert TemplateDraft.model_validate(shown(other)).name == "T", "what was read can be sent back"


def test_only_new_references_have_to_be_proved_again() -> None:
    first = save(GROUP, "g", GroupDraft(name="G", members=("a", "b")), None, _stamp())
    assert [reference.id for reference in first.added] == ["a", "b"]
    second = save(GROUP, "g", GroupDraft(name="G", members=("b", "c")), first.stored, _stamp("2"))
    assert [reference.id for reference in second.added] == ["c"]
    assert second.refs == ("recipient:b", "recipient:c")
    assert second.event.changed_fields == ("members",)


def test_a_report_counts_its_versions_and_names_what_it_needs() -> None:
    draft = ReportDraft.model_validate(REPORT_BODY)
    first = save(REPORT, "r", draft, None, _stamp())
    assert (first.document or {})["version"] == 1
    second = save(REPORT, "r", draft, first.stored, _stamp("2"))
    assert (second.document or {})["version"] == 2
    assert {each.key for each in references(draft)} == {"connection:qlik", "template:delays-page"}
    assert "GET /api/v1/connections" in unknown(references(draft)[0]).remedy


@pytest.mark.parametrize("value", ["a string", None, 3])
def test_what_is_no_object_is_left_to_the_schema(value: object) -> None:
    with pytest.raises(ValueError, match="valid"):
        Draft.model_validate(value)


def test_the_address_of_a_recipient_is_looked_at() -> None:
    assert [problem.field for problem in check(RecipientDraft(name="A", email="a@b..c"))] == ["email"]
    assert check(RecipientDraft(name="A")) == []


def test_a_chart_over_an_object_of_the_app_is_not_judged_by_columns_nobody_knows() -> None:
    data = [
        {"kind": "object", "name": "o", "object_id": "x"},
        {"kind": "chart", "name": "c", "table": "o", "category": "a", "series": ["b"]},
    ]
    assert check(ReportDraft.model_validate({**REPORT_BODY, "data": data})) == []


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1.5, float("nan")]}, "a.1"),
        ({"a": {"b": float("inf")}}, "a.b"),
        ([2**63], "0"),
        ({"a": "\ud800"}, "a"),
        ({"a": {"b\x00": 1}}, "a"),
        ({"\udfff": 1}, ""),
    ],
)
def test_what_no_store_keeps_is_named_by_its_place(value: object, place: str) -> None:
    assert [problem.field for problem in unstorable(value)] == [place]


def test_what_a_store_keeps_is_left_alone() -> None:
    assert (
        list(unstorable({"a": [1, -(2**63), 2**63 - 1, 1.5, True, None, "ä\U0001f600\x00"], "$b.c": {}}))
        == []
    )


def test_every_refusal_says_what_to_do() -> None:
    refusals = [
        NotFoundError("task", "t"),
        InUseError("task", "t", ("group 'g'",)),
        StaleError("task", "t"),
        ThrottledError(7),
    ]
    assert all(refusal.remedy and str(refusal) == refusal.message for refusal in refusals)
    assert "group 'g'" in refusals[1].message
    assert "7 seconds" in refusals[3].remedy
