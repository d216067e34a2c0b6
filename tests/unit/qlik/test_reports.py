"""Requests to Cloud's reports API carry the filters, fail on filter errors, and errors have classes."""

from __future__ import annotations

import pytest

from qlik import LimitReached, Selection
from qlik.errors import (
    Aborted,
    CalculationFailed,
    ConfigurationError,
    PermissionDenied,
    QlikError,
    SelectionNotProved,
    SiteBusy,
    Transient,
)
from qlik.reports import Picture, data_request, picture_request, report_error

FILTERS = [Selection(field="Region", values=("North", 7.0))]
STATE = {
    "$": [
        {
            "fieldName": "Region",
            "defaultIsNumeric": False,
            "values": [{"text": "North", "isNumeric": False}, {"text": "7", "number": 7, "isNumeric": True}],
        }
    ]
}


def test_a_chart_is_asked_for_with_its_filters_and_fails_when_one_fails() -> None:
    body = picture_request("app", Picture("obj"), FILTERS)
    assert body["type"] == "sense-image-1.0"
    template = body["senseImageTemplate"]
    assert template["selectionsByState"] == STATE
    assert template["selectionStrategy"] == "failOnErrors"
    assert template["visualization"] == {
        "id": "obj",
        "type": "visualization",
        "widthPx": 1280,
        "heightPx": 720,
    }
    assert body["output"]["imageOutput"]["outFormat"] == "png"


def test_sheets_and_data_carry_them_too() -> None:
    sheet = picture_request("app", Picture("s", kind="sheet", format="pdf"), FILTERS)
    assert sheet["type"] == "sense-sheet-1.0"
    assert sheet["senseSheetTemplate"]["selectionStrategy"] == "failOnErrors"
    data = data_request("app", "obj", FILTERS)
    assert data["senseDataTemplate"]["selectionsByState"] == STATE
    assert data["senseDataTemplate"]["selectionStrategy"] == "failOnErrors"


@pytest.mark.parametrize("wish", [Picture("s", kind="sheet"), Picture("o", format="xlsx")])
def test_a_format_that_does_not_exist_is_refused_here(wish: Picture) -> None:
    with pytest.raises(ConfigurationError):
        picture_request("app", wish, [])


def test_more_filters_than_the_tenant_takes_are_refused_here() -> None:
    with pytest.raises(LimitReached):
        picture_request("app", Picture("o"), [Selection(field=f"f{i}", values=("x",)) for i in range(126)])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("REP-400008", SelectionNotProved),
        ("REP-400009", LimitReached),
        ("REP-400001", ConfigurationError),
        ("REP-403001", PermissionDenied),
        ("REP-403002", CalculationFailed),
        ("REP-404002", ConfigurationError),
        ("REP-409021", Transient),
        ("REP-409046", Transient),
        ("REP-429000", SiteBusy),
        ("REP-429012", SiteBusy),
        ("REP-429016", LimitReached),
        ("REP-429022", Aborted),
        ("REP-500014", Transient),
        ("REP-503005", Transient),
    ],
)
def test_an_error_code_has_its_class(code: str, kind: type[QlikError]) -> None:
    error = report_error(code, "words")
    assert type(error) is kind
    assert error.code == code
