"""REST for what runs: run now, executions, their files, the Hub."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from config_api.domain.errors import InvalidError, Problem
from config_api.domain.hub import HubFile
from config_api.domain.projection import DELIVERIES, NOTIFICATIONS, UNITS
from config_api.domain.rights import Actor
from config_api.domain.runs import RunDraft
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate, nothing_unknown
from config_api.ports import ExecutionQuery
from config_api.use_cases.hub import Hub
from config_api.use_cases.runs import Runs
from contracts.base import Utc
from contracts.events import Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTS = {"units": UNITS, "deliveries": DELIVERIES, "notifications": NOTIFICATIONS}


def running(runs: Runs, hub: Hub, gate: Gate) -> APIRouter:
    """Return the routes about executions and the Hub."""
    router = APIRouter()
    router.include_router(_files(runs, gate))
    router.include_router(_executions(runs, gate))
    router.include_router(_hub(hub, gate))
    return router


def _executions(runs: Runs, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["executions"])

    @router.post("/tasks/{key}/runs", status_code=202, name="run a task now")
    async def run_now(
        request: Request,
        key: str,
        actor: Annotated[Actor, Depends(gate.actor)],
        body: RunDraft | None = None,
        idempotency_key: Annotated[
            str | None, Header(description="the same key asks for the same run, however often it is sent")
        ] = None,
    ) -> dict[str, Any]:
        """Ask for a run; it begins as soon as a generator is free. 409 when the task is disabled.

        The body is optional and changes this run alone. `test_mode` sends every mail to its address, as test
        mode of the task does. `recipients` names the only recipients who get anything by mail or in the Hub;
        copies (Cc, Bcc) are left out. `hold` lists what gets nothing: `storage`, `hub`. The options are part
        of what an Idempotency-Key stands for: the same key with other options is refused with 422.
        """
        if body is not None:
            await nothing_unknown(request, body)
        options = body.options() if body is not None else None
        asked = await runs.run_now(key, idempotency_key, actor, options)
        return {
            "execution_id": asked.execution_id,
            "task_id": asked.task_id,
            "requested_by": asked.requested_by,
            "requested_at": asked.requested_at,
            "options": asked.options.model_dump(mode="json") if asked.options else None,
            "status_url": f"/api/v1/executions/{asked.execution_id}",
        }

    @router.get("/executions", name="list executions")
    async def listing(
        actor: Annotated[Actor, Depends(gate.actor)],
        *,
        task_id: str | None = None,
        outcome: Outcome | None = None,
        state: Annotated[str | None, Query(pattern="^(triggered|running|ending|completed)$")] = None,
        since: Annotated[Utc | None, Query(description="started at or after")] = None,
        until: Annotated[Utc | None, Query(description="started before")] = None,
        after: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:
        """List executions, newest first."""
        query = ExecutionQuery(
            task_id=task_id,
            outcome=outcome.value if outcome else None,
            state=state,
            since=since,
            until=until,
            before=from_cursor(after) if after else None,
            limit=limit,
        )
        found = await runs.executions(query, actor)
        return {"items": found, "next": to_cursor(found[-1]) if len(found) == limit else None}

    @router.get("/executions/{execution_id}", name="read an execution")
    async def read(execution_id: str, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Return how an execution stands."""
        return await runs.get(execution_id, actor)

    @router.get("/executions/{execution_id}/{part}", name="list parts of an execution")
    async def parts(
        execution_id: str,
        part: Literal["units", "deliveries", "notifications"],
        actor: Annotated[Actor, Depends(gate.actor)],
        skip: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, Any]:
        """List the units, deliveries or notifications of an execution."""
        found = await runs.parts(_PARTS[part], execution_id, actor, skip=skip, limit=limit)
        return {"items": found, "next": skip + limit if len(found) == limit else None}

    return router


def _files(runs: Runs, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["executions"])

    @router.get("/executions/{execution_id}/units/{unit_id}/file", name="download a report file")
    async def artifact(
        execution_id: str, unit_id: str, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> Response:
        """Return the file a unit became."""
        found, content = await runs.artifact(execution_id, unit_id, actor)
        return await attachment(found.file_name, found, content)

    @router.get("/executions/{execution_id}/log", name="download the log of an execution")
    async def log(execution_id: str, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Return the log, once the execution is over."""
        ref, content = await runs.log(execution_id, actor)
        return await attachment(f"{execution_id}.log", ref, content)

    return router


def _hub(hub: Hub, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/hub", tags=["hub"])

    @router.get("/files", name="list one's files in the Hub")
    async def listing(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List the files made for the person who asks: a series per report, newest version first."""
        series = await hub.files(actor)
        return {"items": [{"versions": [hub_file(file) for file in versions]} for versions in series]}

    @router.get("/files/{file_id}/content", name="download a file from the Hub")
    async def download(file_id: str, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Return a file made for the person who asks; 404 for every other, whether it exists or not."""
        artifact, content = await hub.download(file_id, actor)
        return await attachment(artifact.file_name, artifact, content)

    return router


def hub_file(file: HubFile) -> dict[str, Any]:
    """Return a Hub file as answers show it."""
    return {
        "id": file.id,
        "report_name": file.report_name,
        "task_name": file.task_name,
        "iteration_value": file.iteration_value,
        "published_at": file.published_at,
        "file_name": file.file_name,
        "size": file.size,
    }


def to_cursor(execution: dict[str, Any]) -> str:
    """Return where the next page of a list of executions begins."""
    return f"{(execution['started_at'] - _EPOCH) // timedelta(milliseconds=1)}.{execution['id']}"


def from_cursor(text: str) -> tuple[datetime, str]:
    """Return what a cursor stands for. Raises InvalidError."""
    milliseconds, _, key = text.partition(".")
    if not milliseconds.isascii() or not milliseconds.isdigit() or len(milliseconds) > 14 or not key:  # noqa: PLR2004 - year 5138
        raise InvalidError(Problem("after", "is no cursor of this list", "take `next` of the page before"))
    return _EPOCH + timedelta(milliseconds=int(milliseconds)), key
