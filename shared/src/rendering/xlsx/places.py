"""Where the texts of a workbook stand, as people name it: it keeps most of them apart from their cells."""

from typing import Any

from rendering.model import TemplateError
from rendering.opc import Package, descendants, local, parse

Element = Any
_MAIN = "xl/workbook.xml"
_STRINGS = "xl/sharedStrings.xml"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class Cells:
    """Names the cell of a text, as ``Orders!A5``; everything else by its part.

    For messages to people only: what cannot be read is left out, as whoever reads it next says what is wrong.
    """

    def __init__(self, package: Package) -> None:
        self._package = package
        self._sheets: dict[str, str] = {}
        self._strings: dict[int, str] | None = None
        if _MAIN in package:
            targets = {each.id: each.target for each in package.rels(_MAIN)}
            for sheet in descendants(parse(package.read(_MAIN), _MAIN), "sheet"):
                self._sheets[targets.get(sheet.get(_ID), "")] = str(sheet.get("name") or "")

    def place(self, part: str, holder: Element) -> str:
        """The place of a text: an element of a part."""
        if part == _STRINGS and local(holder) == "si":
            number = sum(1 for each in holder.itersiblings(preceding=True) if local(each) == "si")
            return self._of_strings().get(number, part)
        cell = holder.getparent()
        if part in self._sheets and cell is not None and local(cell) == "c":
            return f"{self._sheets[part]}!{cell.get('r', '')}"
        return part

    def _of_strings(self) -> dict[int, str]:
        """The first cell of every shared string."""
        if self._strings is None:
            self._strings = {}
            for part, sheet in self._sheets.items():
                try:
                    root = parse(self._package.read(part), part)
                except TemplateError:
                    continue
                for cell in descendants(root, "c"):
                    shown = next((each.text for each in cell if local(each) == "v"), None)
                    if cell.get("t") == "s" and shown is not None and shown.isdigit():
                        self._strings.setdefault(int(shown), f"{sheet}!{cell.get('r', '')}")
        return self._strings
