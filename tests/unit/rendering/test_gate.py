"""What must not reach a parser does not."""

import struct
import zipfile
import zlib
from io import BytesIO

import pytest

from rendering import Limits, TemplateError, gate

TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
MACROS = TYPES.replace(b"/>", b">application/vnd.ms-excel.sheet.macroEnabled</Types>")
BILLION = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


def _zip(parts: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"[Content_Types].xml": TYPES, **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _rel(kind: str, target: str, mode: str = "External") -> bytes:
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Target="{target}" TargetMode="{mode}" '
        f'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}"/></Relationships>'
    ).encode()


def test_an_ordinary_package_passes() -> None:
    gate(
        _zip(
            {"xl/workbook.xml": b"<workbook/>", "xl/_rels/a.rels": _rel("hyperlink", "https://example.org/")}
        )
    )


def test_an_embedded_workbook_passes() -> None:
    gate(_zip({"ppt/embeddings/data.xlsx": _zip({"xl/workbook.xml": b"<workbook/>"})}))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"xl/workbook.xml": BILLION}, "DOCTYPE"),
        ({"xl/workbook.xml": OUTSIDE}, "DOCTYPE"),
        ({"xl/workbook.xml": OUTSIDE.decode().encode("utf-16")}, "DOCTYPE"),
        ({"xl/media/image1.png": OUTSIDE}, "DOCTYPE"),
        ({"xl/worksheets/sheet1.xml": b"<a>" + b" " * 50_000_000}, "packed more than"),
        ({"xl/_rels/w.rels": _rel("image", "http://169.254.169.254/x.png")}, "points outside itself"),
        ({"xl/_rels/w.rels": _rel("externalLinkPath", "file:///C:/a.xlsx")}, "points outside itself"),
        ({"xl/vbaProject.bin": b"\0\1\2"}, "macros"),
        ({"[Content_Types].xml": MACROS}, "macros"),
        ({"../evil.xml": b"<a/>"}, "a part is called"),
        ({"/etc/passwd": b"<a/>"}, "a part is called"),
        ({"xl\\..\\..\\a.xml": b"<a/>"}, "a part is called"),
        ({"C:/a.xml": b"<a/>"}, "a part is called"),
        ({"XL/A.xml": b"<a/>", "xl/a.xml": b"<b/>"}, "two parts"),
        ({"a.docx": _zip({"b.xlsx": _zip({"c.xml": b"<a/>"})})}, "files stand in files in files"),
    ],
)  # fmt: skip
def test_a_hostile_package_is_refused(parts: dict[str, bytes], message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        gate(_zip(parts))
    assert caught.value.remedy


def test_a_lie_about_the_size_is_seen() -> None:
    """The directory says 10 bytes, the data unpack to a megabyte: never more than declared is unpacked."""
    honest = _zip({"a.xml": b"<a>" + b"x" * 1_000_000})
    lie = honest.replace(struct.pack("<L", 1_000_003), struct.pack("<L", 10))
    with pytest.raises(TemplateError, match=r"lie|damaged"):
        gate(lie)


def test_parts_over_each_other_are_refused() -> None:
    """Two entries of the directory point at the same packed bytes: the bomb with small parts."""
    single = _zip({"a.xml": b"<a/>"})
    at = single.index(b"PK\1\2")
    end = single.index(b"PK\5\6")
    directory = single[at:end]
    twice = directory + directory[directory.rindex(b"PK\1\2") :].replace(b"a.xml", b"b.xml")
    tail = single[end:]
    count = struct.unpack_from("<H", tail, 10)[0] + 1
    tail = tail[:8] + struct.pack("<HHL", count, count, len(twice)) + tail[16:]
    with pytest.raises(TemplateError, match="over each other"):
        gate(single[:at] + twice + tail)


def test_limits_are_those_given() -> None:
    content = _zip({f"p{i}.xml": b"<a/>" for i in range(20)})
    with pytest.raises(TemplateError, match="more than 10 parts"):
        gate(content, Limits(parts=10))
    with pytest.raises(TemplateError, match="at most 100"):
        gate(content, Limits(template_bytes=100))
    with pytest.raises(TemplateError, match="unpacks to more than 50"):
        gate(content, Limits(total_bytes=50))


@pytest.mark.parametrize(
    "content", [b"PK\3\4garbage", b"PK" + zlib.compress(b"x" * 99), b"\xd0\xcf\x11\xe0old"]
)
def test_what_is_no_package_is_refused(content: bytes) -> None:
    with pytest.raises(TemplateError):
        gate(content)
