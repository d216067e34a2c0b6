"""The generator as it runs: from TaskTriggered to files, on real servers and a simulated Qlik site."""

import asyncio
import contextlib
import io
import json
import multiprocessing.process
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from python_calamine import CalamineWorkbook

from contracts import ids
from contracts.base import Event, Selection
from contracts.configuration import (
    Connection,
    ConnectionKind,
    OutputFormat,
    Recipient,
    Report,
    Scope,
    TaskHead,
    TaskVersion,
    Template,
    TemplateKind,
)
from contracts.envelope import Received
from contracts.events import (
    Disposition,
    ExecutionPlanned,
    ReportFailed,
    ReportGenerated,
    ReportSkipped,
    TaskTriggered,
    TriggerInfo,
    TriggerKind,
)
from generator.app import start
from generator.settings import GeneratorSettings
from runtime import configuration as config
from runtime.bus import Bus, Subscription
from runtime.objects import ObjectStore, open_objects
from runtime.service import Service
from runtime.store import Store
from standalone.broker import BrokerServer
from standalone.demo.configuration import Places, demo
from standalone.mongo import Mongo
from standalone.s3 import SeaweedFS
from support.qlik_site import SimulatedSite, simulated_site
from support.servers import unique
from support.stores import fresh_store
from support.tasks import condition, entry, to
from support.topics import bus_settings, create_topics
from support.waiting import until

pytestmark = pytest.mark.integration
NOW = datetime.now(tz=UTC).replace(microsecond=0)


class Outcomes:
    """What the generator published, by execution."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def take(self, received: Received[Any]) -> None:
        self.events.append(received.event)

    def planned(self, execution: str) -> list[ExecutionPlanned]:
        return [
            each
            for each in self.events
            if isinstance(each, ExecutionPlanned) and each.execution_id == execution
        ]

    def settled(self, execution: str) -> list[ReportGenerated | ReportSkipped | ReportFailed]:
        kinds = ReportGenerated | ReportSkipped | ReportFailed
        return [each for each in self.events if isinstance(each, kinds) and each.execution_id == execution]


class Scene:
    """Everything a test of the service needs."""

    def __init__(self, store: Store, objects: ObjectStore, bus: Bus, outcomes: Outcomes) -> None:
        self.store, self.objects, self.bus, self.outcomes = store, objects, bus, outcomes

    async def save(self, collection: str, key: str, model: Any) -> None:
        document = config.to_document(key, model)
        await self.store.db[collection].replace_one({"_id": key}, document, upsert=True)

    async def task(self, *, enabled: bool = True, **changes: Any) -> str:
        key = unique("task")
        head = TaskHead(id=key, name="Punctuality", enabled=enabled, current_version=1)
        version = TaskVersion(
            **{
                "task_id": key,
                "version": 1,
                "name": "Punctuality",
                "created_at": NOW,
                "created_by": "t",
                **changes,
            }
        )
        await self.save(config.TASKS, key, head)
        await self.save(config.TASK_VERSIONS, config.task_version_key(key, 1), version)
        return key

    async def trigger(self, task: str, *, times: int = 1) -> str:
        execution = ids.execution_id(task, unique("run"))
        event = TaskTriggered(
            execution_id=execution,
            task_id=task,
            trigger=TriggerInfo(
                kind=TriggerKind.MANUAL, trigger_id="console", occurrence=execution, due_at=NOW
            ),
        )
        for _ in range(times):
            await self.bus.publish(event)
        return execution

    async def run(self, task: str, units: int, *, times: int = 1) -> str:
        execution = await self.trigger(task, times=times)
        await until(
            lambda: (
                len(self.outcomes.planned(execution)) >= times
                and len(self.outcomes.settled(execution)) >= units
            ),
            seconds=90,
            what=f"{units} settled units",
        )
        return execution


async def seed(scene: Scene, site: SimulatedSite) -> None:
    """Store the demo's reports and some of its people."""
    places = Places("ws://x", "http://x", "http://x", "k", "s")
    made = demo(places, started=NOW)
    settings = json.loads(site.site().model_dump_json(exclude={"kind", "qrs_url"}))
    await scene.save(
        config.CONNECTIONS,
        "qlik",
        Connection(id="qlik", name="Qlik", kind=ConnectionKind.CLIENT_MANAGED, settings=settings),
    )
    for path, body in made.objects:
        if path == "reports":
            await scene.save(config.REPORTS, body["id"], Report.model_validate(body))
        elif path == "recipients":
            await scene.save(config.RECIPIENTS, body["id"], Recipient.model_validate(body))
    for key, name, content in made.templates:
        ref = await scene.objects.put(f"templates/{key}", content, content_type="application/octet-stream")
        kind = TemplateKind(name.rpartition(".")[2])
        template = Template(id=key, name=key, kind=kind, version=1, file=ref)
        await scene.save(config.TEMPLATES, key, template)


@pytest.fixture(scope="module")
async def scene(
    broker_server: BrokerServer, mongo_server: Mongo, object_store_server: SeaweedFS
) -> AsyncIterator[Scene]:
    await create_topics(broker_server)
    bucket = unique("broadsheet")
    await object_store_server.create_bucket(bucket)
    async with simulated_site() as site, fresh_store(mongo_server.uri) as store:
        settings = GeneratorSettings(
            **bus_settings(broker_server).model_dump(include={"kafka_bootstrap", "kafka_idempotent"}),
            mongo_uri=SecretStr(mongo_server.uri),
            mongo_database=store.db.name,
            s3_endpoint=object_store_server.endpoint,
            s3_access_key=SecretStr(object_store_server.access_key),
            s3_secret_key=SecretStr(object_store_server.secret_key),
            s3_bucket=bucket,
            render_workers=2,
            units_at_once=2,
            generator_lease_s=2,
            transient_pause_s=0.2,
        )
        outcomes = Outcomes()
        listening = [
            Subscription(topic=topic, group=unique("test"), handler=outcomes.take, events=kinds)
            for topic, kinds in (
                ("execution-planned", (ExecutionPlanned,)),
                ("report-settled", (ReportGenerated, ReportSkipped, ReportFailed)),
            )
        ]
        service = Service("generator", settings)
        async with (
            open_objects(settings) as objects,
            Bus(settings, service="test", subscriptions=listening) as bus,
        ):
            found = Scene(store, objects, bus, outcomes)
            await seed(found, site)
            await start(service, settings)
            service._started = True
            loops = asyncio.create_task(service._work_until_stopped())
            try:
                yield found
            finally:
                service.stopping.set()
                await loops
                await service._stack.aclose()


async def test_each_airline_gets_its_own_workbook_and_pdf(scene: Scene) -> None:
    task = await scene.task(
        reports=(
            entry("excel", "carrier-punctuality-excel"),
            entry("pdf", "carrier-punctuality-pdf", format=OutputFormat.PDF),
        ),
        recipients=tuple(
            to(f"carrier-{code}", scope=Scope.OWN, scope_attribute="carrier") for code in ("ha", "yv")
        ),
    )
    execution = await scene.run(task, 4)
    (planned,) = scene.outcomes.planned(execution)
    assert (planned.disposition, planned.unit_count, planned.delivery_count) == (Disposition.PLANNED, 4, 2)
    assert not planned.problems
    settled = {
        event.artifact.file_name: event
        for event in scene.outcomes.settled(execution)
        if isinstance(event, ReportGenerated)
    }
    day = NOW.date().isoformat()
    assert set(settled) == {
        f"Punctuality {code} {day}.{kind}" for code in ("HA", "YV") for kind in ("xlsx", "pdf")
    }
    event = settled[f"Punctuality HA {day}.xlsx"]
    assert event.selections == (Selection(field="carrier", values=("HA",)),)
    assert event.app_reloaded_at is not None
    content = await scene.objects.get(event.artifact, max_bytes=10_000_000)
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
    sheets = [workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names]
    cells = {str(cell) for rows in sheets for row in rows for cell in row}
    assert any("Hawaiian Airlines" in cell for cell in cells)
    assert not any("Mesa Airlines" in cell or "{{" in cell for cell in cells)
    pdf = await scene.objects.get(settled[f"Punctuality YV {day}.pdf"].artifact, max_bytes=10_000_000)
    assert pdf.startswith(b"%PDF-")


async def test_a_trigger_that_comes_three_times_makes_one_execution(scene: Scene) -> None:
    task = await scene.task(
        reports=(entry("excel", "carrier-punctuality-excel"),),
        recipients=(to("carrier-ha", scope=Scope.OWN, scope_attribute="carrier"),),
    )
    execution = await scene.run(task, 3, times=3)
    assert len({event.model_dump_json() for event in scene.outcomes.planned(execution)}) == 1
    assert len({event.model_dump_json() for event in scene.outcomes.settled(execution)}) == 1


async def test_a_disabled_task_is_skipped(scene: Scene) -> None:
    execution = await scene.run(await scene.task(enabled=False), 0)
    (planned,) = scene.outcomes.planned(execution)
    assert planned.disposition is Disposition.SKIPPED
    assert planned.reason is not None
    assert planned.reason.code == "task-disabled"


async def test_a_condition_that_is_not_met_skips_every_file_of_the_iteration(scene: Scene) -> None:
    unmet = condition("impossible").model_copy(
        update={"rules": (condition().rules[0].model_copy(update={"left": "=Sum(0)"}),)}
    )
    task = await scene.task(
        reports=(entry("excel", "carrier-punctuality-excel", conditions=(unmet,)),),
        recipients=tuple(
            to(f"carrier-{code}", scope=Scope.OWN, scope_attribute="carrier") for code in ("ha", "yv")
        ),
    )
    execution = await scene.run(task, 2)
    settled = scene.outcomes.settled(execution)
    assert all(isinstance(event, ReportSkipped) for event in settled)


async def test_a_broken_template_fails_its_report_and_no_other(scene: Scene) -> None:
    ref = await scene.objects.put("templates/broken", b"<p>{{ nobody.knows }}</p>", content_type="text/html")
    await scene.save(
        config.TEMPLATES,
        "broken",
        Template(id="broken", name="b", kind=TemplateKind.HTML, version=1, file=ref),
    )
    good = await scene.store.db[config.REPORTS].find_one({"_id": "carrier-punctuality-pdf"})
    assert good is not None
    bad = Report.model_validate({**good, "id": "broken", "name": "Broken", "template_id": "broken"})
    await scene.save(config.REPORTS, "broken", bad)
    task = await scene.task(
        reports=(
            entry("one", "broken", format=OutputFormat.PDF),
            entry("two", "carrier-punctuality-pdf", format=OutputFormat.HTML),
        ),
        recipients=(to("carrier-ha", scope=Scope.OWN, scope_attribute="carrier"),),
    )
    execution = await scene.run(task, 2)
    by_report = {event.report_name: event for event in scene.outcomes.settled(execution)}
    failed = by_report["Broken"]
    assert isinstance(failed, ReportFailed)
    assert failed.reason.code == "template-error"
    assert failed.reason.remedy
    assert isinstance(by_report["Carrier punctuality"], ReportGenerated)


async def test_render_workers_that_are_killed_cost_no_file(scene: Scene) -> None:
    task = await scene.task(
        reports=(entry("pdf", "carrier-punctuality-pdf", format=OutputFormat.PDF),),
        recipients=(to("manager-1"),),
    )
    execution = await scene.trigger(task)
    killed = 0

    def all_settled() -> bool:
        nonlocal killed
        done = len(scene.outcomes.settled(execution))
        for pid in _workers() if killed < 2 and done > killed * 3 else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
            break
        return done >= 16

    await until(all_settled, seconds=120, what="16 settled units")
    assert killed == 2
    settled = scene.outcomes.settled(execution)
    assert {type(event) for event in settled} == {ReportGenerated}


def _workers() -> list[int]:
    """The render workers: whatever multiprocessing started here and has not seen end."""
    return [child.pid for child in list(multiprocessing.process._children) if child.pid]  # type: ignore[attr-defined]
