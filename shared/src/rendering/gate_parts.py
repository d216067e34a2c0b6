"""What is looked at in a part of an uploaded Office file: encodings, entities, pointers, macros, fields.

Pointers and types are read as XML, not as text: a word can be written in many ways that mean the same.
"""

import re
from typing import Any

from lxml import etree

from rendering.model import TemplateError

_DOCTYPE = re.compile(rb"<!DOCTYPE|<!ENTITY", re.IGNORECASE)
_ENCODING = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)")
_ENCODINGS = frozenset({b"utf-8", b"utf8", b"utf-16", b"us-ascii", b"iso-8859-1", b"windows-1252"})
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_MACRO_WORKBOOK = "application/vnd.ms-excel.sheet.macroenabled.main+xml"
_ACTIVE = "ms-office.activex"
_MACROS = ("macroenabled", "ms-office.vbaproject", _ACTIVE)
_OLD_MACROS = ("intlmacrosheet", "ms-excel.macrosheet")
_WITHOUT = "Save the template without them; a workbook that needs its macros has to be uploaded as .xlsm"
_NO_MACROS = "Save it as '{}': reports of Word and PowerPoint carry no macros"
_CONTROLS = "Replace them by form controls (Developer, Insert), or upload a workbook as .xlsm"
_OUTSIDE = frozenset({"hyperlink", "attachedTemplate"})  # the latter is dropped when the file is written
_WORKBOOKS = frozenset(
    {
        "externalLinkPath",
        "externalLinkLongPath",
        "xlPathMissing",
        "xlStartup",
        "xlAlternateStartup",
        "xlLibrary",
    }
)  # other workbooks that a link of a workbook may name
_LINK = re.compile(r"xl/externallinks/_rels/[^/]+\.rels")
_CODE = frozenset({"vbaProject", "wordVbaData", "activeXControlBinary"})
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|\\\\")
_RUNS = frozenset(
    {
        "DDE",
        "DDEAUTO",
        "LINK",
        "IMPORT",
        "INCLUDE",
        "INCLUDETEXT",
        "INCLUDEPICTURE",
        "RD",
        "DATABASE",
        "MACROBUTTON",
    }
)
_WORD = re.compile(r"[^\s\"\\]+")
_FORMULA = re.compile(
    rb"<(?:\w+:)?(?:f|definedName|formula\d?)\b[^>]*>[^<]*?(?:\b(?:WEBSERVICE|DDE|RTD|CALL|REGISTER|EXEC)\s*\(|\w\|\s*(?:'|&apos;|&#39;))",
    re.IGNORECASE,
)


def check_part(
    place: str, unpacked: bytes, names: frozenset[str], *, macros: bool, embedded: bool = False
) -> None:
    """Raise TemplateError for a part that must not be in a template.

    ``names`` are those of all parts in lower case. A workbook that is not ``embedded`` may have links to
    other workbooks, which are cut when it is filled.
    """
    lower = place.lower()
    text = _as_ascii(unpacked)
    named = lower.endswith((".xml", ".rels", ".vml"))
    if not named and not text.lstrip().startswith(b"<"):
        if lower.endswith("vbaproject.bin") and not macros:
            raise TemplateError(place, "it has macros", _WITHOUT)
        return
    _plain_xml(place, text, named=named)
    if lower == "[content_types].xml":
        _types(place, unpacked, names, macros=macros)
    elif lower.endswith(".rels"):
        cut = not embedded and _LINK.fullmatch(lower) is not None
        _pointers(place, unpacked, macros=macros, allowed=_OUTSIDE | _WORKBOOKS if cut else _OUTSIDE)
    elif lower.startswith("xl/"):
        _workbook(place, text)
    elif lower.startswith("word/") and (b"instrText" in text or b"fldSimple" in text):
        _fields(place, unpacked)


def _plain_xml(place: str, text: bytes, *, named: bool) -> None:
    if named and text.strip() and not text.lstrip().startswith(b"<"):
        raise TemplateError(place, "it is no XML, or in an unusual encoding", "Save the template again")
    declared = _ENCODING.match(text.lstrip())
    if declared and declared[1].strip().lower() not in _ENCODINGS:
        raise TemplateError(
            place, f"it has the encoding {declared[1][:40].decode('ascii', 'replace')!r}",
            "Save the template again: Office writes UTF-8",
        )  # fmt: skip
    if _DOCTYPE.search(text):
        raise TemplateError(
            place, "it has a DOCTYPE or entities", "Office files have none; save the template again"
        )


def _parsed(place: str, unpacked: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(unpacked, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise TemplateError(place, f"it is no valid XML ({error})", "Save the template again") from error


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _pointers(place: str, unpacked: bytes, *, macros: bool, allowed: frozenset[str]) -> None:
    """Relationships: outside only to what people click, and to a document's template, which is dropped."""
    for element in _parsed(place, unpacked).iter():
        if _local(element) != "Relationship":
            continue
        kind = element.get("Type", "").rstrip("/").rpartition("/")[2]
        target = element.get("Target", "").strip()
        external = element.get("TargetMode", "").strip().lower() == "external"
        if (external or _ADDRESS.match(target)) and not (external and kind in allowed):
            raise TemplateError(
                place, f"it points outside itself: {target[:80]}",
                "Embed pictures and break links to other files before uploading",
            )  # fmt: skip
        if kind == "aFChunk":
            raise TemplateError(
                place, "it has another document inside, which Word takes over when it opens the file",
                "Open it with Word and save it again, then the other document is a part of it",
            )  # fmt: skip
        if kind in _CODE and not macros:
            raise TemplateError(place, "it has macros", _WITHOUT)


def _types(place: str, unpacked: bytes, names: frozenset[str], *, macros: bool) -> None:
    """Macros may only be where they are said to be, and only those of Visual Basic."""
    root = _parsed(place, unpacked)
    types = [(one.get("ContentType", "") + (one.text or "")).lower() for one in root.iter()]
    if any(word in kind for kind in types for word in _OLD_MACROS):
        raise TemplateError(
            "template", "it has macro sheets of Excel 4",
            "Rewrite them in Visual Basic, or save the template without them",
        )  # fmt: skip
    if macros and not any(_MACRO_WORKBOOK in kind for kind in types):
        raise TemplateError(
            "template", "it is no workbook with macros", "Save it as 'Excel Macro-Enabled Workbook (*.xlsm)'"
        )
    for entry, kind in zip(root.iter(), types, strict=True) if not macros else ():
        if _ACTIVE in kind and not _part_of(entry, names):
            continue  # form controls are sometimes saved with the type of ActiveX, and no such part
        if any(word in kind for word in _MACROS):
            raise TemplateError("template", *_refusal(kind))


def _refusal(kind: str) -> tuple[str, str]:
    """What a content type with macros is, and what to do about it."""
    if "ms-word." in kind:
        return "it is a Word document with macros", _NO_MACROS.format("Word Document (*.docx)")
    if "ms-powerpoint." in kind:
        return "it is a PowerPoint file with macros", _NO_MACROS.format("PowerPoint Presentation (*.pptx)")
    if _ACTIVE in kind:
        return "it has macros or ActiveX controls", _CONTROLS
    return "it has macros or ActiveX controls", _WITHOUT


def _part_of(entry: Any, names: frozenset[str]) -> str:
    """A part of the package that an entry of the content types is about; empty if there is none."""
    if entry.get("PartName"):
        name = str(entry.get("PartName")).lower().removeprefix("/")
        return name if name in names else ""
    suffix = f".{entry.get('Extension', '').lower()}"
    return next((name for name in sorted(names) if name.endswith(suffix)), "")


def _workbook(place: str, text: bytes) -> None:
    if b"ddeLink" in text:
        raise TemplateError(
            place, "it has a DDE link, which starts other programs", "Remove it under Data, Links"
        )
    if _FORMULA.search(text):
        raise TemplateError(
            place, "a formula fetches from the network or starts another program", "Remove that formula"
        )


def _fields(place: str, unpacked: bytes) -> None:
    """Fields of Word that fetch something or start a program when the document is opened."""
    open_: list[str] = []
    for element in _parsed(place, unpacked).iter():
        name = _local(element)
        if name == "fldSimple":
            _field(place, next((v for k, v in element.attrib.items() if k.endswith("}instr")), ""))
        elif name == "instrText" and open_:
            open_[-1] += element.text or ""
        elif name == "fldChar":
            kind = next((v for k, v in element.attrib.items() if k.endswith("}fldCharType")), "")
            if kind == "begin":
                if open_ and not open_[-1].strip():
                    # A field whose name another field makes up.
                    raise TemplateError(place, "a field begins with another field", "Write its name out")
                open_.append("")
            elif open_ and kind == "separate":
                _field(place, open_[-1])
            elif open_ and kind == "end":
                _field(place, open_.pop())


def _field(place: str, instruction: str) -> None:
    found = _WORD.search(instruction)
    if found and found[0].upper() in _RUNS:
        raise TemplateError(
            place, f"it has a field {found[0].upper()}, which fetches something or starts a program",
            "Replace the field by its result (Ctrl+Shift+F9 in Word)",
        )  # fmt: skip


def _as_ascii(unpacked: bytes) -> bytes:
    """The bytes with UTF-16 and UTF-32 folded and marks dropped, so that no word can hide in an encoding."""
    for mark in _BOMS:
        unpacked = unpacked.removeprefix(mark)
    return unpacked.replace(b"\0", b"") if b"\0" in unpacked[:200] else unpacked
