"""Plain exports, passwords, archives, previews and conversion, read back by others."""

import csv
import zipfile
from datetime import date, datetime
from io import BytesIO, StringIO

import msoffcrypto  # type: ignore[import-untyped]
import polars as pl
import pypdf
import pytest
import pyzipper  # type: ignore[import-untyped]
from PIL import Image
from python_calamine import CalamineWorkbook

from rendering import (
    ColumnData,
    OutputFormat,
    Rendered,
    RenderOptions,
    TableData,
    TemplateError,
    TemplateKind,
    render,
)
from rendering.convert import ConversionError, available, to_pdf
from rendering.protect import ProtectionError, archive, encrypt
from support.report_data import report, table

MIXED = TableData(
    (
        ColumnData("name", "text", title="Name"),
        ColumnData("n", "number", "#,##0.0"),
        ColumnData("on", "date"),
        ColumnData("at", "datetime"),
        ColumnData("ok", "bool"),
    ),
    [
        ("=1+1", -2.5, date(2026, 3, 9), datetime(2026, 3, 9, 12, 30), True),
        ('a "b", c', None, None, None, False),
        ("@SUM(A1)", 7, date(1999, 12, 31), None, None),
    ],
)


def export(output: OutputFormat, options: RenderOptions | None = None) -> Rendered:
    data = report(tables={"t": MIXED})
    once = render(TemplateKind.TABLE, b"", data, options or RenderOptions(), output)
    assert once == render(TemplateKind.TABLE, b"", data, options or RenderOptions(), output)
    return once


def test_csv_keeps_numbers_and_disarms_texts() -> None:
    rows = list(csv.reader(StringIO(export(OutputFormat.CSV).content.decode())))
    assert rows == [
        ["Name", "n", "on", "at", "ok"],
        ["'=1+1", "-2.5", "2026-03-09", "2026-03-09 12:30", "true"],
        ['a "b", c', "", "", "", "false"],
        ["'@SUM(A1)", "7", "1999-12-31", "", ""],
    ]


def test_csv_takes_separators_and_can_be_left_as_it_is() -> None:
    options = RenderOptions(csv_separator=";", decimal=",", thousands=".", csv_guard=False, csv_bom=True)
    content = export(OutputFormat.CSV, options).content
    assert content.startswith(b"\xef\xbb\xbfName;n;")
    assert "=1+1;-2,5;" in content.decode("utf-8-sig")


def test_a_workbook_without_a_template_is_typed() -> None:
    sheet = CalamineWorkbook.from_filelike(BytesIO(export(OutputFormat.XLSX).content)).get_sheet_by_index(0)
    rows = sheet.to_python()
    assert rows[1] == ["=1+1", -2.5, date(2026, 3, 9), datetime(2026, 3, 9, 12, 30), True]
    assert rows[2][:2] == ['a "b", c', ""]


def test_parquet_is_typed() -> None:
    frame = pl.read_parquet(BytesIO(export(OutputFormat.PARQUET).content))
    assert [str(t) for t in frame.dtypes] == [
        "String",
        "Float64",
        "Date",
        "Datetime(time_unit='us', time_zone=None)",
        "Boolean",
    ]
    assert frame.row(0) == ("=1+1", -2.5, date(2026, 3, 9), datetime(2026, 3, 9, 12, 30), True)


def test_a_table_must_be_named_when_there_are_several() -> None:
    data = report(tables={"a": table("x"), "b": table("x")})
    with pytest.raises(TemplateError, match="Choose one of: a, b"):
        render(TemplateKind.TABLE, b"", data, RenderOptions(), OutputFormat.CSV)


def test_what_cannot_become_something_says_what_can() -> None:
    with pytest.raises(TemplateError, match="Choose one of: html, pdf, png"):
        render(TemplateKind.HTML, b"", report(), RenderOptions(), OutputFormat.XLSX)


@pytest.mark.parametrize("password", ["correct horse", "Grüße 12345"])
def test_a_pdf_opens_with_its_password_only(password: str) -> None:
    page = render(TemplateKind.HTML, b"<p>secret</p>", report(), RenderOptions(), OutputFormat.PDF)
    reader = pypdf.PdfReader(BytesIO(encrypt(page.content, OutputFormat.PDF, password)))
    assert not reader.decrypt("wrong password")
    assert reader.decrypt(password)
    assert "secret" in reader.pages[0].extract_text()


def test_a_workbook_opens_with_its_password_only() -> None:
    plain = export(OutputFormat.XLSX).content
    locked = msoffcrypto.OfficeFile(BytesIO(encrypt(plain, OutputFormat.XLSX, "Grüße 12345")))
    out = BytesIO()
    locked.load_key(password="Grüße 12345", verify_password=True)
    locked.decrypt(out)
    rows = CalamineWorkbook.from_filelike(BytesIO(out.getvalue())).get_sheet_by_index(0).to_python()
    assert rows == CalamineWorkbook.from_filelike(BytesIO(plain)).get_sheet_by_index(0).to_python()


def test_an_archive_opens_with_its_password_only() -> None:
    files = {"a.csv": b"1", "b.csv": b"2"}
    with pyzipper.AESZipFile(BytesIO(archive(files, "correct horse"))) as zipped:
        with pytest.raises(RuntimeError, match="password"):
            zipped.read("a.csv")
        zipped.setpassword(b"correct horse")
        assert {n: zipped.read(n) for n in zipped.namelist()} == files
    with zipfile.ZipFile(BytesIO(archive(files))) as zipped:
        assert {n: zipped.read(n) for n in zipped.namelist()} == files
    assert archive(files) == archive(files)


@pytest.mark.parametrize("name", ["../a", "a/b", "a\\b", "C:x", ""])
def test_an_archive_takes_plain_names_only(name: str) -> None:
    with pytest.raises(ProtectionError, match="plain and unique"):
        archive({name: b""})


@pytest.mark.parametrize("password", ["short", "x" * 200, "line\nbreak 1"])
def test_weak_and_untypable_passwords_are_refused(password: str) -> None:
    with pytest.raises(ProtectionError):
        encrypt(b"", OutputFormat.PDF, password)


def test_a_csv_has_no_password() -> None:
    with pytest.raises(ProtectionError, match="encrypted zip"):
        encrypt(b"", OutputFormat.CSV, "correct horse")


def test_the_preview_is_a_picture_of_the_first_page() -> None:
    page = render(
        TemplateKind.HTML, b"<p>hello</p>", report(), RenderOptions(page_size="A5"), OutputFormat.PNG
    )
    assert page.content.startswith(b"\x89PNG")
    assert page.content_type == "image/png"


def test_picture_quality_and_resolution_make_a_pdf_smaller() -> None:
    noise = BytesIO()
    Image.effect_noise((800, 800), 90).convert("RGB").save(noise, "JPEG", quality=95)
    template = b"<p>text</p><img width=300 src='{{ images.noise }}'>"
    data = report(images={"noise": noise.getvalue()})

    def size(options: RenderOptions) -> int:
        return len(render(TemplateKind.HTML, template, data, options, OutputFormat.PDF).content)

    as_it_is = size(RenderOptions())
    assert size(RenderOptions(image_quality=30)) < as_it_is / 2
    assert size(RenderOptions(image_dpi=72)) < as_it_is / 2


@pytest.mark.parametrize(
    "wrong", [{"image_quality": 101}, {"image_quality": -1}, {"image_dpi": 10}, {"image_dpi": 5_000}]
)
def test_quality_and_resolution_have_bounds(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RenderOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(available() is None, reason="NO LIBREOFFICE: apt-get install libreoffice-calc-nogui")
def test_a_workbook_becomes_a_pdf_within_its_time() -> None:
    pdf = to_pdf(export(OutputFormat.XLSX).content, OutputFormat.XLSX)
    assert "@SUM(A1)" in pypdf.PdfReader(BytesIO(pdf)).pages[0].extract_text()
    with pytest.raises(ConversionError, match="longer than"):
        to_pdf(export(OutputFormat.XLSX).content, OutputFormat.XLSX, seconds=0.001)
