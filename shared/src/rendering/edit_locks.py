"""Edit passwords of Office files: anybody may read, changing takes the password.

The formats keep a salted, stretched hash of it (ECMA-376, [MS-OFFCRYPTO] 2.4). Nothing is encrypted: Office
keeps to it, other programs may not. Where reading has to be prevented, an open password is what does it.
"""

import base64
import hashlib
import os
import struct
from collections.abc import Callable
from typing import Any

from lxml import etree

from rendering.model import OutputFormat, TemplateError
from rendering.opc import Package, child, local, namespace, serialize

Element = Any
_SPINS = 100_000  # what Office itself takes
_SHA512 = "14"
_WORD_LENGTH = 15
# What stands before each element by the schema.
_BEFORE_WORKBOOK = frozenset({"fileVersion", "fileSharing", "workbookPr", "AlternateContent", "revisionPtr"})
_BEFORE_SHEET = frozenset(
    {"sheetPr", "dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData", "sheetCalcPr"}
)
_AFTER_WORD = frozenset(
    {"autoFormatOverride", "styleLockTheme", "styleLockQFSet", "defaultTabStop", "autoHyphenation",
     "consecutiveHyphenLimit", "hyphenationZone", "doNotHyphenateCaps", "showEnvelope", "summaryLength",
     "clickAndTypeStyle", "defaultTableStyle", "evenAndOddHeaders", "bookFoldRevPrinting",
     "bookFoldPrinting", "bookFoldPrintingSheets", "drawingGridHorizontalSpacing",
     "drawingGridVerticalSpacing", "displayHorizontalDrawingGridEvery", "displayVerticalDrawingGridEvery",
     "doNotUseMarginsForDrawingGridOrigin", "drawingGridHorizontalOrigin", "drawingGridVerticalOrigin",
     "doNotShadeFormData", "noPunctuationKerning", "characterSpacingControl", "printTwoOnOne",
     "strictFirstAndLastChars", "noLineBreaksAfter", "noLineBreaksBefore", "savePreviewPicture",
     "doNotValidateAgainstSchema", "saveInvalidXml", "ignoreMixedContent", "alwaysShowPlaceholderText",
     "doNotDemarcateInvalidXml", "saveXmlDataOnly", "useXSLTWhenSaving", "saveThroughXslt",
     "showXMLTags", "alwaysMergeEmptyNamespace", "updateFields", "hdrShapeDefaults", "footnotePr",
     "endnotePr", "compat", "docVars", "rsids", "mathPr", "attachedSchema", "themeFontLang",
     "clrSchemeMapping", "doNotIncludeSubdocsInStats", "doNotAutoCompressPictures", "forceUpgrade",
     "captions", "readModeInkLockDown", "smartTagType", "schemaLibrary", "shapeDefaults",
     "doNotEmbedSmartTags", "decimalSymbol", "listSeparator"}
)  # fmt: skip


def lock(content: bytes, kind: OutputFormat, password: str) -> bytes:
    """The Office file with an edit password.

    A workbook: Excel asks for it before saving; its sheets are locked but may be filtered and sorted, except
    those with a pivot table, which could not be refreshed; sheets cannot be added or removed. A document: it
    can be read and printed, not changed; Word looks at the first 15 characters only. A presentation:
    PowerPoint opens it for reading without the password. Protection of the template is replaced.
    """
    package = Package(content)
    _LOCKS[kind](package, password)
    return package.save()


def stretched(password: str, salt: bytes, spins: int = _SPINS) -> bytes:
    """The hash Office keeps: SHA-512 over salt and password, then over itself and a counter."""
    result = hashlib.sha512(salt + password.encode("utf-16-le")).digest()
    for number in range(spins):
        result = hashlib.sha512(result + struct.pack("<L", number)).digest()
    return result


def _hash(password: str) -> tuple[str, str]:
    """Hash and salt as they stand in a part."""
    salt = os.urandom(16)
    return base64.b64encode(stretched(password, salt)).decode(), base64.b64encode(salt).decode()


def _main(package: Package) -> str:
    return next(iter(package.related("", "officeDocument")), "")


def _workbook(package: Package, password: str) -> None:
    hashed, salt = _hash(password)
    kept = {"algorithmName": "SHA-512", "hashValue": hashed, "saltValue": salt, "spinCount": str(_SPINS)}
    name = _main(package)
    root = package.xml(name)
    space = namespace(root)
    for old in [one for one in root if local(one) in {"fileSharing", "workbookProtection"}]:
        root.remove(old)
    book = {f"workbook{key[0].upper()}{key[1:]}": value for key, value in kept.items()}
    sharing = etree.Element(space + "fileSharing", kept)
    root.insert(1 if local(root[0]) == "fileVersion" else 0, sharing)
    _after(
        root, etree.Element(space + "workbookProtection", {"lockStructure": "1", **book}), _BEFORE_WORKBOOK
    )
    package.write(name, serialize(root))
    for sheet in package.related(name, "worksheet"):
        if not package.related(sheet, "pivotTable"):
            _sheet(package, sheet, kept)


def _sheet(package: Package, name: str, kept: dict[str, str]) -> None:
    root = package.xml(name)
    for old in [one for one in root if local(one) == "sheetProtection"]:
        root.remove(old)
    # 0 allows: what people do with a report without changing its figures.
    allowed = dict.fromkeys(("formatColumns", "formatRows", "sort", "autoFilter", "pivotTables"), "0")
    on = {"sheet": "1", "objects": "1", "scenarios": "1"}
    _after(root, etree.Element(namespace(root) + "sheetProtection", {**kept, **on, **allowed}), _BEFORE_SHEET)
    package.write(name, serialize(root))


def _document(package: Package, password: str) -> None:
    hashed, salt = _hash(_old_word_hash(password))
    name = next(iter(package.related(_main(package), "settings")), "")
    if not name:
        raise TemplateError(
            "template", "it has no settings to put a password into", "Save it with Word again"
        )
    root = package.xml(name)
    space = namespace(root)
    for old in [one for one in root if local(one) == "documentProtection"]:
        root.remove(old)
    wanted = {"edit": "readOnly", "enforcement": "1", "cryptProviderType": "rsaAES",
              "cryptAlgorithmClass": "hash", "cryptAlgorithmType": "typeAny", "cryptAlgorithmSid": _SHA512,
              "cryptSpinCount": str(_SPINS), "hash": hashed, "salt": salt}  # fmt: skip
    attributes = {space + key: value for key, value in wanted.items()}
    made = etree.Element(space + "documentProtection", attributes)
    places = [place for place, one in enumerate(root) if local(one) in _AFTER_WORD]
    root.insert(places[0] if places else len(root), made)
    package.write(name, serialize(root))


def _presentation(package: Package, password: str) -> None:
    hashed, salt = _hash(password)
    name = _main(package)
    root = package.xml(name)
    for old in [one for one in root if local(one) == "modifyVerifier"]:
        root.remove(old)
    attributes = {"cryptProviderType": "rsaAES", "cryptAlgorithmClass": "hash",
                  "cryptAlgorithmType": "typeAny", "cryptAlgorithmSid": _SHA512, "spinCount": str(_SPINS),
                  "saltData": salt, "hashData": hashed}  # fmt: skip
    made = etree.Element(namespace(root) + "modifyVerifier", attributes)
    extensions = child(root, "extLst")
    root.insert(len(root) if extensions is None else root.index(extensions), made)
    package.write(name, serialize(root))


def _after(root: Element, made: Element, names: frozenset[str]) -> None:
    """Put an element behind the last of those that stand before it by the schema."""
    places = [place for place, one in enumerate(root) if local(one) in names]
    root.insert(places[-1] + 1 if places else 0, made)


_LOCKS: dict[OutputFormat, Callable[[Package, str], None]] = {
    OutputFormat.XLSX: _workbook,
    OutputFormat.XLSM: _workbook,
    OutputFormat.DOCX: _document,
    OutputFormat.PPTX: _presentation,
}

# The older hash that Word feeds the newer one with ([MS-OFFCRYPTO] 2.3.7.1 and 2.3.7.4).
_FIRST = (0xE1F0, 0x1D0F, 0xCC9C, 0x84C0, 0x110C, 0x0E10, 0xF1CE, 0x313E, 0x1872, 0xE139, 0xD40F, 0x84F9,
          0x280C, 0xA96A, 0x4EC3)  # fmt: skip
_ROWS = (0xAEFC, 0x7B61, 0x4563, 0x0375, 0xD849, 0x6F45, 0xEB23, 0x47D3, 0xB861, 0x45A0, 0xAA51, 0x76B4,
         0x3730, 0x3331, 0x1021)  # fmt: skip
_STEP = 0x1021  # each number of a row follows from the one before


def _old_word_hash(password: str) -> str:
    """Eight hexadecimal digits."""
    units = password.encode("utf-16-le")[: 2 * _WORD_LENGTH]
    letters = [units[at] or units[at + 1] for at in range(0, len(units), 2)]
    high = _FIRST[len(letters) - 1]
    for letter, row in zip(letters, _ROWS[_WORD_LENGTH - len(letters) :], strict=True):
        number = row
        for bit in range(7):
            high ^= number if letter >> bit & 1 else 0
            number = (number << 1 & 0xFFFF) ^ (_STEP if number & 0x8000 else 0)
    low = 0
    for letter in reversed(letters):
        low = _rotated(low) ^ letter
    low = _rotated(low) ^ len(letters) ^ 0xCE4B
    return struct.pack("<HH", low, high).hex().upper()


def _rotated(number: int) -> int:
    return (number << 1 & 0x7FFF) | (number >> 14 & 1)
