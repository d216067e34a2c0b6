"""Names of months and days are those of the report's language."""

from datetime import date, datetime

import pytest

from rendering import RenderOptions
from rendering.language import Language, Scope
from rendering.text import fill
from rendering.values import display, strftime
from support.report_data import report

DAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "Monday 02 March 2026"),
        ("de", "Montag 02 März 2026"),
        ("de-CH", "Montag 02 März 2026"),
        ("fr", "lundi 02 mars 2026"),
        ("xx", "Monday 02 March 2026"),
    ],
)
def test_months_and_days_are_named_in_the_language(language: str, expected: str) -> None:
    assert strftime(DAY, "%A %d %B %Y", language) == expected


def test_values_and_the_date_filter_take_the_language_of_the_report() -> None:
    options = RenderOptions(language="de", date_format="%d. %B %Y", datetime_format="%d. %b %H:%M")
    assert display(DAY, options) == "02. März 2026"
    assert display(datetime(2026, 10, 2, 7, 5), options) == "02. Okt. 07:05"
    data = report({"day": DAY})
    text = fill("{{ day | date('%A') }}", Language(data, options), Scope(data), "here")
    assert text == "Montag"


def test_a_percent_sign_stays_one() -> None:
    assert strftime(DAY, "100%% %B %%B", "de") == "100% März %B"
