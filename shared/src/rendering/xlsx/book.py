"""An xlsx template filled: only what a tag touches is edited, every other part stays the bytes it was."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from rendering.autocorrect import holds_opening
from rendering.language import Language, Scope
from rendering.media import Media
from rendering.model import RenderData, RenderOptions, TemplateError
from rendering.opc import Package, child, descendants, local, namespace, serialize
from rendering.tags import has_tags
from rendering.text import fill
from rendering.values import clean
from rendering.xlsx.anchors import CHART_KINDS, check_tables, place_shapes
from rendering.xlsx.cells import Cells
from rendering.xlsx.charts import Points, fill_drawing_text, refresh_chart, refresh_links
from rendering.xlsx.formula import split_cell, translate
from rendering.xlsx.known import Known, Written
from rendering.xlsx.layout import Plan, Turn, vanished
from rendering.xlsx.links import cut_loose
from rendering.xlsx.moves import Plans, downwards, inside, mover, outside
from rendering.xlsx.others import Others
from rendering.xlsx.pages import SheetCopies, repeat_sheets
from rendering.xlsx.parts import move_related, move_sheet
from rendering.xlsx.pictures import add_pictures
from rendering.xlsx.pivots import refresh_pivots
from rendering.xlsx.results import Results
from rendering.xlsx.sheet import Sheet
from rendering.xlsx.strings import Strings, Styles
from rendering.xlsx.tables import formula_cells, sync_tables
from rendering.xlsx.totals import Place, TableRange, result
from rendering.xlsx.writer import Writer

Element = Any
_CHART_SPACES = (b"drawingml/2006/chart", b"drawingml/chart", b"drawing/2014/chartex")


@dataclass(slots=True)
class Book:
    """A workbook while it is being filled."""

    package: Package
    language: Language
    scope: Scope
    part: str
    root: Element
    strings: Strings
    styles: Styles
    media: Media
    sheets: list[Sheet] = field(default_factory=list)
    plans: Plans = field(default_factory=Plans)
    tables: dict[str, TableRange] = field(default_factory=dict)
    points: Points = field(default_factory=Points)
    warnings: list[str] = field(default_factory=list)
    results: Results = field(default_factory=lambda: Results({}, {}, {}, {}))

    @property
    def touched(self) -> list[Sheet]:
        """The sheets that have tags."""
        return [sheet for sheet in self.sheets if sheet.plan is not None]

    def known(self) -> Known:
        """The values that were written, by the names sheets have now."""
        return {sheet.now: sheet.known for sheet in self.touched}

    def written(self) -> Written:
        """The same, with what SUBTOTAL does not count."""
        return Written(
            self.known(),
            {sheet.now: sheet.hidden() for sheet in self.touched},
            {sheet.now: sheet.subtotals for sheet in self.touched},
        )


def fill_xlsx(template: bytes, data: RenderData, options: RenderOptions) -> tuple[bytes, list[str]]:
    """Fill a workbook; returns its bytes and warnings."""
    book = fill_book(template, Scope(data), options)
    if book.touched and book.package.drop_signatures():
        book.warnings.append(
            "the digital signature of the template does not hold for a report and was left out"
        )
    return book.package.save(), book.warnings


def fill_book(template: bytes, scope: Scope, options: RenderOptions) -> Book:
    """Fill a workbook and keep what is known about it."""
    package = Package(template)
    cut = cut_loose(package)
    book = open_book(package, scope, options)
    book.warnings.extend(cut.warnings)
    for sheet in book.sheets:
        sheet.scan(book.strings)
    book.sheets, book.plans.renames, sheet_copies = repeat_sheets(
        book.package, (book.part, book.root), book.sheets, book.strings, book.language
    )
    for name in sheet_copies.gone:
        book.plans[name], book.plans.renames[name] = vanished(), ""
    for sheet in book.sheets:
        if sheet.tagged:
            plan = sheet.lay_out(book.language)
            book.plans.setdefault(sheet.name.lower(), plan)
    for sheet in book.touched:
        view = Plans(book.plans, book.plans.renames)
        if sheet.plan is not None:
            view[sheet.name.lower()] = sheet.plan
        view.renames |= {sheet.name.lower(): sheet.title} if sheet.title else {}
        sheet.views = view
    others = Others(book.package, (book.part, book.root), book.touched, idle=not book.plans)
    results = book.results = others.results(book.touched, book.plans, sheet_copies.gone, cut.formulas)
    book.warnings.extend([*others.warnings, *cut.untrue(results.stale)])
    for sheet in book.touched:
        sheet.stale = results.stale.get(sheet.name.lower(), set())
    _write_sheets(book)
    others.follow(book.plans, results)
    _names(book, sheet_copies)
    _drawings(book)
    _finish(book, sheets_changed=sheet_copies.changed)
    return book


def open_book(package: Package, scope: Scope, options: RenderOptions) -> Book:
    """Read workbook, strings and the sheets that may have tags."""
    found = package.related("", "officeDocument")
    if not found:
        raise TemplateError("template", "it has no workbook", "Upload an xlsx file")
    part = found[0]
    root = package.xml(part)
    if local(root) != "workbook":
        raise TemplateError(
            "template", "it is no Excel workbook", "Upload an xlsx file (xlsb and ods cannot be read)"
        )
    strings = Strings(package, part).load()
    media = Media(package, scope.data, options, part.rpartition("/")[0] or "xl")
    book = Book(
        package, Language(scope.data, options), scope, part, root, strings, Styles(package, part), media,
        warnings=media.warnings,
    )  # fmt: skip
    targets = {r.id: r for r in package.rels(part)}
    for sheet in descendants(root, "sheet"):
        rel = targets.get(next((v for k, v in sheet.attrib.items() if k.endswith("}id")), ""))
        if rel is None or rel.kind != "worksheet" or rel.target not in package:
            continue
        content = package.read(rel.target)
        if strings.tagged or holds_opening(content) or has_tags(sheet.get("name", "")):
            xml = package.xml(rel.target)
            book.sheets.append(Sheet(sheet.get("name", ""), rel.target, xml, scope))
    return book


def _write_sheets(book: Book) -> None:
    writers: list[Writer] = []
    properties = child(book.root, "workbookPr")
    from_1904 = properties is not None and properties.get("date1904") in {"1", "true", "on"}
    for sheet in book.touched:
        _expand_shared(sheet)
        plans = sheet.views or book.plans
        cells = Cells(book.strings, book.styles, sheet.warnings, from_1904=from_1904)
        move, down = mover(sheet.name, plans), downwards(sheet.name, plans)
        writers.append(Writer(sheet, book.language, cells, move, down))
        writers[-1].rows()
        plan = sheet.plan
        if plan is not None and plan.changed:
            check_tables(book.package, sheet.part, sheet.name, plan, sheet.root)
            move_sheet(sheet.root, plan, sheet.name, sheet.views or book.plans)
            move_related(book.package, sheet.part, plan, outside(plans, sheet.name))
            _place_shapes(book, sheet, plan)
        book.tables |= sync_tables(book.package, sheet, book.language)
        _headers(book, sheet)
        add_pictures(book.package, sheet, book.media)
        book.warnings.extend(sheet.warnings)
    written = book.written()
    for writer in writers:
        _known_results(writer.sheet, written, book.tables)
        book.package.write_pieces(writer.sheet.part, writer.pieces(serialize(writer.sheet.root)))


def _place_shapes(book: Book, sheet: Sheet, plan: Plan) -> None:
    """Shapes of a sheet, each where its row went; those of a block know what its names mean."""
    for part in book.package.related(sheet.part, "drawing"):

        def fill_tags(anchor: Element, turn: Turn, part: str = part) -> None:
            scope = turn.scope or sheet.scope
            fill_drawing_text(anchor, book.language, scope, part)
            book.media.swap(anchor, part, book.language, scope)

        sheet.charts |= place_shapes(book.package, part, plan, fill_tags)


def _known_results(sheet: Sheet, written: Written, tables: Mapping[str, TableRange]) -> None:
    for cell, formula in formula_cells(sheet.root):
        column, row = split_cell(cell.get("r"))
        value = result(formula.text or "", Place(sheet.now, column, row), written, tables)
        if value is None or isinstance(value, bool) or child(cell, "v") is not None:
            continue
        element = cell.makeelement(namespace(cell) + "v")
        element.text = repr(value) if isinstance(value, int | float) else clean(str(value))
        if isinstance(value, str):
            cell.set("t", "str")
        cell.append(element)
        sheet.note_result(column, row, value, formula.text or "")


def _headers(book: Book, sheet: Sheet) -> None:
    """Tags in page headers and footers; an ampersand is a code there and must be doubled."""
    holder = child(sheet.root, "headerFooter")
    for element in holder if holder is not None else ():
        if element.text and has_tags(element.text):
            element.text = _escaped(element.text, book, sheet)


def _escaped(text: str, book: Book, sheet: Sheet) -> str:
    place = f"{sheet.name}, page header or footer"
    marked = text.replace("&", "\x00")
    return fill(marked, book.language, sheet.scope, place).replace("&", "&&").replace("\x00", "&")


def _expand_shared(sheet: Sheet) -> None:
    """Write shared formulas out: their cells part when rows move or repeat, even if only once."""
    if sheet.plan is None or not sheet.plan.root.regions:
        return
    masters: dict[str, tuple[str, str, int]] = {}
    for row in sheet.rows.values():
        for cell in row:
            formula = child(cell, "f") if local(cell) == "c" else None
            if formula is None or formula.get("t") != "shared":
                continue
            column, number = split_cell(cell.get("r"))
            if formula.text:
                masters[formula.get("si", "")] = (formula.text, column, number)
            elif formula.get("si", "") in masters:
                text, from_column, from_row = masters[formula.get("si", "")]
                formula.text = translate(text, number - from_row, _number(column) - _number(from_column))
            for name in ("t", "si", "ref"):
                formula.attrib.pop(name, None)


def _number(column: str) -> int:
    result = 0
    for letter in column:
        result = result * 26 + ord(letter) - 64
    return result


def _names(book: Book, copies: SheetCopies) -> None:
    """Defined names, print areas and titles among them; those of a copied sheet are copied with it."""
    by_part = {sheet.part: sheet for sheet in book.touched}
    for element in descendants(book.root, "definedName"):
        text = element.text or ""
        element.text = outside(book.plans)(text)
        own = element.get("localSheetId")
        if own is None:
            continue
        places = copies.places.get(int(own), [])
        if not places:
            element.getparent().remove(element)
            continue
        element.set("localSheetId", str(places[0][0]))
        for place, part in places[1:]:
            sheet = by_part.get(part)
            new = deepcopy(element)
            new.set("localSheetId", str(place))
            new.text = outside(sheet.views or book.plans)(text) if sheet is not None else text
            element.addnext(new)


def _drawings(book: Book) -> None:
    """Charts and drawn text: of each sheet in its own view, then whatever stands elsewhere."""
    done: set[str] = set()
    for sheet in book.touched:
        for drawing in book.package.related(sheet.part, "drawing"):
            charts = [one for kind in CHART_KINDS for one in book.package.related(drawing, kind)]
            for part in [drawing, *charts]:
                done.add(part)
                turn, plans = sheet.charts.get(part), sheet.views or book.plans
                scope = (turn.scope if turn is not None else None) or sheet.scope
                _drawing(book, part, scope, inside(turn, sheet.name, plans) if turn else outside(plans))
    for name in book.package.names():
        folders = ("/charts/", "/drawings/", "/chartsheets/")
        if name not in done and name.endswith(".xml") and any(folder in name for folder in folders):
            _drawing(book, name, book.scope, outside(book.plans))


def _drawing(book: Book, part: str, scope: Scope, move: Callable[[str], str]) -> None:
    content = book.package.read(part)
    chart = any(space in content[:2_000] for space in _CHART_SPACES)
    texts = holds_opening(content) or (b"{" in content and b"}}" in content)
    linked = b"textlink=" in content
    if not texts and not ((chart or linked) and book.plans):
        return
    root = book.package.xml(part)
    changed = fill_drawing_text(root, book.language, scope, part) if texts else False
    if texts:
        changed |= book.media.swap(root, part, book.language, scope)
    if linked:
        changed |= refresh_links(root, move, book.known(), book.results.touches)
    if chart:
        changed |= refresh_chart(root, move, book.known(), book.results.touches, points=book.points)
    if changed:
        book.package.write(part, book.points.serialized(root))


def _finish(book: Book, *, sheets_changed: bool) -> None:
    refresh_pivots(book.package, book.part, book.touched, book.plans, book.results.touches)
    if not book.touched and not sheets_changed:
        return
    book.strings.save()
    book.styles.save()
    if any(plan.changed for plan in book.plans.values()):
        for name in book.package.related(book.part, "calcChain"):
            book.package.remove(name)
            book.package.drop_rels(book.part, "calcChain")
    _recalculate(book.root)
    book.package.write(book.part, serialize(book.root))


_AFTER_CALC = {
    "oleSize", "customWorkbookViews", "pivotCaches", "smartTagPr", "smartTagTypes", "webPublishing",
    "fileRecoveryPr", "webPublishObjects", "extLst",
}  # fmt: skip


def _recalculate(root: Element) -> None:
    """Ask for all formulas to be computed when the file is opened."""
    calc = child(root, "calcPr")
    if calc is None:
        calc = root.makeelement(root.tag.replace("workbook", "calcPr"))
        at = next((i for i, e in enumerate(root) if local(e) in _AFTER_CALC), len(root))
        root.insert(at, calc)
    calc.set("fullCalcOnLoad", "1")
