"""Office packages: read parts, change some, write the rest back as the very bytes they were.

Unchanged parts are copied in their packed form; times are fixed, so the same parts give the same file.
"""

import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any, cast

from lxml import etree

from rendering.model import TemplateError
from rendering.packing import DEFLATED, STORED, Packed, join, pack
from rendering.zipped import LOCAL, ZipWriter

Element = Any  # lxml elements carry no useful types
REL_NS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
TYPES = "[Content_Types].xml"


def parse(xml: bytes, place: str) -> Element:
    """Parse a part with everything off that could reach outside or blow up."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
                             huge_tree=False, strip_cdata=False)  # fmt: skip
    try:
        root: Element = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as error:
        raise TemplateError(place, f"it is no valid XML ({error.msg})", "Save the template again") from error
    if root.getroottree().docinfo.doctype:
        raise TemplateError(place, "it has a DOCTYPE", "Office files have none; save the template again")
    return root


def serialize(root: Element) -> bytes:
    """Write a part as Office does."""
    result: bytes = etree.tostring(
        root.getroottree(), xml_declaration=True, encoding="UTF-8", standalone=True
    )
    return result


def local(element: Element) -> str:
    """The name of an element without its namespace; empty for comments and instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def namespace(element: Element) -> str:
    """The namespace of an element as a ``{...}`` prefix."""
    tag = str(element.tag)
    return tag[: tag.index("}") + 1] if tag.startswith("{") else ""


def child(element: Element, name: str) -> Element:
    """The first child of that local name, whatever its namespace; None if there is none."""
    return next((one for one in element if local(one) == name), None)


def descendants(element: Element, *names: str) -> list[Element]:
    """All elements below with one of these local names, in order."""
    return list(element.iter(*["{*}" + name for name in names]))


@dataclass(frozen=True, slots=True)
class Rel:
    """A relationship of a part; ``target`` is the name of the other part, or an address outside."""

    id: str
    kind: str
    target: str
    external: bool


class Package:
    """The parts of an Office file by name, in their order."""

    def __init__(self, content: bytes) -> None:
        self._parts: dict[str, Packed] = {}
        self._rels: dict[str, tuple[Packed, list[Rel]]] = {}
        self._numbers: dict[str, int] = {}  # where to go on looking for a free name
        self._trees: dict[str, Element] = {}  # parts that are looked at again and again
        self._changed: set[str] = set()  # those of them that are not written yet
        try:
            with zipfile.ZipFile(BytesIO(content)) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        self._parts[info.filename] = _read(content, info)
        except (zipfile.BadZipFile, struct.error) as error:
            raise TemplateError(
                "template", f"it is no Office file ({error})", "Upload an unprotected file"
            ) from error
        self._by_fold = {name.lower(): name for name in self._parts}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._by_fold

    def names(self) -> list[str]:
        """Names of all parts, in file order."""
        return list(self._parts)

    def read(self, name: str) -> bytes:
        """The unpacked bytes of a part."""
        actual = self._by_fold.get(name.lower())
        if actual in self._changed:
            self._changed.remove(actual)
            self._put(actual, pack(serialize(self._trees[actual])))
        if actual is None:
            raise TemplateError(name, "this part is missing", "Save the template again")
        part = self._parts[actual]
        packed = b"".join(part.packed)
        return packed if part.method == STORED else zlib.decompress(packed, -15, part.size)

    def xml(self, name: str) -> Element:
        """A part, parsed."""
        return parse(self.read(name), name)

    def _tree(self, name: str, *, change: bool = False) -> Element:
        """A part as a tree that is kept; changes to it are written when it is read, or at the end."""
        actual = self._by_fold.get(name.lower(), name)
        if actual not in self._trees:
            self._trees[actual] = self.xml(actual)
        if change:
            self._changed.add(actual)
        return self._trees[actual]

    def write(self, name: str, content: bytes) -> None:
        """Replace a part or add one at the end."""
        self._forget(name)
        self._put(name, pack(content))

    def _forget(self, name: str) -> None:
        actual = self._by_fold.get(name.lower(), name)
        self._trees.pop(actual, None)
        self._changed.discard(actual)

    def write_pieces(self, name: str, pieces: Iterable[bytes | Packed]) -> None:
        """The same for a part of which some stretches are packed already."""
        self._put(name, join(pieces))

    def _put(self, name: str, part: Packed) -> None:
        self._parts[self._by_fold.setdefault(name.lower(), name)] = part

    def remove(self, name: str) -> None:
        """Drop a part, its relationships and its content type."""
        for one in (name, rels_name(name)):
            self._forget(one)
            actual = self._by_fold.pop(one.lower(), None)
            if actual:
                del self._parts[actual]
        for entry in [e for e in self._tree(TYPES) if e.get("PartName", "").lower() == "/" + name.lower()]:
            self._tree(TYPES, change=True).remove(entry)

    def rels(self, name: str) -> list[Rel]:
        """The relationships of a part ('' for the package)."""
        where = rels_name(name)
        if where not in self:
            return []
        if self._by_fold[where.lower()] in self._changed:
            self.read(where)
        part = self._parts[self._by_fold[where.lower()]]
        known = self._rels.get(where)
        if known is None or known[0] is not part:
            known = self._rels[where] = part, self._read_rels(name, where)
        return known[1]

    def _read_rels(self, name: str, where: str) -> list[Rel]:
        base = posixpath.dirname(name)
        result = []
        for element in self.xml(where):
            if local(element) != "Relationship":
                continue
            external = element.get("TargetMode") == "External"
            target = element.get("Target", "")
            if not external:
                joined = target if target.startswith("/") else posixpath.join("/", base, target)
                target = posixpath.normpath(joined).lstrip("/")
            kind = element.get("Type", "").rstrip("/").rpartition("/")[2]
            result.append(Rel(element.get("Id", ""), kind, target, external))
        return result

    def related(self, name: str, kind: str) -> list[str]:
        """Names of the parts of one kind that a part points to."""
        return [r.target for r in self.rels(name) if r.kind == kind and not r.external and r.target in self]

    def add_rel(self, name: str, type_: str, target: str) -> str:
        """Point from a part to another, by an absolute target; returns the new id."""
        where = rels_name(name)
        if where not in self:
            empty = etree.Element(
                REL_NS + "Relationships", nsmap=cast("dict[str, str]", {None: REL_NS[1:-1]})
            )
            self.write(where, serialize(empty))
        root = self._tree(where, change=True)
        taken = {e.get("Id") for e in root}
        new = next(f"rIdB{i}" for i in count(1 + sum(1 for t in taken if (t or "").startswith("rIdB")))
                   if f"rIdB{i}" not in taken)  # fmt: skip
        etree.SubElement(root, REL_NS + "Relationship", Id=new, Type=type_, Target="/" + target)
        return new

    def copy(self, name: str, deep: AbstractSet[str], without: AbstractSet[str] = frozenset()) -> str:
        """Copy a part beside itself; returns the new name.

        Parts it points to are shared, but those of the kinds in ``deep`` are copied too, and pointers of the
        kinds in ``without`` are dropped.
        """
        folder, file = posixpath.split(name)
        stem, _, extension = file.rpartition(".")
        series = stem.rstrip("0123456789").replace("{", "").replace("}", "") or "part"
        new = self.free_name(f"{folder.replace('{', '{{').replace('}', '}}')}/{series}{{}}.{extension}")
        self.write(new, self.read(name))
        if any(e.get("PartName", "").lower() == "/" + name.lower() for e in self._tree(TYPES)):
            self.declare(new, self.content_type(name))
        if rels_name(name) in self:
            root = self.xml(rels_name(name))
            rels = {rel.id: rel for rel in self.rels(name)}
            for element in list(root):
                rel = rels.get(element.get("Id", ""))
                if rel is None or rel.kind in without:
                    root.remove(element)
                elif not rel.external:
                    copied = rel.kind in deep and rel.target in self
                    element.set(
                        "Target", "/" + (self.copy(rel.target, deep, without) if copied else rel.target)
                    )
            self.write(rels_name(new), serialize(root))
        return new

    def remove_rel(self, name: str, id_: str) -> None:
        """Remove one relationship of a part."""
        root = self.xml(rels_name(name))
        for element in [e for e in root if e.get("Id") == id_]:
            root.remove(element)
        self.write(rels_name(name), serialize(root))

    def drop_rels(self, name: str, kind: str) -> None:
        """Remove the relationships of one kind from a part."""
        where = rels_name(name)
        root = self.xml(where)
        for element in [e for e in root if e.get("Type", "").endswith("/" + kind)]:
            root.remove(element)
        self.write(where, serialize(root))

    def drop_signatures(self) -> bool:
        """Remove digital signatures of the package, which hold for its old bytes; True if there were any.

        Signatures of macros are parts like others: they hold for the macros, which stay as they are.
        """
        signed = [name for name in self.names() if name.lower().startswith("_xmlsignatures/")]
        for name in signed:
            if name in self:
                self.remove(name)
        if signed:
            self.drop_rels("", "origin")
        return bool(signed)

    def content_type(self, name: str) -> str:
        """The declared type of a part, or ''."""
        types = self._tree(TYPES)
        for entry in types:
            if entry.get("PartName", "").lower() == "/" + name.lower():
                return str(entry.get("ContentType", ""))
        suffix = name.rpartition(".")[2].lower()
        for entry in types:
            if entry.get("Extension", "").lower() == suffix:
                return str(entry.get("ContentType", ""))
        return ""

    def declare(self, name: str, content_type: str) -> None:
        """Declare the type of a new part."""
        types = self._tree(TYPES, change=True)
        etree.SubElement(types, namespace(types) + "Override", PartName="/" + name, ContentType=content_type)

    def declare_extension(self, extension: str, content_type: str) -> None:
        """Declare the type of all parts of an extension, unless it is declared."""
        types = self._tree(TYPES)
        if any(e.get("Extension", "").lower() == extension for e in types):
            return
        entry = etree.Element(namespace(types) + "Default", Extension=extension, ContentType=content_type)
        self._tree(TYPES, change=True).insert(0, entry)

    def free_name(self, pattern: str) -> str:
        """The first name of a numbered series that is not taken: ``xl/media/image{}.png``.

        Series are those Office itself uses: some readers find parts by these names.
        """
        start = self._numbers.get(pattern, 1)
        number = next(i for i in count(start) if pattern.format(i) not in self)
        self._numbers[pattern] = number
        return pattern.format(number)

    def save(self) -> bytes:
        """The package as a zip file."""
        for name in sorted(self._changed):
            self.read(name)
        out = BytesIO()
        writer = ZipWriter(out)
        for name, part in self._parts.items():
            writer.add(name, part)
        writer.close()
        return out.getvalue()


def rels_name(name: str) -> str:
    """Where the relationships of a part stand."""
    folder, file = posixpath.split(name)
    return posixpath.join(folder, "_rels", file + ".rels")


def _read(content: bytes, info: zipfile.ZipInfo) -> Packed:
    header = LOCAL.unpack_from(content, info.header_offset)
    start = info.header_offset + LOCAL.size + header[9] + header[10]
    if info.compress_type not in {STORED, DEFLATED}:
        raise TemplateError(info.filename, "it is packed in an unusual way", "Save the template again")
    packed = content[start : start + info.compress_size]
    return Packed((packed,), info.compress_type, info.CRC, info.file_size)
