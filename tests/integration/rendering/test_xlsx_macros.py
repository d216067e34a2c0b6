"""Workbooks with macros: nobody adds any, and those there are stay as they were uploaded."""

import warnings
import zipfile
from io import BytesIO

import msoffcrypto  # type: ignore[import-untyped]
import pytest
import xlsxwriter
from msoffcrypto.exceptions import InvalidKeyError  # type: ignore[import-untyped]
from pypdf import PdfReader

from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, inspect, render
from rendering.protect import encrypt
from support.pages import to_pdf
from support.report_data import report, table
from support.vba import vba_project
from support.workbooks import opened

MODULES = {"Totals": "Public Function Doubled(n As Double) As Double\n    Doubled = n * 2\nEnd Function\n"}
SIGNATURES = ("vbaProjectSignature.bin", "vbaProjectSignatureAgile.bin", "vbaProjectSignatureV3.bin")
TYPES = "[Content_Types].xml"
OFFICE = "http://schemas.microsoft.com/office/2006/relationships/"
CONTROL = (
    '<formControlPr xmlns="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main" fmlaLink="$B$4"/>'
)
DATA = report(tables={"d": table("k v", ("a", 1), ("b", 2), ("c", 3))})


def _template(modules: dict[str, str] = MODULES) -> bytes:
    """A workbook with macros signed three ways, a button, and a control linked to a cell below the table."""
    out = BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.add_signed_vba_project(BytesIO(vba_project(modules)), BytesIO(b"signed" * 50), True, True)
    sheet = book.add_worksheet("S")
    sheet.write_row("A2", ["{{ d.k }}", "{{ d.v }}"])
    sheet.insert_button("D5", {"macro": "Doubled"})
    book.close()
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rels = "xl/_rels/vbaProject.bin.rels"
    for number, name in enumerate(SIGNATURES[1:], 7):
        parts[f"xl/{name}"] = name.encode() * 30
        parts[rels] = parts[rels].replace(
            b"</Relationships>",
            f'<Relationship Id="rId{number}" Type="{OFFICE}{name[:-4]}" Target="{name}"/>'.encode()
            + b"</Relationships>",
        )
        kind = f"application/vnd.ms-office.{name[:-4]}"
        parts[TYPES] = parts[TYPES].replace(
            b"</Types>", f'<Override PartName="/xl/{name}" ContentType="{kind}"/></Types>'.encode()
        )
    parts["xl/ctrlProps/ctrlProp1.xml"] = CONTROL.encode()
    parts["xl/worksheets/_rels/sheet1.xml.rels"] = parts["xl/worksheets/_rels/sheet1.xml.rels"].replace(
        b"</Relationships>",
        b'<Relationship Id="rId9" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
        b'ctrlProp" Target="../ctrlProps/ctrlProp1.xml"/></Relationships>',
    )
    return _zipped(parts)


def _zipped(parts: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _macros(content: bytes) -> list[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from oletools.olevba import VBA_Parser  # noqa: PLC0415 - its import warns
    parser = VBA_Parser("book.xlsm", data=content)
    try:
        return [(name, code) for _, _, name, code in parser.extract_macros()]
    finally:
        parser.close()


def test_macros_signatures_and_buttons_stay_byte_for_byte() -> None:
    template = _template()
    result = render(TemplateKind.XLSM, template, DATA, RenderOptions(), OutputFormat.XLSM)
    before, after = _parts(template), _parts(result.content)
    for name in ("xl/vbaProject.bin", "xl/_rels/vbaProject.bin.rels", *(f"xl/{one}" for one in SIGNATURES)):
        assert before[name] == after[name], name
    assert before[TYPES] == after[TYPES]
    assert _macros(template) == _macros(result.content)
    assert [name for name, _ in _macros(result.content)] == ["Totals.bas"]
    assert "Doubled = n * 2" in _macros(result.content)[0][1]
    assert (result.extension, result.content_type) == (
        "xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12",
    )  # fmt: skip
    assert [c.value for c in opened(result.content)["S"]["B"]] == [None, 1, 2, 3]


def test_buttons_and_linked_cells_follow_the_rows() -> None:
    after = _parts(render(TemplateKind.XLSM, _template(), DATA, RenderOptions(), OutputFormat.XLSM).content)
    assert b'fmlaLink="$B$6"' in after["xl/ctrlProps/ctrlProp1.xml"]
    assert b"<x:FmlaMacro>[0]!Doubled</x:FmlaMacro>" in after["xl/drawings/vmlDrawing1.vml"]
    alone = report(tables={"d": table("k v", ("a", 1))})
    still = _parts(render(TemplateKind.XLSM, _template(), alone, RenderOptions(), OutputFormat.XLSM).content)
    assert still["xl/ctrlProps/ctrlProp1.xml"] == CONTROL.encode()


def test_macros_are_accepted_only_in_a_workbook_that_says_so() -> None:
    template = _template()
    assert inspect(TemplateKind.XLSM, template).problems == ()
    (problem,) = inspect(TemplateKind.XLSX, template).problems
    assert "macros" in problem.message
    assert ".xlsm" in problem.remedy
    with pytest.raises(TemplateError, match="macros"):
        render(TemplateKind.XLSX, template, DATA, RenderOptions(), OutputFormat.XLSX)
    with pytest.raises(TemplateError, match="cannot become xlsx"):
        render(TemplateKind.XLSM, template, DATA, RenderOptions(), OutputFormat.XLSX)


def test_a_plain_workbook_is_no_xlsm() -> None:
    out = BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.add_worksheet("S")
    (problem,) = inspect(TemplateKind.XLSM, out.getvalue()).problems
    assert "no workbook with macros" in problem.message


@pytest.mark.parametrize("hidden", ["xl/other.bin", "xl/vbaProject.bin"])
def test_a_project_smuggled_into_an_xlsx_is_refused(hidden: str) -> None:
    out = BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.add_worksheet("S")
    parts = _parts(out.getvalue())
    parts[hidden] = vba_project(MODULES)
    if hidden == "xl/other.bin":
        kind = b'<Override PartName="/xl/other.bin" ContentType="application/vnd.MS-OFFICE.vbaProject"/>'
        parts[TYPES] = parts[TYPES].replace(b"</Types>", kind + b"</Types>")
    (problem,) = inspect(TemplateKind.XLSX, _zipped(parts)).problems
    assert "macros" in problem.message


def test_macro_sheets_and_embedded_macros_are_refused_in_an_xlsm_too() -> None:
    parts = _parts(_template())
    types = parts[TYPES]
    sheet = b'<Override PartName="/xl/m.xml" ContentType="application/vnd.ms-excel.macrosheet+xml"/>'
    parts[TYPES] = types.replace(b"</Types>", sheet + b"</Types>")
    (problem,) = inspect(TemplateKind.XLSM, _zipped(parts)).problems
    assert "Excel 4" in problem.message
    parts[TYPES] = types
    parts["xl/embeddings/book.xlsm"] = _template()
    (problem,) = inspect(TemplateKind.XLSM, _zipped(parts)).problems
    assert "macros" in problem.message


def test_texts_of_a_template_with_macros_are_looked_at_as_ever() -> None:
    assert inspect(TemplateKind.XLSM, _template()).tables == {"d": frozenset({"k", "v"})}


def test_a_signed_package_loses_a_signature_that_no_longer_holds_but_not_that_of_its_macros() -> None:
    parts = _parts(_template())
    origin = "http://schemas.openxmlformats.org/package/2006/relationships/digital-signature/origin"
    rel = f'<Relationship Id="rId77" Type="{origin}" Target="_xmlsignatures/origin.sigs"/></Relationships>'
    parts["_rels/.rels"] = parts["_rels/.rels"].replace(b"</Relationships>", rel.encode())
    parts["_xmlsignatures/origin.sigs"] = b""
    parts["_xmlsignatures/sig1.xml"] = b"<Signature/>"
    template = _zipped(parts)
    result = render(TemplateKind.XLSM, template, DATA, RenderOptions(), OutputFormat.XLSM)
    after = _parts(result.content)
    assert not [name for name in after if name.startswith("_xmlsignatures")]
    assert b"origin.sigs" not in after["_rels/.rels"]
    assert ["left out" in warning for warning in result.warnings] == [True]
    assert after["xl/vbaProjectSignature.bin"] == parts["xl/vbaProjectSignature.bin"]


def test_a_password_opens_a_report_with_macros_and_pages_show_it() -> None:
    content = render(TemplateKind.XLSM, _template(), DATA, RenderOptions(), OutputFormat.XLSM).content
    locked = BytesIO(encrypt(content, OutputFormat.XLSM, "long enough"))
    with pytest.raises(InvalidKeyError):
        _unlocked(locked, "not this one")
    assert _macros(_unlocked(locked, "long enough")) == _macros(content)
    (pdf,) = to_pdf({"report.xlsm": content}).values()
    assert "a 1 b 2 c 3" in " ".join(PdfReader(BytesIO(pdf)).pages[0].extract_text().split())


def _unlocked(locked: BytesIO, password: str) -> bytes:
    out = BytesIO()
    file = msoffcrypto.OfficeFile(locked)
    file.load_key(password=password)
    file.decrypt(out)
    return out.getvalue()
