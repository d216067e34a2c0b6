"""Shared strings and styles of a workbook: read what tags stand in, add what cells need."""

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast
from xml.sax.saxutils import escape

from lxml import etree

from rendering.opc import Package, child, descendants, local, namespace, serialize
from rendering.tags import has_tags
from rendering.values import cell_text, clean

_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
MAX_TEXT = 32_767  # characters a cell may hold
MAX_SHARED = 200_000  # different texts kept in memory; past them, texts stand in their cells
_CHUNK = 10_000
_MARK = "broadsheet-strings"
_SPECIAL = (
    re.compile(  # what cannot be written as it is: markup, controls, spaces at an end, spelt characters
        "[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]|_x|^\\s|\\s$"
    )
)
_ANY_SPECIAL = re.compile("[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]|_x|(?:^|\\|)[-=+@\\s]|\\s(?:$|\\|)")
RISKY = ("=", "+", "-", "@")
_DATE, _DATETIME = 14, 22  # built-in formats that follow the reader's language
_FIRST_OWN = 164
_QUOTED = -1
_BUILT_IN = {
    "general": 0, "0": 1, "0.00": 2, "#,##0": 3, "#,##0.00": 4, "0%": 9, "0.00%": 10, "0.00e+00": 11, "@": 49,
}  # fmt: skip

Element = Any


def runs_of(item: Element) -> list[Element]:
    """The text elements of a string item, without phonetic hints."""
    result = []
    for one in item:
        if local(one) == "t":
            result.append(one)
        elif local(one) == "r":
            result.extend(t for t in one if local(t) == "t")
    return result


@dataclass(slots=True)
class Strings:
    """The shared strings part; new texts are added at its end."""

    package: Package
    book: str
    part: str = ""
    root: Element = None
    items: list[Element] = field(default_factory=list)
    tagged: dict[int, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    risky: set[int] = field(default_factory=set)  # texts a spreadsheet would compute if they were typed in
    _numbers: dict[str, int] = field(default_factory=dict)
    _prefix: str = ""

    def load(self) -> "Strings":
        """Read the part, if there is one."""
        found = self.package.related(self.book, "sharedStrings")
        if found:
            self.part = found[0]
            self.root = self.package.xml(self.part)
            self.items = [e for e in self.root if local(e) == "si"]
            texts = ("".join(t.text or "" for t in runs_of(item)) for item in self.items)
            self.tagged = {index: text for index, text in enumerate(texts) if has_tags(text)}
        return self

    def text(self, index: int) -> str:
        """The plain text of an item."""
        if not 0 <= index < len(self.items):
            return ""
        return "".join(t.text or "" for t in runs_of(self.items[index]))

    def add(self, text: str) -> int:
        """The number of a text, added if it is new."""
        known = self._numbers.get(text)
        if known is None and (plain := clean(text)) != text:
            known = self._numbers[text] = self.add(plain)
        if known is None:
            prefix = self._tag()
            kept = ' xml:space="preserve"' if text != text.strip() or "\n" in text else ""
            inner = f"<{prefix}t{kept}>{escape(cell_text(text))}</{prefix}t>"
            known = self._numbers[text] = self._append(f"<{prefix}si>{inner}</{prefix}si>")
            if text.startswith(RISKY):
                self.risky.add(known)
        return known

    def many(self, texts: Sequence[str]) -> list[int] | None:
        """The numbers of texts; None when there are too many different ones to keep them all in memory."""
        numbers, new = self._numbers, self.new
        fresh = [text for text in dict.fromkeys(texts) if text not in numbers]
        if fresh:
            if len(new) + len(fresh) > MAX_SHARED:
                return None
            prefix, base, special = self._tag(), len(self.items), _SPECIAL.search
            opening, closing = f"<{prefix}si><{prefix}t>", f"</{prefix}t></{prefix}si>"
            if not _ANY_SPECIAL.search("|".join(fresh)):  # most columns: one look at all of them
                numbers.update(zip(fresh, range(base + len(new), base + len(new) + len(fresh)), strict=True))
                new.extend([f"{opening}{text}{closing}" for text in fresh])
                return [numbers[text] for text in texts]
            for text in fresh:
                if special(text):
                    self.add(text)
                else:
                    numbers[text] = base + len(new)
                    new.append(opening + text + closing)
                    if text[:1] in RISKY:
                        self.risky.add(numbers[text])
        return [numbers[text] for text in texts]

    def add_rich(self, source: Element, texts: list[str]) -> int:
        """Add a copy of an item whose runs have other texts."""
        self._tag()
        item = deepcopy(source)
        item.tag = namespace(self.root) + "si"
        item.tail = None
        for run, text in zip(runs_of(item), texts, strict=True):
            run.text = cell_text(text)
            run.set(_SPACE, "preserve")
        return self._append(etree.tostring(item, encoding="unicode"))

    def _append(self, item: str) -> int:
        self.new.append(item)
        return len(self.items) + len(self.new) - 1

    def _tag(self) -> str:
        """What stands before the names of elements, in a part that is made if there is none."""
        if self.root is None:
            space = namespace(self.package.xml(self.book))
            self.root = etree.Element(space + "sst", nsmap=cast("dict[str, str]", {None: space[1:-1]}))
        if not self.new:
            space = namespace(self.root)[1:-1]
            found = next((p for p, uri in self.root.nsmap.items() if uri == space), None)
            self._prefix = f"{found}:" if found else ""
        return self._prefix

    def save(self) -> None:
        """Write the part back if anything was added; what the tags said does not stay behind."""
        if not self.new and not self.tagged:
            return
        for index in self.tagged:
            for run in runs_of(self.items[index]):
                run.text = ""
        mark = etree.ProcessingInstruction(_MARK, "here")
        self.root.insert(list(self.root).index(self.items[-1]) + 1 if self.items else 0, mark)
        self.root.attrib.pop("count", None)
        if "uniqueCount" in self.root.attrib:
            self.root.set("uniqueCount", str(len(self.items) + len(self.new)))
        if not self.part:
            folder = self.book.rpartition("/")[0]
            usual = (folder + "/" if folder else "") + "sharedStrings"
            name = f"{usual}.xml"  # some readers look for it by its name
            self.part = name if name not in self.package else self.package.free_name(usual + "{}.xml")
            self.package.declare(self.part, _TYPE + "sharedStrings+xml")
            self.package.add_rel(self.book, _REL + "sharedStrings", self.part)
        before, _, after = serialize(self.root).partition(f"<?{_MARK} here?>".encode())
        chunks = ("".join(self.new[at : at + _CHUNK]).encode() for at in range(0, len(self.new), _CHUNK))
        self.package.write_pieces(self.part, (before, *chunks, after))


@dataclass(slots=True)
class Styles:
    """Cell formats; a format is added when a value needs one its cell does not have."""

    package: Package
    book: str
    _root: Element = None
    _part: str = ""
    _made: dict[tuple[str, int | str], str] = field(default_factory=dict)
    _settled: dict[str, bool] = field(default_factory=dict)
    _changed: bool = False

    def dated(self, style: str, *, with_time: bool) -> str:
        """A style that shows a date, made from one that shows numbers anyhow."""
        return self._with(style, _DATETIME if with_time else _DATE)

    def formatted(self, style: str, code: str) -> str:
        """A style that shows numbers by a format code, if the template left that open."""
        return self._with(style, _BUILT_IN.get(code.lower(), code))

    def quoted(self, style: str) -> str:
        """The style for a text that looks like a formula: it stays a text when somebody edits the cell."""
        known = self._made.get((style, _QUOTED))
        if known is None:
            xfs = self._xfs()
            at = int(style or "0")
            known = self._made[style, _QUOTED] = (
                self._append(xfs[at], {"quotePrefix": "1"}) if at < len(xfs) else style
            )
        return known

    def settled(self, style: str) -> bool:
        """Whether the template chose a format for numbers, which then stands."""
        known = self._settled.get(style)
        if known is None:
            xfs = self._xfs()
            known = self._settled[style] = not 0 <= int(style or "0") < len(xfs) or (
                xfs[int(style or "0")].get("numFmtId", "0") != "0"
            )
        return known

    def _with(self, style: str, wanted: int | str) -> str:
        known = self._made.get((style, wanted))
        if known is None:
            known = self._made[style, wanted] = self._make(style, wanted)
        return known

    def _make(self, style: str, wanted: int | str) -> str:
        if self.settled(style):
            return style
        number = str(wanted if isinstance(wanted, int) else self._code(wanted))
        return self._append(self._xfs()[int(style or "0")], {"numFmtId": number, "applyNumberFormat": "1"})

    def _append(self, like: Element, attributes: dict[str, str]) -> str:
        """One more style, like another but for some attributes."""
        formats = child(self._root, "cellXfs")
        new = deepcopy(like)
        new.attrib.update(attributes)
        formats.append(new)
        count = len(self._xfs())
        formats.set("count", str(count))
        self._changed = True
        return str(count - 1)

    def _xfs(self) -> list[Element]:
        if self._root is None:
            found = self.package.related(self.book, "styles")
            if not found:
                return []
            self._part, self._root = found[0], self.package.xml(found[0])
        formats = child(self._root, "cellXfs")
        return [e for e in formats if local(e) == "xf"] if formats is not None else []

    def _code(self, code: str) -> int:
        holder = child(self._root, "numFmts")
        if holder is None:
            holder = self._root.makeelement(namespace(self._root) + "numFmts")
            self._root.insert(0, holder)
        for one in holder:
            if one.get("formatCode") == code:
                return int(one.get("numFmtId", "0"))
        taken = [int(e.get("numFmtId", "0")) for e in descendants(self._root, "numFmt")]
        new = max([_FIRST_OWN - 1, *taken]) + 1
        element = holder.makeelement(namespace(holder) + "numFmt")
        element.set("numFmtId", str(new))
        element.set("formatCode", code)
        holder.append(element)
        holder.set("count", str(len(holder)))
        return new

    def save(self) -> None:
        """Write the part back if a format was added."""
        if self._changed:
            self.package.write(self._part, serialize(self._root))
