"""Shared strings and styles of a workbook: read what tags stand in, add what cells need."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast

from lxml import etree

from rendering.opc import Package, child, descendants, local, namespace, serialize
from rendering.tags import has_tags
from rendering.values import cell_text

_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
MAX_TEXT = 32_767  # characters a cell may hold
_DATE, _DATETIME = 14, 22  # built-in formats that follow the reader's language
_FIRST_OWN = 164
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
    added: dict[str, int] = field(default_factory=dict)
    new: list[Element] = field(default_factory=list)

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
        known = self.added.get(text)
        if known is None:
            item = self._item()
            inner = item.makeelement(namespace(item) + "t")
            inner.text = cell_text(text)
            if text != text.strip() or "\n" in text:
                inner.set(_SPACE, "preserve")
            item.append(inner)
            known = self.added[text] = len(self.items) + len(self.new) - 1
        return known

    def add_rich(self, source: Element, texts: list[str]) -> int:
        """Add a copy of an item whose runs have other texts."""
        item = self._item()
        item.extend(deepcopy(source)[:])
        for run, text in zip(runs_of(item), texts, strict=True):
            run.text = cell_text(text)
            run.set(_SPACE, "preserve")
        return len(self.items) + len(self.new) - 1

    def _item(self) -> Element:
        if self.root is None:
            space = namespace(self.package.xml(self.book))
            self.root = etree.Element(space + "sst", nsmap=cast("dict[str, str]", {None: space[1:-1]}))
        item = self.root.makeelement(namespace(self.root) + "si")
        self.new.append(item)
        return item

    def save(self) -> None:
        """Write the part back if anything was added; what the tags said does not stay behind."""
        if not self.new:
            return
        for index in self.tagged:
            for run in runs_of(self.items[index]):
                run.text = ""
        anchor = list(self.root).index(self.items[-1]) + 1 if self.items else 0
        self.root[anchor:anchor] = self.new
        self.root.attrib.pop("count", None)
        if "uniqueCount" in self.root.attrib:
            self.root.set("uniqueCount", str(len(self.items) + len(self.new)))
        if not self.part:
            folder = self.book.rpartition("/")[0]
            self.part = self.package.free_name((folder + "/" if folder else "") + "sharedStrings{}.xml")
            self.package.declare(self.part, _TYPE + "sharedStrings+xml")
            self.package.add_rel(self.book, _REL + "sharedStrings", self.part)
        self.package.write(self.part, serialize(self.root))


@dataclass(slots=True)
class Styles:
    """Cell formats; a format is added when a value needs one its cell does not have."""

    package: Package
    book: str
    _root: Element = None
    _part: str = ""
    _made: dict[tuple[str, int | str], str] = field(default_factory=dict)
    _changed: bool = False

    def dated(self, style: str, *, with_time: bool) -> str:
        """A style that shows a date, made from one that shows numbers anyhow."""
        return self._with(style, _DATETIME if with_time else _DATE)

    def formatted(self, style: str, code: str) -> str:
        """A style that shows numbers by a format code, if the template left that open."""
        return self._with(style, _BUILT_IN.get(code.lower(), code))

    def _with(self, style: str, wanted: int | str) -> str:
        known = self._made.get((style, wanted))
        if known is None:
            known = self._made[style, wanted] = self._make(style, wanted)
        return known

    def _make(self, style: str, wanted: int | str) -> str:
        if self._root is None:
            found = self.package.related(self.book, "styles")
            if not found:
                return style
            self._part, self._root = found[0], self.package.xml(found[0])
        formats = child(self._root, "cellXfs")
        xfs = [e for e in formats if local(e) == "xf"] if formats is not None else []
        index = int(style or "0")
        if formats is None or index >= len(xfs) or xfs[index].get("numFmtId", "0") != "0":
            return style
        new = deepcopy(xfs[index])
        new.set("numFmtId", str(wanted if isinstance(wanted, int) else self._code(wanted)))
        new.set("applyNumberFormat", "1")
        formats.append(new)
        formats.set("count", str(len(xfs) + 1))
        self._changed = True
        return str(len(xfs))

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
