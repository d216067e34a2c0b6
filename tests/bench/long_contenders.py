"""What the rendering bench compares besides: tables too long to be held, and Office files to PDF."""

import csv
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.contenders import (
    COLUMNS,
    CONTENDERS,
    Contender,
    Make,
    Write,
    data_of,
    docx_template,
    made_rows,
    ours,
    pptx_template,
    workbook_template,
)
from rendering import OutputFormat, RenderOptions, TemplateKind


def _streamed(output: OutputFormat) -> Callable[[int], Write]:
    """Rows that come in batches, as they do from Qlik, written into a file."""

    def prepare(count: int) -> Write:
        from rendering.plain import export  # noqa: PLC0415 - the runner itself stays small

        columns = data_of(0).tables["t"].columns

        def write() -> int:
            with TemporaryDirectory() as folder:
                path = Path(folder) / "table"
                rows = made_rows(count)
                export(columns, iter(lambda: list(islice(rows, 5_000)), []), path, output)
                return path.stat().st_size

        return write

    return prepare


def _streamed_xlsxwriter(count: int) -> Write:
    """A plain sheet of the same cells, in the library's way to bound memory."""
    import xlsxwriter  # noqa: PLC0415

    def write() -> int:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "table"
            with xlsxwriter.Workbook(path, {"constant_memory": True, "strings_to_formulas": False}) as book:
                day = book.add_format({"num_format": "yyyy-mm-dd"})
                sheet = book.add_worksheet("Orders")
                sheet.write_row(0, 0, COLUMNS)
                for number, row in enumerate(made_rows(count), 1):
                    for column, value in enumerate(row):
                        if isinstance(value, date):
                            sheet.write_datetime(number, column, value, day)
                        elif isinstance(value, str):
                            sheet.write_string(number, column, value)
                        else:
                            sheet.write_number(number, column, value)
            return path.stat().st_size

    return write


def _streamed_openpyxl(count: int) -> Write:
    """The same by openpyxl's write-only mode."""
    import openpyxl  # noqa: PLC0415

    def write() -> int:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "table"
            book = openpyxl.Workbook(write_only=True)
            sheet = book.create_sheet("Orders")
            sheet.append(COLUMNS)
            for row in made_rows(count):
                sheet.append(row)
            book.save(path)
            return path.stat().st_size

    return write


def _streamed_csv(count: int) -> Write:
    """The limit: the standard library alone, with nothing disarmed."""

    def write() -> int:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "table"
            with path.open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows(made_rows(count))
            return path.stat().st_size

    return write


# Office to PDF


def _office(template: Callable[[], bytes], kind: TemplateKind, *, warm: bool) -> Callable[[int], Make]:
    def prepare(count: int) -> Make:
        from rendering import convert  # noqa: PLC0415 - the runner itself stays small

        content = ours(kind, OutputFormat(kind.value), template)(count)()
        settings = convert.filter_data(RenderOptions())
        office = convert.Office()
        if warm:
            office.convert(content, OutputFormat(kind.value), settings, 300)

        def make() -> bytes:
            pdf = office.convert(content, OutputFormat(kind.value), settings, 300)
            if not warm:
                office.close()
            return pdf

        return make

    return prepare


MILLION = (
    Contender("xlsx", "ours, streamed", _streamed(OutputFormat.XLSX)),
    Contender("xlsx", "XlsxWriter, constant memory", _streamed_xlsxwriter),
    Contender("xlsx", "openpyxl, write-only", _streamed_openpyxl),
    Contender("csv", "ours, streamed", _streamed(OutputFormat.CSV)),
    Contender("csv", "limit: csv", _streamed_csv),
    Contender("pq", "ours, streamed", _streamed(OutputFormat.PARQUET)),
)
OFFICE = tuple(
    Contender(kind.value, f"LibreOffice {name}", _office(template, kind, warm=warm))
    for kind, template in (
        (TemplateKind.XLSX, workbook_template),
        (TemplateKind.DOCX, docx_template),
        (TemplateKind.PPTX, pptx_template),
    )
    for name, warm in (("kept warm", True), ("per file", False))
)
GROUPS = {"usual": CONTENDERS, "million": MILLION, "office": OFFICE}
