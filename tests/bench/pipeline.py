"""Reports per second through the pipeline, against the same renderer in a bare loop on the same cores.

Everything is measured in one run on one machine; only the ratios mean something elsewhere.
"""

import argparse
import asyncio
import csv
import io
import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xlsxwriter

from bench.processes import processor_seconds, since
from rendering import (
    ColumnData,
    Meta,
    OutputFormat,
    RenderData,
    RenderOptions,
    TableData,
    TemplateKind,
    render,
)
from standalone.web import http_client
from support.platforms import CUSTOMER_TEMPLATE, Stage, customer_names, staged
from support.servers import unique

PROCESSORS = 2
# What a call to an engine on another machine takes longer: the way there and back, and its own work.
DISTANCE_S = 0.05


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of report that is measured."""

    name: str
    kind: TemplateKind
    template: bytes
    output: OutputFormat


def cases() -> list[Case]:
    """Return what is measured: a small HTML letter and a styled workbook with charts."""
    return [
        Case("html letter", TemplateKind.HTML, CUSTOMER_TEMPLATE, OutputFormat.HTML),
        Case("xlsx workbook", TemplateKind.XLSX, _workbook(), OutputFormat.XLSX),
    ]


def _workbook() -> bytes:
    """Return a template with a title, a number, a table and a chart that follows it."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet("Orders")
        sheet.write_string(0, 0, "{{ customer }}", book.add_format({"bold": True, "font_size": 16}))
        sheet.write_string(1, 0, "{{ total }}", book.add_format({"num_format": "#,##0"}))
        sheet.write_row(3, 0, ["Product", "Amount"], book.add_format({"bold": True, "bottom": 1}))
        sheet.write_row(4, 0, ["{{ orders.product }}", "{{ orders.amount }}"])
        chart = book.add_chart({"type": "column"})
        chart.add_series({"categories": "=Orders!$A$5:$A$5", "values": "=Orders!$B$5:$B$5"})
        sheet.insert_chart("D4", chart)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Burst:
    """What one burst through the pipeline took."""

    seconds: float
    units: int
    qlik_s: float
    render_s: float
    store_s: float
    delivered_s: float
    processor_s: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Reports per second."""
        return self.units / self.seconds


def data_of(folder: Path) -> list[RenderData]:
    """Return what the pipeline reads from Qlik, read from the table itself."""
    rows: dict[str, list[tuple[str, float]]] = {}
    with (folder / "customers-app" / "orders.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["customer"], []).append((row["product"], float(row["amount"])))
    columns = (ColumnData("product"), ColumnData("amount"))
    now = datetime(2026, 3, 2, tzinfo=UTC)
    return [
        RenderData(
            meta=Meta(now=now, report="bench"),
            values={"customer": name, "total": sum(amount for _, amount in table)},
            tables={"orders": TableData(columns, list(table))},
        )
        for name, table in rows.items()
    ]


def bare(case: Case, data: Sequence[RenderData]) -> int:
    """Render in a loop, nothing else; return the bytes made."""
    return sum(
        len(render(case.kind, case.template, each, RenderOptions(), case.output).content) for each in data
    )


def bare_rate(case: Case, data: Sequence[RenderData], processes: int) -> float:
    """Return reports per second of bare loops on so many processes, started and warm."""
    parts = [data[number::processes] for number in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(bare, [case] * processes, [part[:3] for part in parts]))
        start = time.perf_counter()
        list(pool.map(bare, [case] * processes, parts))
        return len(data) / (time.perf_counter() - start)


async def burst(stage: Stage, case: Case, units: int) -> Burst:
    """Send a burst through the pipeline: each file rendered, stored and published in the Hub."""
    tag = unique("bench")
    await stage.rest.call(
        "POST",
        "/api/v1/templates",
        data={"id": tag, "name": tag},
        files={"file": (f"t.{case.kind.value}", case.template)},
    )
    await stage.create(
        "reports",
        id=tag,
        name=tag,
        connection_id="customers-site",
        app_id="customers",
        template_id=tag,
        data=_items(),
        iteration={"field": "customer"},
        filters=[{"field": "customer", "values": customer_names(units)}],
        file_name="{{ iteration.value }}",
    )
    person = await stage.create("recipients", id=tag, name=tag, email=f"{tag}@example.com")
    await stage.create(
        "tasks",
        id=tag,
        name=tag,
        reports=[{"id": "r", "report_id": tag, "format": case.output.value, "hub": {"publish": True}}],
        recipients=[{"recipient_id": person["id"], "email": False, "hub": True}],
        notification={"on_success": False, "on_warning": False, "on_error": False},
        deadline=900,
    )
    before = processor_seconds()
    execution = await stage.run(tag, seconds=900)
    return await _measured(stage, execution["id"], since(before))


def _items() -> list[dict[str, Any]]:
    return [
        {"kind": "expression", "name": "customer", "expression": "Only(customer)"},
        {"kind": "expression", "name": "total", "expression": "Sum(amount)"},
        {
            "kind": "table",
            "name": "orders",
            "dimensions": [{"name": "product", "expression": "product"}],
            "measures": [{"name": "amount", "expression": "Sum(amount)"}],
            "sort": ["product"],
        },
    ]


async def _measured(stage: Stage, execution_id: str, processor_s: Mapping[str, float]) -> Burst:
    """Read the times from the events: from the plan to the last file, to the last delivery."""
    records = await stage.audit(execution_id=execution_id)
    at: dict[str, list[datetime]] = {}
    timings: list[dict[str, float]] = []
    for record in records:
        kind = record["type"].removeprefix("io.broadsheet.").removesuffix(".v1")
        at.setdefault(kind, []).append(datetime.fromisoformat(record["occurred_at"]))
        if kind == "report-generated":
            timings.append(record["data"]["timings"])
    start = min(at["execution-planned"])
    return Burst(
        seconds=(max(at["report-generated"]) - start).total_seconds(),
        units=len(timings),
        qlik_s=sum(each["qlik"] for each in timings),
        render_s=sum(each["render"] for each in timings),
        store_s=sum(each["store"] for each in timings),
        delivered_s=(max(at["delivery-succeeded"]) - start).total_seconds(),
        processor_s=processor_s,
    )


async def measure(folder: Path, units: int) -> None:
    """Measure every case with one and with two generators and print the table."""
    for generators in (1, 2):
        async with staged(folder / f"g{generators}", customers=units, generators=generators) as stage:
            print(f"\n{generators} generator(s), broker {stage.choice}")
            data = data_of(folder / f"g{generators}")
            for case in cases():
                rates = {
                    processes: await asyncio.to_thread(bare_rate, case, data, processes)
                    for processes in (1, PROCESSORS)
                }
                await burst(stage, case, max(1, units // 10))
                _print(case, await burst(stage, case, units), rates)
            await _far_away(stage, units)


async def _far_away(stage: Stage, units: int) -> None:
    """Measure with an engine that is not on these processors: what is left to wait for shows what scales."""
    case = cases()[0]
    fault = {"kind": "late", "method": "*", "seconds": DISTANCE_S, "times": 10**9}
    control = f"{stage.platform.qlik.http_url}/_sim/fault"
    async with http_client() as http:
        (await http.post(control, json={"place": "engine", "fault": fault})).raise_for_status()
        measured = await burst(stage, case, max(1, units // 5))
        (await http.delete(control)).raise_for_status()
    print(f"  {case.name}, every answer of the engine {DISTANCE_S * 1000:.0f} ms later:")
    print(f"    {measured.units} reports in {measured.seconds:.1f} s = {measured.rate:.1f}/s")


def _print(case: Case, measured: Burst, rates: dict[int, float]) -> None:
    both = rates[PROCESSORS]
    print(f"  {case.name}: {measured.units} reports in {measured.seconds:.1f} s = {measured.rate:.1f}/s")
    print(f"    bare loop: {rates[1]:.0f}/s on one process, {both:.0f}/s on {PROCESSORS}")
    print(f"    pipeline / bare on {PROCESSORS} processes: {measured.rate / both:.3f}")
    print(f"    last delivery confirmed after {measured.delivered_s:.1f} s")
    waits = measured.qlik_s + measured.render_s + measured.store_s
    for name, seconds in (
        ("Qlik session, selections, data", measured.qlik_s),
        ("rendering, with the wait for a worker", measured.render_s),
        ("storing the file", measured.store_s),
    ):
        print(f"    {name}: {seconds / measured.units * 1000:.0f} ms a report, {seconds / waits:.0%}")
    whole = sum(measured.processor_s.values())
    share = whole / (measured.seconds * PROCESSORS)
    print(
        f"    processor time: {whole / measured.units * 1000:.0f} ms a report, {share:.0%} of what there is"
    )
    for part, seconds in measured.processor_s.items():
        if seconds > whole / 100:
            print(f"      {part}: {seconds / measured.units * 1000:.1f} ms, {seconds / whole:.0%}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=500, help="reports in a burst")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as folder:
        asyncio.run(measure(Path(folder), options.units))


if __name__ == "__main__":
    main()
