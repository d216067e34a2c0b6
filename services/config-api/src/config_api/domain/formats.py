"""Which formats can be made from what."""

from collections.abc import Iterator

from config_api.domain.errors import Problem
from contracts.configuration import (
    OutputFormat,
    TemplateKind,
)
from contracts.output import NativeKind

# What the renderers make of each kind of template (shared/src/rendering).
FORMATS: dict[TemplateKind | None, frozenset[OutputFormat]] = {
    None: frozenset({OutputFormat.CSV, OutputFormat.TXT, OutputFormat.XLSX, OutputFormat.PARQUET}),
    TemplateKind.XLSX: frozenset({OutputFormat.XLSX, OutputFormat.PDF, OutputFormat.PNG}),
    TemplateKind.XLSM: frozenset({OutputFormat.XLSM, OutputFormat.PDF, OutputFormat.PNG}),
    TemplateKind.HTML: frozenset({OutputFormat.HTML, OutputFormat.PDF, OutputFormat.PNG}),
    TemplateKind.DOCX: frozenset({OutputFormat.DOCX, OutputFormat.PDF, OutputFormat.PNG}),
    TemplateKind.PPTX: frozenset({OutputFormat.PPTX, OutputFormat.PDF, OutputFormat.PNG}),
}

# What Qlik Cloud makes of each kind of export (shared/src/qlik/reports.py).
NATIVE_FORMATS: dict[NativeKind, frozenset[OutputFormat]] = {
    NativeKind.SHEET: frozenset({OutputFormat.PDF, OutputFormat.PPTX}),
    NativeKind.OBJECT: frozenset({OutputFormat.PDF, OutputFormat.PPTX, OutputFormat.PNG}),
    NativeKind.OBJECT_DATA: frozenset({OutputFormat.XLSX}),
}
Source = TemplateKind | NativeKind | None
"""What a report is made from: a kind of template, an export of Qlik's, or nothing but its data."""


def formats_of(source: Source) -> frozenset[OutputFormat]:
    """Return the formats that can be made."""
    return NATIVE_FORMATS[source] if isinstance(source, NativeKind) else FORMATS[source]


def format_problems(field: str, wanted: OutputFormat, source: Source) -> Iterator[Problem]:
    """Yield the problem of a format that cannot be made."""
    if wanted not in formats_of(source):
        having = "no template"
        if source is not None:
            what = "export of Qlik's" if isinstance(source, NativeKind) else "template"
            having = f"a {source.value} {what}"
        can = ", ".join(sorted(item.value for item in formats_of(source)))
        yield Problem(
            field, f"the report has {having}, which makes no {wanted.value}", f"choose one of {can}"
        )
