"""A task report's separators stand in the texts Qlik made, and in those we make."""

import pytest

from contracts.output import OutputOptions
from generator.domain.localising import localised, options_for
from rendering.model import ColumnData, Formatted, RenderOptions, TableData

APP = RenderOptions(decimal=".", thousands=",")


def test_what_is_left_out_stays_as_the_app_has_it() -> None:
    assert APP == options_for(OutputOptions(), APP)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (OutputOptions(decimal=","), (",", ".")),
        (OutputOptions(thousands="."), (",", ".")),
        (OutputOptions(decimal=",", thousands=" "), (",", " ")),
        (OutputOptions(thousands=""), (".", "")),
    ],
)
def test_separators_never_fall_together(wanted: OutputOptions, expected: tuple[str, str]) -> None:
    options = options_for(wanted, APP)
    assert expected == (options.decimal, options.thousands)


def test_texts_of_numbers_are_written_anew_and_others_are_not() -> None:
    table = TableData(
        (ColumnData("n", "number"), ColumnData("t")),
        [(Formatted(1234.5, "$1,234.50"), "1,234.50")],
        (Formatted(1234.5, "1,234.50"), None),
    )
    wanted = options_for(OutputOptions(decimal=",", thousands="\u2019"), APP)

    values, tables = localised({"v": Formatted(0.5, "0.5"), "w": "0.5"}, {"t": table}, APP, wanted)

    assert {"v": Formatted(0.5, "0,5"), "w": "0.5"} == values
    assert [(Formatted(1234.5, "$1\u2019234,50"), "1,234.50")] == tables["t"].rows
    assert (Formatted(1234.5, "1\u2019234,50"), None) == tables["t"].totals


def test_every_option_reaches_the_renderer() -> None:
    wanted = OutputOptions(
        date_format="%d.%m.%Y",
        datetime_format="%d.%m.%Y %H:%M",
        language="de-CH",
        page_size="A3",
        landscape=True,
        pdf_a="2b",
        image_dpi=150,
        image_quality=80,
        csv_separator=";",
        csv_bom=True,
        table="t",
    )
    expected = RenderOptions(
        date_format="%d.%m.%Y",
        datetime_format="%d.%m.%Y %H:%M",
        language="de-CH",
        page_size="A3",
        landscape=True,
        pdf_archive="2b",
        image_dpi=150,
        image_quality=80,
        csv_separator=";",
        csv_bom=True,
        table="t",
    )
    assert expected == options_for(wanted, APP)
