"""What Qlik makes by itself: pictures and exports of Qlik Cloud; on client-managed sites our own drawing."""

from collections.abc import Sequence

import qlik
from contracts.configuration import (
    ImageItem,
    OutputFormat,
)
from contracts.output import NativeExport, NativeKind
from contracts.plan import PlannedReport
from generator.adapters.qlik_data import object_table, time_of
from generator.ports import Exported
from qlik import AppSession, QlikClient
from qlik.objects import find
from qlik.reports import Format, Picture, data_request, picture_request
from rendering.model import ChartSpec, Series, TableData, raw
from runtime.errors import Permanent

_DRAWN = {"barchart": "bar", "linechart": "line", "combochart": "bar"}
_FORMATS: dict[NativeKind, dict[OutputFormat, Format]] = {
    NativeKind.SHEET: {OutputFormat.PDF: "pdf", OutputFormat.PPTX: "pptx"},
    NativeKind.OBJECT: {OutputFormat.PDF: "pdf", OutputFormat.PPTX: "pptx", OutputFormat.PNG: "png"},
    NativeKind.OBJECT_DATA: {OutputFormat.XLSX: "xlsx"},
}
# What charts.svg draws at most; more points than pixels say nothing more.
_CATEGORIES = 2_000


async def export(
    client: QlikClient, report: PlannedReport, wish: NativeExport, selections: Sequence[qlik.Selection]
) -> Exported:
    """Return what Qlik Cloud exports under these selections; it fails if one of them does.

    Raises Permanent on a client-managed site, which has no such interface, and for a format Qlik does not
    make. Raises QlikError.
    """
    if client.site.kind != "cloud":
        raise Permanent(
            "native-export-needs-cloud",
            f"the report {report.name!r} is an export of Qlik Cloud, and its site is client-managed",
            "use a template with the app's data, or a picture of a chart in a template, which we draw",
        )
    made = _FORMATS[wish.kind].get(report.format)
    if made is None:
        known = ", ".join(sorted(each.value for each in _FORMATS[wish.kind]))
        raise Permanent(
            "native-format-unknown",
            f"Qlik makes no {report.format.value} of a {wish.kind.value}",
            f"choose one of: {known}",
        )
    if wish.kind is NativeKind.OBJECT_DATA:
        body = data_request(report.app_id, wish.id, selections)
    else:
        picture = Picture(
            wish.id,
            "sheet" if wish.kind is NativeKind.SHEET else "visualization",
            made,
            wish.width,
            wish.height,
        )
        body = picture_request(report.app_id, picture, selections)
    output = (await client.tenant.reports.make(body))[0]
    return Exported(output.content, output.content_type)


async def picture(
    client: QlikClient, session: AppSession, item: ImageItem, dpi: int | None
) -> bytes | ChartSpec:
    """Return an object as Qlik Cloud shows it, or a common chart for us to draw on client-managed sites.

    `session` has the selections, proved. Raises Permanent for an object that we cannot draw.
    """
    if client.site.kind == "cloud":
        chosen = [
            qlik.Selection(field=each.field, values=tuple(value.text for value in each.values))
            for each in session.selections
        ]
        zoom = 2.0 if dpi is None else dpi / 96
        wish = Picture(item.object_id, width=item.width, height=item.height, zoom=zoom)
        body = picture_request(session.layout.app_id, wish, chosen)
        return (await client.tenant.reports.make(body))[0].content
    found = await find(session.connection, session.doc, item.object_id)
    kind = _DRAWN.get(found.type)
    if kind is None:
        raise _not_drawn(item, f"an object of the type {found.type!r}")
    table = await session.object_table(item.object_id, max_rows=_CATEGORIES + 1, truncate=True)
    roles = [column.role for column in table.columns]
    return _chart(item, found.title, object_table(table), roles, line=kind == "line", mixed=found.type)


def _chart(
    item: ImageItem, title: str, table: TableData, roles: Sequence[str], *, line: bool, mixed: str
) -> ChartSpec:
    dimensions = [place for place, role in enumerate(roles) if role == "dimension"]
    measures = [place for place, role in enumerate(roles) if role == "measure"]
    if len(dimensions) != 1 or not measures:
        raise _not_drawn(item, f"a chart of {len(dimensions)} dimensions and {len(measures)} measures")
    if len(table.rows) > _CATEGORIES:
        raise _not_drawn(item, f"a chart of more than {_CATEGORIES} values")
    series = []
    for number, place in enumerate(measures):
        values = tuple(_number(row[place]) for row in table.rows)
        lines = line or (mixed == "combochart" and number > 0)
        series.append(Series(table.columns[place].heading, values, "line" if lines else "bar"))
    return ChartSpec(
        categories=tuple(_text(row[dimensions[0]]) for row in table.rows),
        series=tuple(series),
        title=title,
        width=item.width,
        height=item.height,
        times=tuple(time_of(row[dimensions[0]]) for row in table.rows),
    )


def _number(cell: object) -> float | None:
    value = raw(cell)  # type: ignore[arg-type]  # cells of a table
    return float(value) if isinstance(value, int | float) else None


def _text(cell: object) -> str:
    shown = getattr(cell, "text", None)
    return str(shown if shown is not None else "" if cell is None else cell)


def _not_drawn(item: ImageItem, what: str) -> Permanent:
    return Permanent(
        "chart-not-drawn",
        f"the picture {item.name!r} shows {item.object_id!r}, {what}; on client-managed sites only bar, line "
        "and combo charts of one dimension are drawn, as Qlik has no interface for pictures there",
        "bind the object's data as a table and a chart of it, or use a native chart of the template",
    )
