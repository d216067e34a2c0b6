"""Filling one paragraph or shape of a real Word or PowerPoint file must leave everything else as it was."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, render
from support.office_files import need_office_files, package_of, package_parts
from support.pages import differing, need_office, pictures, to_pdf
from support.report_data import report

DOCUMENTS, DECKS = need_office_files("docx"), need_office_files("pptx")
REFUSED = {
    "0276_object-chart.docx": "macros or ActiveX",
    "0159_linkedpicture.pptx": "points outside itself",
    "0180_mediareference.pptx": "points outside itself",
}
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
SHOWN = "Probe 42"
_TEXT_BOX = """<p:sp xmlns:p="{p}" xmlns:a="{a}"><p:nvSpPr><p:cNvPr id="9999" name="Probe"/>
<p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr>
<a:xfrm><a:off x="100000" y="100000"/><a:ext cx="3000000" cy="400000"/></a:xfrm>
<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr><p:txBody><a:bodyPr/>
<a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"""


@dataclass(frozen=True)
class Prepared:
    """A real file with a tag in it, the same as if somebody had typed the value, and the part touched."""

    template: bytes
    typed: bytes
    part: str


def _document(root: Any, text: str) -> None:
    space = root.tag.removesuffix("document")
    paragraph = etree.Element(space + "p")
    own = etree.SubElement(etree.SubElement(paragraph, space + "r"), space + "t")
    own.text = text
    own.set(SPACE, "preserve")
    root.find(space + "body").insert(0, paragraph)


def _slide(root: Any, text: str) -> None:
    """Put the text into the first shape that has one, or into one more shape."""
    found = next((t for t in root.iter("{*}t") if t.text), None)
    if found is not None:
        found.text = text
        return
    tree = next(root.iter("{*}spTree"))
    main = next(e.nsmap for e in root.iter("{*}*") if "a" in e.nsmap)["a"]
    tree.append(etree.fromstring(_TEXT_BOX.format(p=tree.tag[1:].partition("}")[0], a=main, text=text)))


@cache
def prepared(path: Path) -> Prepared:
    found = package_parts(path.read_bytes())
    change: Callable[[Any, str], None]
    if path.suffix == ".docx":
        name, change = next(n for n in found if n.endswith(("document.xml", "document2.xml"))), _document
    else:
        slides = sorted(n for n in found if "/slides/" in n and n.endswith(".xml"))
        name, change = next(n for n in slides if etree.fromstring(found[n]).tag.endswith("}sld")), _slide
    both = []
    for text in ("Probe {{ probe }}", SHOWN):
        root = etree.fromstring(found[name])
        change(root, text)
        both.append(package_of(found | {name: etree.tostring(root, encoding="UTF-8", standalone=True)}))
    return Prepared(both[0], both[1], name)


@cache
def filled(path: Path) -> bytes | None:
    """The rendered file, or None where it is refused for the reason it should be."""
    kind, output = TemplateKind(path.suffix[1:]), OutputFormat(path.suffix[1:])
    try:
        return render(kind, prepared(path).template, report({"probe": 42}), RenderOptions(), output).content
    except TemplateError as refusal:
        if REFUSED.get(path.name, "?") not in refusal.message:
            raise
        return None


def _forgotten(before: dict[str, bytes]) -> set[str]:
    """The parts that name the file a document was made with on somebody's disk: that is taken out."""
    return {name for name, content in before.items() if b"attachedTemplate" in content}


@pytest.mark.parametrize("path", [*DOCUMENTS, *DECKS], ids=lambda p: p.name)
def test_filling_one_place_changes_nothing_else(path: Path) -> None:
    result = filled(path)
    assert (path.name in REFUSED) == (result is None)
    if result is None:
        return
    template = prepared(path)
    before, after = package_parts(template.typed), package_parts(result)
    assert list(before) == list(after)
    changed = {name for name in before if before[name] != after[name]}
    assert changed - _forgotten(before) <= {template.part}
    old, new = (etree.tostring(etree.fromstring(p[template.part]), method="c14n") for p in (before, after))
    assert old == new


def test_strict_documents_are_read_like_the_others() -> None:
    strict = [p for p in (*DOCUMENTS, *DECKS) if b"purl.oclc.org" in prepared(p).template or _is_strict(p)]
    assert len(strict) >= 20
    assert [p.name for p in strict if filled(p) is None and p.name not in REFUSED] == []


def _is_strict(path: Path) -> bool:
    return any(
        b"http://purl.oclc.org/ooxml/" in content for content in package_parts(path.read_bytes()).values()
    )


def _looks(paths: list[Path]) -> None:
    """Compare pages of files; what was filled differs from what was not, or the comparison is blind."""
    need_office()
    files = {f"unfilled{paths[0].suffix}": prepared(paths[0]).template}
    for number, path in enumerate(paths):
        result = filled(path)
        if result is not None:
            files[f"{number}-typed{path.suffix}"] = prepared(path).typed
            files[f"{number}-filled{path.suffix}"] = result
    pdfs = to_pdf(files)
    wrong = []
    for number, path in enumerate(paths):
        typed, ours = (pdfs.get(f"{number}-{which}{path.suffix}") for which in ("typed", "filled"))
        if path.name not in REFUSED and (
            typed is None or ours is None or differing(pictures(typed), pictures(ours))
        ):
            wrong.append(path.name)
    assert wrong == []
    unfilled, first = pdfs[f"unfilled{paths[0].suffix}"], pdfs[f"0-filled{paths[0].suffix}"]
    assert differing(pictures(unfilled), pictures(first)) == [1]


def test_pages_look_as_if_somebody_had_typed_the_value() -> None:
    _looks([*DOCUMENTS[::14], *DECKS[::8]])


@pytest.mark.slow
@pytest.mark.parametrize("at", range(0, len(DOCUMENTS) + len(DECKS), 20))
def test_pages_of_all_files_look_as_if_somebody_had_typed_the_value(at: int) -> None:
    _looks([*DOCUMENTS, *DECKS][at : at + 20])
