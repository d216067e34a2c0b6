"""Office files become PDF by a LibreOffice that stays, and that may die or hang without harm."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import docx
import pikepdf
import pypdf
import pytest
from docx.oxml import parse_xml

from bench.contenders import workbook_template
from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, render
from rendering.convert import PACKAGES, ConversionError, Office, OfficeLimits, available, filter_data, is_warm
from rendering.pdf import archive_level
from support.report_data import report, table

pytestmark = pytest.mark.skipif(not is_warm(), reason=f"NO LIBREOFFICE WITH UNO: apt-get install {PACKAGES}")
PLAIN = filter_data(RenderOptions())


def document(text: str, rows: int = 0) -> bytes:
    made = docx.Document()
    made.add_paragraph(text)
    for number in range(rows):
        made.add_paragraph(f"{number} " + "word " * 200)
    out = BytesIO()
    made.save(out)
    return out.getvalue()


def texts(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(pdf)).pages)


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    one = Office()
    yield one
    one.close()


def programs(helper: int | None) -> list[int]:
    """The LibreOffice processes a helper started that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = status.read_text().rpartition(")")
            if "soffice" in name and rest.split()[0] != "Z" and int(rest.split()[1]) == helper:
                found.append(int(status.parent.name))
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def test_one_program_converts_one_file_after_another(office: Office) -> None:
    for number in range(3):
        pdf = office.convert(document(f"letter {number}"), OutputFormat.DOCX, PLAIN, 60)
        assert f"letter {number}" in texts(pdf)
        if number == 0:
            first = programs(office.pid)
    assert len(first) == 1
    assert programs(office.pid) == first


def test_one_that_was_killed_is_replaced(office: Office) -> None:
    office.convert(document("before"), OutputFormat.DOCX, PLAIN, 60)
    (killed,) = programs(office.pid)
    os.kill(killed, signal.SIGKILL)
    assert "after" in texts(office.convert(document("after"), OutputFormat.DOCX, PLAIN, 60))


def test_one_that_hangs_is_killed_at_its_time_and_the_next_file_comes_out(office: Office) -> None:
    office.convert(document("before"), OutputFormat.DOCX, PLAIN, 60)
    (stopped,) = programs(office.pid)
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(ConversionError, match=r"took longer than 0\.5 s"):
        office.convert(document("never"), OutputFormat.DOCX, PLAIN, 0.5)
    assert not Path(f"/proc/{stopped}").exists()
    assert "after" in texts(office.convert(document("after"), OutputFormat.DOCX, PLAIN, 60))


def test_a_helper_that_was_killed_takes_its_program_along(office: Office) -> None:
    office.convert(document("before"), OutputFormat.DOCX, PLAIN, 60)
    (program,), helper = programs(office.pid), office.pid
    assert helper is not None
    os.kill(helper, signal.SIGKILL)
    until(lambda: not lives(program))
    assert "after" in texts(office.convert(document("after"), OutputFormat.DOCX, PLAIN, 60))


def test_a_file_that_is_damaged_is_told_and_costs_nobody_the_program(office: Office) -> None:
    office.convert(document("before"), OutputFormat.DOCX, PLAIN, 60)
    before = programs(office.pid)
    with pytest.raises(ConversionError, match="could not convert"):
        office.convert(b"PK\3\4 no document", OutputFormat.DOCX, PLAIN, 60)
    assert programs(office.pid) == before


@pytest.mark.slow
def test_a_program_that_has_grown_is_replaced_after_the_file() -> None:
    small = Office(OfficeLimits(recycle_bytes=1))
    try:
        assert "one" in texts(small.convert(document("one"), OutputFormat.DOCX, PLAIN, 60))
        assert programs(small.pid) == []
        assert "two" in texts(small.convert(document("two"), OutputFormat.DOCX, PLAIN, 60))
    finally:
        small.close()


def test_memory_is_bounded_and_the_reason_is_told() -> None:
    narrow = Office(OfficeLimits(memory_bytes=300 * 2**20))
    try:
        with pytest.raises(ConversionError, match="LibreOffice ended over the file"):
            narrow.convert(document("too much"), OutputFormat.DOCX, PLAIN, 60)
    finally:
        narrow.close()


def test_nothing_is_left_when_the_process_that_asked_is_killed() -> None:
    """Neither the helper, nor LibreOffice, nor its folder."""
    code = (
        "import sys; from rendering.convert import Office; from rendering import OutputFormat\n"
        "one = Office(); one.convert(sys.stdin.buffer.read(), OutputFormat.DOCX, {}, 60)\n"
        "print(one.pid, one._folder, flush=True); import time; time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as asking:
        assert asking.stdin is not None
        assert asking.stdout is not None
        asking.stdin.write(document("x"))
        asking.stdin.close()
        helper, folder = asking.stdout.readline().decode().split()
        (program,) = programs(int(helper))
        assert Path(folder).is_dir()
        asking.kill()
    until(lambda: not lives(int(helper)) and not lives(program) and not Path(folder).exists())


@pytest.fixture
def ear() -> Iterator[tuple[str, list[bytes]]]:
    """An address on this machine, and what was asked there."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    heard.append(server.accept()[0].recv(200))

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x.png", heard


def test_libreoffice_reaches_no_network(office: Office, ear: tuple[str, list[bytes]]) -> None:
    """Even past the gate: a document with a remote picture makes LibreOffice ask for nothing."""
    address, heard = ear
    made = docx.Document()
    paragraph = made.add_paragraph("text ")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"
    identifier = made.part.relate_to(address, kind, is_external=True)
    paragraph._p.append(parse_xml(_LINKED.format(identifier)))
    out = BytesIO()
    made.save(out)
    with pytest.raises(TemplateError, match="points outside itself"):
        render(TemplateKind.DOCX, out.getvalue(), report(), RenderOptions(), OutputFormat.PDF)
    assert "text" in texts(office.convert(out.getvalue(), OutputFormat.DOCX, PLAIN, 60))
    assert heard == []


_LINKED = """<w:r xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"
 xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"
 xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><w:drawing>
<wp:inline><wp:extent cx="900000" cy="900000"/><wp:docPr id="1" name="p"/><a:graphic>
<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic>
<pic:nvPicPr><pic:cNvPr id="1" name="p"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:link="{}"/>
<a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/>
<a:ext cx="900000" cy="900000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr>
</pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r>"""

KINDS = (TemplateKind.XLSX, TemplateKind.DOCX, TemplateKind.HTML)


def made(kind: TemplateKind, output: OutputFormat, options: RenderOptions) -> bytes:
    template = {
        TemplateKind.XLSX: workbook_template(),
        TemplateKind.DOCX: document("{{ title }}"),
        TemplateKind.HTML: b"<html lang='en'><title>t</title><p>{{ title }}</p></html>",
    }[kind]
    row = tuple(range(10))
    columns = "id day city street note owner pieces amount share status"
    data = report({"title": "Orders"}, {"t": table(columns, row, row)})
    return render(kind, template, data, options, output).content


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "level", ["2b", pytest.param("1b", marks=pytest.mark.slow), pytest.param("3b", marks=pytest.mark.slow)]
)
def test_pdf_a_says_its_level_and_carries_its_colours_and_fonts(kind: TemplateKind, level: str) -> None:
    content = made(kind, OutputFormat.PDF, RenderOptions(pdf_archive=level))  # type: ignore[arg-type]
    assert "Orders" in texts(content)
    # LibreOffice makes 1a, which is 1b with the structure of the text besides.
    assert archive_level(content) in {level, level.replace("1b", "1a")}
    with pikepdf.open(BytesIO(content)) as pdf:
        intents = pdf.Root.OutputIntents
        assert [str(intent.S) for intent in intents] == ["/GTS_PDFA1"]
        assert intents[0].DestOutputProfile.read_bytes()[36:40] == b"acsp"
        assert not pdf.is_encrypted
        for font in _fonts(pdf):
            assert any(key in font for key in ("/FontFile", "/FontFile2", "/FontFile3")), font
        with pdf.open_metadata() as metadata:
            assert metadata["xmp:CreateDate"].startswith("2026-11-22T07:30:00")
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20261122073000")


def _fonts(pdf: pikepdf.Pdf) -> list[pikepdf.Dictionary]:
    every = [one for one in pdf.objects if isinstance(one, pikepdf.Dictionary)]
    found = [one for one in every if one.get("/Type") == "/FontDescriptor"]
    assert found
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_for_people_is_no_archive_file(kind: TemplateKind) -> None:
    assert archive_level(made(kind, OutputFormat.PDF, RenderOptions())) == ""


@pytest.mark.parametrize("kind", [TemplateKind.XLSX, TemplateKind.DOCX])
def test_the_first_page_as_a_picture(kind: TemplateKind) -> None:
    small = made(kind, OutputFormat.PNG, RenderOptions(image_dpi=72))
    large = made(kind, OutputFormat.PNG, RenderOptions(image_dpi=144))
    assert small.startswith(b"\x89PNG")
    sizes = [[int.from_bytes(png[at : at + 4]) for at in (16, 20)] for png in (small, large)]
    assert all(abs(2 * a - b) <= 2 for a, b in zip(*sizes, strict=True))


def test_formulas_are_computed() -> None:
    assert "7.00" in texts(made(TemplateKind.XLSX, OutputFormat.PDF, RenderOptions()))


def test_quality_and_resolution_reach_the_export() -> None:
    chosen = filter_data(RenderOptions(image_quality=40, image_dpi=100))
    assert chosen["Quality"] == 40
    assert chosen["MaxImageResolution"] == 150
    assert filter_data(RenderOptions())["ReduceImageResolution"] is False


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert available() is None
    with pytest.raises(ConversionError, match="not installed") as told:
        Office().convert(document("x"), OutputFormat.DOCX, PLAIN, 5)
    assert "python3-uno" in told.value.remedy


@pytest.mark.slow
def test_without_uno_a_program_is_started_per_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendering.convert._python", lambda: sys.executable)
    cold = Office()
    try:
        assert "cold" in texts(cold.convert(document("cold"), OutputFormat.DOCX, PLAIN, 60))
        assert programs(cold.pid) == []
        with pytest.raises(ConversionError, match="took longer"):
            cold.convert(document("cold"), OutputFormat.DOCX, PLAIN, 0.05)
        assert programs(cold.pid) == []
    finally:
        cold.close()
