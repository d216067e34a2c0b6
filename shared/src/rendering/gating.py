"""What is looked at before any parser sees an uploaded file."""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO

from rendering.gate_parts import check_part
from rendering.model import Limits, TemplateError

_OFFICE = (".xlsx", ".docx", ".pptx", ".xlsm", ".docm", ".pptm", ".zip")
_ENTRY = b"PK\1\2"
_ENTRIES = 3  # those of embedded files, which may be stored as they are, count too
_NESTING = 1  # a presentation holds the workbooks of its charts


def gate(template: bytes, limits: Limits | None = None, *, macros: bool = False) -> None:
    """Refuse a file that is hostile or could not be rendered safely; raises TemplateError, returns nothing.

    With ``macros`` it has to be a workbook that may have some (xlsm); without, whatever has any is refused.
    For text templates only the size is looked at: their tags are checked when they are rendered.
    """
    limits = limits or Limits()
    if len(template) > limits.template_bytes:
        raise TemplateError(
            "template", f"it has {len(template)} bytes, at most {limits.template_bytes} are allowed",
            "Remove pictures or data from it",
        )  # fmt: skip
    if template.startswith(b"\xd0\xcf\x11\xe0"):
        raise TemplateError(
            "template", "it is an old or a password-protected Office file",
            "Remove the password and save it as xlsx, docx or pptx",
        )  # fmt: skip
    if template.startswith(b"PK"):
        _package(template, _Looking(limits, limits.total_bytes, macros))


@dataclass(slots=True)
class _Looking:
    """What is allowed, and how many bytes may still be unpacked."""

    limits: Limits
    budget: int
    macros: bool
    depth: int = 0

    @property
    def macros_here(self) -> bool:
        """Whether this package may have macros: an embedded one may not."""
        return self.macros and self.depth == 0


def _package(content: bytes, looking: _Looking) -> None:
    limits = looking.limits
    if content.count(_ENTRY) > _ENTRIES * limits.parts:
        # Before the directory is read: a million lines of it take a gigabyte.
        raise TemplateError("template", f"it has more than {limits.parts} parts", "Remove pictures or sheets")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, struct.error, ValueError, UnicodeDecodeError, NotImplementedError) as error:
        raise TemplateError(
            "template", f"it is a damaged file ({error})", "Save the template again"
        ) from error
    if len(infos) > limits.parts:
        raise TemplateError("template", f"it has more than {limits.parts} parts", "Remove pictures or sheets")
    _names(infos)
    _overlaps(content, infos)
    names = frozenset(info.filename.lower() for info in infos)
    for info in infos:
        if not info.is_dir():
            _part(content, info, names, looking)


def _names(infos: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        hostile = (
            name.startswith("/") or "\\" in name or ":" in name or "\0" in name or info.orig_filename != name
        )
        if hostile or any(step in {"", ".", ".."} for step in name.rstrip("/").split("/")):
            raise TemplateError("template", f"a part is called {name[:80]!r}", "Save the template again")
        if name.lower() in seen:
            raise TemplateError("template", f"two parts are called {name[:80]!r}", "Save the template again")
        seen.add(name.lower())
        if info.flag_bits & 0x1:
            raise TemplateError(name, "it is encrypted", "Remove the password from the template")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise TemplateError(name, "it is packed in an unusual way", "Save the template again")


def _overlaps(content: bytes, infos: list[zipfile.ZipInfo]) -> None:
    """Refuse parts that share packed bytes: a bomb whose parts are each within their limits."""
    end = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        at = info.header_offset
        if at < end or at + 30 > len(content) or content[at : at + 4] != b"PK\3\4":
            raise TemplateError(info.filename, "its parts lie over each other", "Save the template again")
        name, extra = struct.unpack_from("<HH", content, at + 26)
        end = at + 30 + name + extra + info.compress_size
        if content[at + 30 : at + 30 + name] != _name_bytes(info):
            raise TemplateError(info.filename, "it has two names", "Save the template again")
        if end > len(content):
            raise TemplateError(info.filename, "it is cut off", "Upload the template again")


def _name_bytes(info: zipfile.ZipInfo) -> bytes:
    """The name as it stands in the file: UTF-8 where the entry says so."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def _part(content: bytes, info: zipfile.ZipInfo, names: frozenset[str], looking: _Looking) -> None:
    place, limits = info.filename, looking.limits
    if info.file_size > limits.part_bytes:
        raise TemplateError(
            place, f"it unpacks to more than {limits.part_bytes} bytes", "Remove data from the template"
        )
    if info.file_size > limits.ratio_floor and info.file_size > limits.ratio * max(info.compress_size, 1):
        raise TemplateError(
            place, f"it is packed more than {limits.ratio} to 1, as only bombs are", "Save the template again"
        )
    unpacked = _inflate(content, info)
    if len(unpacked) != info.file_size or zlib.crc32(unpacked) != info.CRC:
        raise TemplateError(place, "it is damaged or its size is a lie", "Save the template again")
    looking.budget -= len(unpacked)
    if looking.budget < 0:
        raise TemplateError(
            "template", f"it unpacks to more than {limits.total_bytes} bytes", "Remove data from it"
        )
    lower = place.lower()
    if lower.endswith(_OFFICE) or unpacked.startswith(b"PK\3\4"):
        if looking.depth >= _NESTING:
            raise TemplateError(place, "files stand in files in files", "Remove the embedded file")
        looking.depth += 1
        _package(unpacked, looking)
        looking.depth -= 1
        return
    embedded = looking.depth > 0
    check_part(place, unpacked, names, macros=looking.macros_here, embedded=embedded)


def _inflate(content: bytes, info: zipfile.ZipInfo) -> bytes:
    """Unpack at most one byte more than was declared."""
    at = info.header_offset
    name, extra = struct.unpack_from("<HH", content, at + 26)
    start = at + 30 + name + extra
    packed = content[start : start + info.compress_size]
    if info.compress_type == zipfile.ZIP_STORED:
        return packed
    try:
        return zlib.decompressobj(-15).decompress(packed, info.file_size + 1)
    except zlib.error as error:
        raise TemplateError(info.filename, f"it is damaged ({error})", "Save the template again") from error
