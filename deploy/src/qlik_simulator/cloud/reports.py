"""Reports of a tenant: a request is accepted, worked on, and leaves outputs that expire.

What a real tenant answers at each step is documented; no recording of it is public.
"""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import xlsxwriter

from qlik_simulator.apps.app import App, GenericObject
from qlik_simulator.cloud.pictures import encoded, picture, series_of, side_by_side
from qlik_simulator.domain.formats import to_serial
from qlik_simulator.domain.search import literal
from qlik_simulator.domain.selections import NOTHING, choose
from qlik_simulator.engine.document import Document
from qlik_simulator.engine.global_methods import opened
from qlik_simulator.engine.layout import Layouts
from qlik_simulator.site import Site

Json = dict[str, Any]
OUTPUT_LIFETIME: Final = timedelta(hours=1)
_MEDIA: Final = {
    "image": "image/png",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_TEMPLATES: Final = {
    "sense-image-1.0": ("senseImageTemplate", {"image", "pdf"}),
    "sense-sheet-1.0": ("senseSheetTemplate", {"pdf"}),
    "sense-data-1.0": ("senseDataTemplate", {"xlsx"}),
}


class ReportError(Exception):
    """A report that cannot be made: a code of the reports service and what it is about."""

    def __init__(self, code: str, title: str, detail: str = "", status: int = 400) -> None:
        self.code, self.title, self.detail, self.status = code, title, detail, status
        super().__init__(f"{code} {title} {detail}")

    def shown(self) -> Json:
        """The error object."""
        return {"code": self.code, "title": self.title, "detail": self.detail}


@dataclass
class Output:
    """Bytes to be fetched until they expire."""

    id: str
    media: str
    content: bytes
    ends: datetime


@dataclass
class Report:
    """A report request and how far it is."""

    id: str
    user: str
    asked: Json
    template: Json
    app: App
    reload_time: datetime
    created: datetime
    status: str = "queued"
    reasons: list[Json] = field(default_factory=list)
    output: Output | None = None
    traces: Json = field(default_factory=dict)


@dataclass
class Reports:
    """The reports of a tenant."""

    site: Site
    seconds: float = 0.0  # how long a report takes at least
    lifetime: timedelta = OUTPUT_LIFETIME
    all: dict[str, Report] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    _working: set[asyncio.Task[None]] = field(default_factory=set)

    def request(self, asked: Json, user: str) -> Report:
        """Accept a request and start to work on it. Raises `ReportError`."""
        kind, output = str(asked.get("type")), asked.get("output") or {}
        if kind not in _TEMPLATES:
            raise ReportError(
                "REP-400000", "Unsupported", f"the report type {kind} is not supported by this simulator"
            )
        member, forms = _TEMPLATES[kind]
        template = asked.get(member)
        if not isinstance(template, dict) or output.get("type") not in forms or not output.get("outputId"):
            known = ", ".join(sorted(forms))
            detail = f"{kind} needs {member}, output.outputId and an output.type of: {known}"
            raise ReportError("REP-400000", "Bad request", detail)
        app = self.site.app(str(template.get("appId")))
        if app is None:
            raise ReportError("REP-404001", "App not found", str(template.get("appId")), status=404)
        made = Report(self.site.new_id(), user, asked, template, app, app.last_reload_time, self.site.now())
        self.all[made.id] = made
        task = asyncio.create_task(self._work(made))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return made

    async def _work(self, report: Report) -> None:
        await asyncio.sleep(self.seconds / 2)
        report.status = "processing"
        fault = self.site.faults.take("report", str(report.asked["type"]), report.user)
        if fault is not None and fault.kind == "stay":
            return
        await asyncio.sleep(self.seconds / 2)
        if fault is not None:
            report.status = "failed"
            report.reasons = [ReportError(fault.topic or "REP-500100", "failed on command").shown()]
            return
        try:
            content = await asyncio.to_thread(make, report, to_serial(self.site.now()))
        except ReportError as error:
            report.status, report.reasons = "failed", [error.shown()]
            return
        form = str(report.asked["output"]["type"])
        output = Output(self.site.new_id(), _MEDIA[form], content, self.site.now() + self._lifetime(report))
        self.outputs[output.id] = report.output = output
        report.status = "done"

    def _lifetime(self, report: Report) -> timedelta:
        wanted = (report.asked.get("meta") or {}).get("outputTtl")
        return timedelta(seconds=wanted) if isinstance(wanted, int | float) else self.lifetime

    async def close(self) -> None:
        """Drop what is being worked on."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)


def make(report: Report, now: float) -> bytes:
    """The bytes of a report. Raises `ReportError`."""
    template = report.template
    exact = template.get("reloadTimestampMatchType") == "requestTimeExact"
    if exact and report.app.last_reload_time != report.reload_time:
        raise ReportError("REP-409021", "The app was reloaded meanwhile", report.app.id)
    model = report.app.seen_by(report.user)
    if model is None:
        raise ReportError("REP-403001", "Access to the app is denied", report.app.id)
    document = opened(report.app, model)
    _select(document, report.asked, template)
    layouts = Layouts(document, now)
    match str(report.asked["type"]):
        case "sense-data-1.0":
            return _workbook(layouts, _object(document, str(template.get("id"))))
        case "sense-sheet-1.0":
            return encoded(_sheet(layouts, document, template.get("sheet") or {}), "PDF")
        case _:
            shape = template.get("visualization") or {}
            found = _object(document, str(shape.get("id")))
            image = picture(found.type, series_of(layouts.layout(found)), *_size(shape))
            return encoded(image, "PNG" if report.asked["output"]["type"] == "image" else "PDF")


def _size(shape: Mapping[str, Any]) -> tuple[int, int]:
    width, height = int(shape.get("widthPx") or 600), int(shape.get("heightPx") or 400)
    return min(max(width, 32), 4000), min(max(height, 32), 4000)


def _object(document: Document, object_id: str) -> GenericObject:
    found = document.object(object_id)
    if found is None:
        raise ReportError("REP-404002", "Object not found", object_id)
    return found


def _select(document: Document, asked: Mapping[str, Any], template: Mapping[str, Any]) -> None:
    definitions = asked.get("definitions") or {}
    by_state = template.get("selectionsByState") or definitions.get("selectionsByState") or {}
    errors_matter = str(template.get("selectionStrategy") or "failOnErrors") == "failOnErrors"
    for state, fields in by_state.items():
        document.states.setdefault(str(state), NOTHING)
        for entry in fields:
            name = str(entry.get("fieldName"))
            of = document.model.field(name)
            values = [str(value.get("text", value.get("number"))) for value in entry.get("values") or []]
            found = [literal(of, value) for value in values] if of is not None else []
            if errors_matter and (of is None or not all(found)):
                raise ReportError(
                    "REP-400008", "Selections cannot be applied", f"{name}: {', '.join(values)}"
                )
            elements = frozenset[int]().union(*found)
            if of is not None and elements:
                outcome = choose(document.model, document.states[str(state)], of.name, elements)
                document.states[str(state)] = outcome.selections


def _workbook(layouts: Layouts, found: GenericObject) -> bytes:
    layout = layouts.layout(found)
    cube = layout.get("qHyperCube")
    if not cube or cube.get("qError"):
        raise ReportError("REP-403002", "The chart cannot be exported", found.id)
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("Sheet1")
        titles = [info["qFallbackTitle"] for info in (*cube["qDimensionInfo"], *cube["qMeasureInfo"])]
        sheet.write_row(0, 0, titles)
        matrix = [row for page in cube["qDataPages"] for row in page["qMatrix"]]
        for index, row in enumerate(matrix, start=1):
            cells = [cell["qNum"] if isinstance(cell["qNum"], int | float) else cell["qText"] for cell in row]
            sheet.write_row(index, 0, cells)
    return target.getvalue()


def _sheet(layouts: Layouts, document: Document, shape: Mapping[str, Any]) -> Any:
    sheet = _object(document, str(shape.get("id")))
    width, height = _size({"widthPx": 1200, "heightPx": 900, **shape})
    children = [_object(document, child) for child in sheet.children]
    rows = max((len(children) + 1) // 2, 1)
    images = [
        picture(child.type, series_of(layouts.layout(child)), width // 2, height // rows)
        for child in children
    ]
    return side_by_side(images, width, height)
