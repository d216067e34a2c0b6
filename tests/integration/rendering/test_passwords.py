"""A password opens a file and only it does; an edit password leaves reading to all. Asked of others."""

import hashlib
import json
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import msoffcrypto  # type: ignore[import-untyped]
import openpyxl
import pikepdf
import pptx
import pypdf
import pytest
from pypdf.constants import UserAccessPermissions

from bench.contenders import workbook_template
from rendering import OutputFormat, RenderOptions, TemplateKind, convert, edit_locks, render
from rendering.edit_locks import stretched
from rendering.opc import Package
from rendering.protect import ProtectionError, encrypt
from support import office_reader
from support.report_data import report, table

OPEN, EDIT, WRONG = "Grüße 12345", "change it, ölig & spät", "neither of both"
KINDS = (OutputFormat.XLSX, OutputFormat.DOCX, OutputFormat.PPTX)


def plain(kind: OutputFormat) -> bytes:
    out = BytesIO()
    match kind:
        case OutputFormat.XLSX:
            columns = "id day city street note owner pieces amount share status"
            data = report({"title": "Orders"}, {"t": table(columns, tuple(range(10)))})
            return render(TemplateKind.XLSX, workbook_template(), data, RenderOptions(), kind).content
        case OutputFormat.DOCX:
            letter = docx.Document()
            letter.add_paragraph("Orders")
            letter.save(out)
        case OutputFormat.PPTX:
            deck = pptx.Presentation()
            deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "Orders"
            deck.save(out)
        case _:
            return render(TemplateKind.HTML, b"<p>Orders</p>", report(), RenderOptions(), kind).content
    return out.getvalue()


@pytest.mark.skipif(
    not convert.is_warm(), reason=f"NO LIBREOFFICE WITH UNO: apt-get install {convert.PACKAGES}"
)
def test_libreoffice_keeps_to_both_passwords_of_every_office_file(tmp_path: Path) -> None:
    files = {}
    for kind in KINDS:
        content = plain(kind)
        for name, passwords in {"edit": ("", EDIT), "both": (OPEN, EDIT)}.items():
            path = tmp_path / f"{name}.{kind.value}"
            path.write_bytes(encrypt(content, kind, *passwords))
            files[str(path)] = ["", OPEN, EDIT, WRONG] if name == "both" else [""]
    helper, program = Path(convert.__file__).with_name("office_helper.py"), convert.available() or ""
    binary = str(Path(program).resolve().with_name("soffice.bin"))
    asked = [convert._python(), str(office_reader.__file__), str(helper), binary,
             json.dumps(["", OPEN, EDIT, WRONG]), json.dumps(files)]  # fmt: skip
    said = subprocess.run(asked, capture_output=True, text=True, timeout=150, check=True).stdout
    told: dict[tuple[str, str], dict[str, Any]] = {
        (line["file"], line["password"]): line for line in map(json.loads, said.splitlines())
    }
    assert len(told) == 15
    for kind in KINDS:
        opened = [one for one in ("", OPEN, EDIT, WRONG) if told[f"both.{kind.value}", one]["opened"]]
        assert opened == [OPEN], kind
        assert told[f"both.{kind.value}", OPEN]["readonly"]
        assert told[f"edit.{kind.value}", ""]["opened"]
        assert told[f"edit.{kind.value}", ""]["readonly"]
    assert told["edit.xlsx", ""]["unlocked_by"] == [EDIT]
    assert told["both.xlsx", OPEN]["unlocked_by"] == [EDIT]


@pytest.mark.parametrize("kind", KINDS)
def test_the_open_password_is_checked_and_the_content_comes_back(kind: OutputFormat) -> None:
    content = plain(kind)
    sealed = encrypt(content, kind, OPEN)
    assert b"Orders" not in sealed
    wrong = msoffcrypto.OfficeFile(BytesIO(sealed))
    with pytest.raises(Exception, match=r"(?i)key|password"):
        wrong.load_key(password=WRONG, verify_password=True)
    file = msoffcrypto.OfficeFile(BytesIO(sealed))
    file.load_key(password=OPEN, verify_password=True)
    out = BytesIO()
    file.decrypt(out, verify_integrity=True)
    # The archive may carry a comment at its end that makes it long enough to be encrypted.
    assert out.getvalue()[: len(content) - 2] == content[:-2]


@pytest.mark.filterwarnings("ignore:.*not supported and will be removed")  # openpyxl
@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_password_leaves_reading_to_the_usual_libraries(kind: OutputFormat) -> None:
    out = BytesIO(encrypt(plain(kind), kind, edit_password=EDIT))
    match kind:
        case OutputFormat.XLSX:
            book = openpyxl.load_workbook(out)
            assert book.worksheets[0]["A1"].value == "Orders"
            assert book.worksheets[0].protection.sheet
            assert not book.worksheets[0].protection.autoFilter
            assert book.security.lockStructure
        case OutputFormat.DOCX:
            letter = docx.Document(out)
            assert letter.paragraphs[0].text == "Orders"
            names = [child.tag.rpartition("}")[2] for child in letter.settings.element]
            assert names.index("documentProtection") < names.index("defaultTabStop")
        case _:
            deck = pptx.Presentation(out)
            assert deck.slides[0].shapes.title.text == "Orders"
            names = [child.tag.rpartition("}")[2] for child in deck.part._element]
            assert names[-2:] in (["defaultTextStyle", "modifyVerifier"], ["modifyVerifier", "extLst"])


def test_a_sheet_with_a_pivot_table_can_still_be_refreshed() -> None:
    """Excel cannot refresh a pivot table on a locked sheet, and those of a report are, when it is opened."""
    package = Package(plain(OutputFormat.XLSX))
    package.write("xl/pivotTables/pivotTable1.xml", b"<a/>")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/pivotTable"
    package.add_rel("xl/worksheets/sheet1.xml", kind, "xl/pivotTables/pivotTable1.xml")
    locked = Package(edit_locks.lock(package.save(), OutputFormat.XLSX, EDIT))
    assert b"sheetProtection" not in locked.read("xl/worksheets/sheet1.xml")
    assert b"fileSharing" in locked.read("xl/workbook.xml")


@pytest.mark.parametrize(
    ("password", "expected"),
    [("a", "88CE779D"), ("ab", "03CFF069"), ("password1", "AEE1C70E"), ("exactly15chars.", "54E4E756"),
     ("longer than fifteen", "4B9A0D11")],
)  # fmt: skip
def test_the_older_hash_of_word_is_that_of_another_implementation(password: str, expected: str) -> None:
    """Apache POI 5.3.0, CryptoFunctions.xorHashPasswordReversed."""
    assert edit_locks._old_word_hash(password) == expected


def test_the_newer_hash_counts_behind_the_hash() -> None:
    salt = bytes(range(16))
    first = hashlib.sha512(salt + "pass".encode("utf-16-le")).digest()
    second = hashlib.sha512(first + b"\0\0\0\0").digest()
    assert stretched("pass", salt, 0) == first
    assert stretched("pass", salt, 2) == hashlib.sha512(second + b"\1\0\0\0").digest()


def test_a_pdf_with_an_edit_password_is_read_by_all_and_changed_by_who_knows_it() -> None:
    sealed = encrypt(plain(OutputFormat.PDF), OutputFormat.PDF, edit_password=EDIT)
    reader = pypdf.PdfReader(BytesIO(sealed))
    assert "Orders" in reader.pages[0].extract_text()
    rights = reader.user_access_permissions
    assert rights is not None
    assert UserAccessPermissions.PRINT in rights
    assert UserAccessPermissions.EXTRACT in rights
    for denied in (UserAccessPermissions.MODIFY, UserAccessPermissions.ADD_OR_MODIFY,
                   UserAccessPermissions.FILL_FORM_FIELDS, UserAccessPermissions.ASSEMBLE_DOC):  # fmt: skip
        assert denied not in rights
    with pikepdf.open(BytesIO(sealed)) as anybody:
        assert not anybody.allow.modify_other
    with pikepdf.open(BytesIO(sealed), password=EDIT) as owner:
        assert owner.owner_password_matched


def test_a_pdf_with_both_opens_with_either_and_is_changed_with_one() -> None:
    sealed = encrypt(plain(OutputFormat.PDF), OutputFormat.PDF, OPEN, EDIT)
    for wrong in ("", WRONG):
        with pytest.raises(pikepdf.PasswordError):
            pikepdf.open(BytesIO(sealed), password=wrong)
    with pikepdf.open(BytesIO(sealed), password=OPEN) as user:
        assert not user.owner_password_matched
        assert not user.allow.modify_other
    with pikepdf.open(BytesIO(sealed), password=EDIT) as owner:
        assert owner.owner_password_matched


def test_an_archive_pdf_takes_no_password() -> None:
    page = render(
        TemplateKind.HTML, b"<p>x</p>", report(), RenderOptions(pdf_archive="2b"), OutputFormat.PDF
    ).content
    with pytest.raises(ProtectionError, match="must not be encrypted"):
        encrypt(page, OutputFormat.PDF, OPEN)


@pytest.mark.parametrize(
    "kind", [OutputFormat.CSV, OutputFormat.HTML, OutputFormat.PNG, OutputFormat.PARQUET]
)
def test_other_kinds_say_where_to_put_them(kind: OutputFormat) -> None:
    with pytest.raises(ProtectionError, match="encrypted zip"):
        encrypt(b"", kind, edit_password=EDIT)


def test_without_passwords_a_file_stays_what_it_is() -> None:
    assert encrypt(b"anything", OutputFormat.CSV) == b"anything"
