"""Pages for developers and administrators: status, tasks, audit trail."""

import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from config_api.domain.changes import shown
from config_api.domain.errors import NotFoundError, RefusedError
from config_api.domain.kinds import TASK
from config_api.domain.projection import DELIVERIES, NOTIFICATIONS, UNITS
from config_api.domain.rights import Actor, Right, may
from config_api.domain.sentences import sentence
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate, Person
from config_api.handlers.rest_admin import audit_record, verdict_body
from config_api.handlers.rest_runs import from_cursor, to_cursor
from config_api.handlers.shell import Pages
from config_api.ports import AuditQuery, ExecutionQuery
from config_api.use_cases.audit import Audit
from config_api.use_cases.configuration import Configuration
from config_api.use_cases.runs import Runs
from config_api.use_cases.triggers import Triggers
from contracts.base import EARLIEST, LATEST
from contracts.events import EVENT_TYPES, Outcome

_PER_PAGE = 50
_SUGGESTED = 200
_PARTS_SHOWN = 200
_DIGITS = 16
_TYPES = sorted(event.TYPE for event in EVENT_TYPES)
Sent = tuple[Person, FormData]


def console(
    pages: Pages, configuration: Configuration, runs: Runs, *, audit: Audit, triggers: Triggers, gate: Gate
) -> APIRouter:
    """Return the routes of the console."""
    router = APIRouter(include_in_schema=False)
    router.include_router(_status(pages, configuration, runs, gate))
    router.include_router(_execution(pages, runs, audit, gate))
    router.include_router(_tasks(pages, configuration, runs, triggers, gate))
    router.include_router(_audit(pages, audit, gate))
    return router


def _status(pages: Pages, configuration: Configuration, runs: Runs, gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.get("/status")
    async def listing(request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        asked = {
            name: request.query_params.get(name, "").strip()[:200]
            for name in ("task_id", "outcome", "since", "until")
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
        tasks = await configuration.page(TASK, person.actor, after=None, limit=_SUGGESTED)
        more = None
        if len(found) == _PER_PAGE:
            more = urlencode(
                {**{key: value for key, value in asked.items() if value}, "after": to_cursor(found[-1])}
            )
        return pages.render(
            "status.html",
            person,
            executions=found,
            tasks=[shown(each) for each in tasks],
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


def _tasks(
    pages: Pages, configuration: Configuration, runs: Runs, triggers: Triggers, gate: Gate
) -> APIRouter:
    router = APIRouter(prefix="/tasks")

    @router.get("")
    async def listing(request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        after = request.query_params.get("after")
        found = await configuration.page(TASK, person.actor, after=after, limit=_PER_PAGE)
        last = await runs.last_runs(person.actor)
        problems = await triggers.problems([task.id for task in found], person.actor)
        return pages.render(
            "tasks.html",
            person,
            tasks=[
                {
                    **shown(task),
                    "last": last.get(task.id, {}),
                    "key": secrets.token_hex(16),
                    "problems": problems.get(task.id, []),
                }
                for task in found
            ],
            more=found[-1].id if len(found) == _PER_PAGE else None,
            after=after or "",
            refused=request.query_params.get("refused", "")[:500],
            done=_DONE.get(request.query_params.get("done", ""), "").format(
                _tasks_in_words(request.query_params.get("count", ""))
            ),
        )

    @router.post("/switch")
    async def switch(sent: Annotated[Sent, Depends(gate.sender)]) -> Response:
        person, form = sent
        keys = [key for key in form.getlist("id") if isinstance(key, str)]
        if not keys:
            return _back(form, refused="No task is selected. Select tasks in the list first.")
        enabled = form.get("action") == "enable"
        results = await configuration.switch_many(TASK, keys, person.actor, enabled=enabled)
        refusals = [str(refusal) for refusal in results.values() if refusal is not None]
        return _back(
            form,
            refused=" ".join(refusals),
            done="enabled" if enabled else "disabled",
            count=len(results) - len(refusals),
        )

    @router.post("/{task_id}/run")
    async def run_now(task_id: str, sent: Annotated[Sent, Depends(gate.sender)]) -> Response:
        person, form = sent
        key = form.get("key")
        try:
            request = await runs.run_now(task_id, key if isinstance(key, str) else None, person.actor)
        except RefusedError as refusal:
            return _back(form, refused=str(refusal))
        return RedirectResponse(f"/status/executions/{request.execution_id}?asked=1", 303)

    return router


def _audit(pages: Pages, audit: Audit, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/audit")

    @router.get("")
    async def find(request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        names = ("execution_id", "task_id", "recipient_id", "type", "since", "until")
        asked = {name: request.query_params.get(name, "").strip()[:400] for name in names}
        until = _day(asked["until"])
        query = AuditQuery(
            execution_id=asked["execution_id"] or None,
            task_id=asked["task_id"] or None,
            recipient_id=asked["recipient_id"] or None,
            type=asked["type"] or None,
            since=_day(asked["since"]),
            until=until + timedelta(days=1) if until else None,
            before=_number(request.query_params.get("before", "")),
            newest_first=True,
            limit=_PER_PAGE,
        )
        records = [_told(audit_record(record)) async for record in audit.find(query, person.actor)]
        more = None
        if len(records) == _PER_PAGE:
            more = urlencode(
                {**{key: value for key, value in asked.items() if value}, "before": records[-1]["seq"]}
            )
        verdict = None
        if "verify" in request.query_params:
            verdict = verdict_body(await audit.verify(person.actor))
        return pages.render(
            "audit.html", person, records=records, asked=asked, types=_TYPES, more=more, verdict=verdict
        )

    return router


_DONE = {"enabled": "{} enabled.", "disabled": "{} disabled."}


def _back(form: FormData, *, refused: str = "", done: str = "", count: int = 0) -> Response:
    """Return to the page of the list from which a form was sent, and say there what came of it."""
    after = form.get("after")
    said = {"after": after[:200] if isinstance(after, str) else "", "refused": refused[:500]}
    if count:
        said |= {"done": done, "count": str(count)}
    query = urlencode({name: value for name, value in said.items() if value})
    return RedirectResponse(f"/tasks?{query}" if query else "/tasks", 303)


def _tasks_in_words(count: str) -> str:
    number = _number(count) or 0
    return "1 task" if number == 1 else f"{number} tasks"


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with what it says in words, and the page of what it is about."""
    data = record["data"] if isinstance(record["data"], dict) else {}
    execution_id, task_id = data.get("execution_id"), data.get("task_id")
    link = ""
    if isinstance(execution_id, str):
        link = f"/status/executions/{quote(execution_id, safe='')}"
    elif isinstance(task_id, str):
        link = f"/status?{urlencode({'task_id': task_id})}"
    elif data.get("entity") == "report" and isinstance(data.get("entity_id"), str):
        link = f"/reports/{quote(data['entity_id'], safe='')}"
    return record | {"what": sentence(record["type"], record["data"]), "link": link}


def _number(text: str) -> int | None:
    """Return a number that fits into 64 bits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


def _day(text: str) -> datetime | None:
    """Return the beginning of a day in UTC; None for what is not a day or too far away to compute with."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    moment = datetime(found.year, found.month, found.day, tzinfo=UTC)
    return moment if EARLIEST <= moment <= LATEST else None
