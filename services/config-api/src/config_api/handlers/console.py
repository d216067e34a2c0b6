"""Pages for developers and administrators: status, tasks, audit trail."""

import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from config_api.domain.changes import shown
from config_api.domain.errors import NotFoundError, RefusedError
from config_api.domain.kinds import TASK
from config_api.domain.projection import DELIVERIES, NOTIFICATIONS, UNITS
from config_api.domain.rights import Actor, Right, may
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate, Person
from config_api.handlers.rest_admin import audit_record, verdict_body
from config_api.handlers.rest_runs import from_cursor, to_cursor
from config_api.handlers.shell import Pages
from config_api.ports import AuditQuery, ExecutionQuery
from config_api.use_cases.audit import Audit
from config_api.use_cases.configuration import Configuration
from config_api.use_cases.runs import Runs
from contracts.base import EARLIEST, LATEST
from contracts.events import Outcome

_PER_PAGE = 50
_PARTS_SHOWN = 200
Sent = tuple[Person, FormData]


def console(pages: Pages, configuration: Configuration, runs: Runs, audit: Audit, gate: Gate) -> APIRouter:
    """Return the routes of the console."""
    router = APIRouter(include_in_schema=False)
    router.include_router(_status(pages, runs, gate))
    router.include_router(_execution(pages, runs, audit, gate))
    router.include_router(_tasks(pages, configuration, runs, gate))
    router.include_router(_audit(pages, audit, gate))
    return router


def _status(pages: Pages, runs: Runs, gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.get("/status")
    async def listing(request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        asked = {
            name: request.query_params.get(name, "") for name in ("task_id", "outcome", "since", "until")
        }
        cursor = request.query_params.get("after")
        until = _day(asked["until"])
        query = ExecutionQuery(
            task_id=asked["task_id"] or None,
            outcome=asked["outcome"] or None,
            since=_day(asked["since"]),
            until=until + timedelta(days=1) if until else None,
            before=from_cursor(cursor) if cursor else None,
            limit=_PER_PAGE,
        )
        found = await runs.executions(query, person.actor)
        more = None
        if len(found) == _PER_PAGE:
            more = urlencode(
                {**{key: value for key, value in asked.items() if value}, "after": to_cursor(found[-1])}
            )
        return pages.render(
            "status.html",
            person,
            executions=found,
            asked=asked,
            outcomes=[each.value for each in Outcome],
            more=more,
        )

    return router


def _execution(pages: Pages, runs: Runs, audit: Audit, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/status/executions/{execution_id}")

    @router.get("")
    async def detail(
        execution_id: str, request: Request, person: Annotated[Person, Depends(gate.person)]
    ) -> Response:
        try:
            execution = await runs.get(execution_id, person.actor)
        except NotFoundError:
            if "asked" not in request.query_params:
                raise
            return pages.render("requested.html", person, execution_id=execution_id)
        parts = {
            view: await runs.parts(view, execution_id, person.actor, limit=_PARTS_SHOWN)
            for view in (UNITS, DELIVERIES, NOTIFICATIONS)
        }
        return pages.render(
            "execution.html",
            person,
            execution=execution,
            units=parts[UNITS],
            deliveries=parts[DELIVERIES],
            notifications=parts[NOTIFICATIONS],
            records=await _records(audit, execution_id, person.actor),
            shown=_PARTS_SHOWN,
        )

    @router.get("/log")
    async def log(execution_id: str, person: Annotated[Person, Depends(gate.person)]) -> Response:
        ref, content = await runs.log(execution_id, person.actor)
        return await attachment(f"{execution_id}.log", ref, content)

    @router.get("/units/{unit_id}")
    async def file(
        execution_id: str, unit_id: str, person: Annotated[Person, Depends(gate.person)]
    ) -> Response:
        artifact, content = await runs.artifact(execution_id, unit_id, person.actor)
        return await attachment(artifact.file_name, artifact, content)

    return router


async def _records(audit: Audit, execution_id: str, actor: Actor) -> list[dict[str, Any]] | None:
    """Return the newest records of an execution, None for who may not see the trail."""
    if not may(actor.role, Right.AUDIT):
        return None
    query = AuditQuery(execution_id=execution_id, limit=_PARTS_SHOWN)
    return [audit_record(record) async for record in audit.find(query, actor)]


def _tasks(pages: Pages, configuration: Configuration, runs: Runs, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/tasks")

    @router.get("")
    async def listing(request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        after = request.query_params.get("after")
        found = await configuration.page(TASK, person.actor, after=after, limit=_PER_PAGE)
        last = await runs.last_runs(person.actor)
        return pages.render(
            "tasks.html",
            person,
            tasks=[
                {**shown(task), "last": last.get(task.id, {}), "key": secrets.token_hex(16)} for task in found
            ],
            more=found[-1].id if len(found) == _PER_PAGE else None,
            refused=request.query_params.get("refused", "")[:500],
        )

    @router.post("/switch")
    async def switch(sent: Annotated[Sent, Depends(gate.sender)]) -> Response:
        person, form = sent
        keys = [key for key in form.getlist("id") if isinstance(key, str)]
        enabled = form.get("action") == "enable"
        results = await configuration.switch_many(TASK, keys, person.actor, enabled=enabled)
        return _back([refusal for refusal in results.values() if refusal is not None])

    @router.post("/{task_id}/run")
    async def run_now(task_id: str, sent: Annotated[Sent, Depends(gate.sender)]) -> Response:
        person, form = sent
        key = form.get("key")
        try:
            request = await runs.run_now(task_id, key if isinstance(key, str) else None, person.actor)
        except RefusedError as refusal:
            return _back([refusal])
        return RedirectResponse(f"/status/executions/{request.execution_id}?asked=1", 303)

    return router


def _audit(pages: Pages, audit: Audit, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/audit")

    @router.get("")
    async def find(request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        names = ("execution_id", "task_id", "recipient_id", "type")
        asked = {name: request.query_params.get(name, "").strip()[:400] for name in names}
        after = request.query_params.get("after", "")
        query = AuditQuery(
            execution_id=asked["execution_id"] or None,
            task_id=asked["task_id"] or None,
            recipient_id=asked["recipient_id"] or None,
            type=asked["type"] or None,
            after=int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0,  # noqa: PLR2004 - fits 64 bits
            limit=_PER_PAGE,
        )
        records = [audit_record(record) async for record in audit.find(query, person.actor)]
        more = None
        if len(records) == _PER_PAGE:
            more = urlencode(
                {**{key: value for key, value in asked.items() if value}, "after": records[-1]["seq"]}
            )
        verdict = None
        if "verify" in request.query_params:
            verdict = verdict_body(await audit.verify(person.actor))
        return pages.render("audit.html", person, records=records, asked=asked, more=more, verdict=verdict)

    return router


def _back(refusals: list[RefusedError]) -> Response:
    query = urlencode({"refused": " ".join(str(refusal) for refusal in refusals)[:500]}) if refusals else ""
    return RedirectResponse(f"/tasks?{query}" if query else "/tasks", 303)


def _day(text: str) -> datetime | None:
    """Return the beginning of a day in UTC; None for what is not a day or too far away to compute with."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    moment = datetime(found.year, found.month, found.day, tzinfo=UTC)
    return moment if EARLIEST <= moment <= LATEST else None
