"""The presentation part: the list of its slides, its sections and its shows, kept true to one another."""

import posixpath
from copy import deepcopy
from typing import Any

from rendering.opc import Package, child, descendants, local, rels_name, serialize

Element = Any
_SLIDE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/slide"
_FIRST_ID = 256  # slide ids below are reserved
_OWN = frozenset({"chart", "package", "notesSlide"})  # every slide has its own numbers and notes


class Deck:
    """The slides of a presentation in their order."""

    def __init__(self, package: Package, part: str) -> None:
        self._package, self._part = package, part
        self._root = package.xml(part)
        self._targets = {rel.id: rel.target for rel in package.rels(part) if not rel.external}
        self._number = max([_FIRST_ID, *(int(e.get("id", "0")) for e in descendants(self._root, "sldId"))])
        self._changed = False
        size = child(self._root, "sldSz")
        self.height = int(size.get("cy", "6858000")) if size is not None else 6_858_000

    def slides(self) -> list[tuple[Element, str]]:
        """Entries of the slide list and the parts they show."""
        holder = child(self._root, "sldIdLst")
        entries = [e for e in (holder if holder is not None else ()) if local(e) == "sldId"]
        found = [(e, self._targets.get(_rel(e), "")) for e in entries]
        return [(e, part) for e, part in found if part in self._package]

    def copy(self, part: str) -> str:
        """A copy of a slide with charts and notes of its own; not yet in the list."""
        new = self._package.copy(part, _OWN)
        for notes in self._package.related(new, "notesSlide"):
            root = self._package.xml(rels_name(notes))
            for rel in [e for e in root if e.get("Type", "").endswith("/slide")]:
                rel.set("Target", "/" + new)
            self._package.write(rels_name(notes), serialize(root))
        return new

    def replace(self, entry: Element, part: str, parts: list[str]) -> None:
        """Let the slide of an entry be followed by copies, or take it out of the list if there is nothing."""
        if parts == [part]:
            return
        self._changed = True
        if not parts:
            self._drop(entry, part)
            return
        last, old = entry, entry.get("id", "")
        listed = [e for e in descendants(self._root, "sldId") if e.get("id") == old and e is not entry]
        for new in parts[1:]:
            self._number += 1
            copied = deepcopy(entry)
            copied.set("id", str(self._number))
            copied.set(_key(entry), self._package.add_rel(self._part, _SLIDE, new))
            last.addnext(copied)
            last = copied
            for at, one in enumerate(listed):  # the sections list slides by number
                again = deepcopy(one)
                again.set("id", str(self._number))
                one.addnext(again)
                listed[at] = again

    def _drop(self, entry: Element, part: str) -> None:
        rel, number = _rel(entry), entry.get("id")
        for one in [e for e in descendants(self._root, "sldId") if e.get("id") == number and e is not entry]:
            one.getparent().remove(one)
        for show in [e for e in descendants(self._root, "sld") if _rel(e) == rel]:
            show.getparent().remove(show)
        entry.getparent().remove(entry)
        if self._linked(part):
            return  # a link of another slide leads here: the slide stays, out of the show
        for notes in self._package.related(part, "notesSlide"):
            self._package.remove(notes)
        self._package.remove(part)
        self._package.remove_rel(self._part, rel)

    def _linked(self, part: str) -> bool:
        folder = posixpath.dirname(part)
        others = [n for n in self._package.names() if posixpath.dirname(n) == folder and n != part]
        return any(rel.target == part for other in others for rel in self._package.rels(other))

    def save(self) -> None:
        """Write the list."""
        if self._changed:
            self._package.write(self._part, serialize(self._root))


def _key(entry: Element) -> str:
    return next(str(k) for k in entry.attrib if k.endswith("}id"))


def _rel(entry: Element) -> str:
    return next((str(v) for k, v in entry.attrib.items() if k.endswith("}id")), "")
