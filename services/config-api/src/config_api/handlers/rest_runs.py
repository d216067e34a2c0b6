"""REST for what runs: run now, executions, their files, the Hub."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from config_api.domain.errors import InvalidError, Problem
from config_api.domain.hub import HubFile
from config_api.domain.projection import DELIVERIES, NOTIFICATIONS, UNITS
from config_api.domain.rights import Actor
from config_api.domain.runs import RunDraft
from config_api.handlers import answers as answer
from config_api.handlers.description import answers, downloads, refusals
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate
from config_api.handlers.parameters import (
    MOST_SKIPPED,
    After,
    ExecutionKey,
    IdempotencyKey,
    Key,
    Limit,
    OneId,
    Since,
    Skip,
    Until,
)
from config_api.handlers.soundness import nothing_unknown
from config_api.ports import ExecutionQuery
from config_api.use_cases.hub import Hub
from config_api.use_cases.runs import Runs
from contracts.events import Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
State = Literal["triggered", "running", "ending", "completed"]


def running(runs: Runs, hub: Hub, gate: Gate) -> APIRouter:
    """Return the routes about executions and the Hub."""
    router = APIRouter()
    router.include_router(_files(runs, gate))
    router.include_router(_executions(runs, gate))
    router.include_router(_hub(hub, gate))
    return router


def _executions(runs: Runs, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["executions"])

    @router.post(
        "/tasks/{key}/runs",
        status_code=202,
        operation_id="run_task",
        summary="Run a task now",
        response_model=None,
        responses={**answers(answer.RunAccepted, 202, about="The run is asked for."), **refusals(409)},
    )
    async def run_now(
        request: Request,
        key: Key,
        actor: Annotated[Actor, Depends(gate.actor)],
        body: RunDraft | None = None,
        idempotency_key: IdempotencyKey = None,
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

    @router.get(
        "/executions",
        operation_id="list_executions",
        summary="List executions",
        response_model=None,
        responses=answers(answer.ExecutionList),
    )
    async def listing(
        actor: Annotated[Actor, Depends(gate.actor)],
        *,
        task_id: OneId = None,
        outcome: Outcome | None = None,
        state: State | None = None,
        since: Since = None,
        until: Until = None,
        after: After = None,
        limit: Annotated[int, Query(ge=1, le=500, description="most items in one answer")] = 50,
    ) -> dict[str, Any]:
        """List executions, newest first. `since` and `until` bound when they started."""
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

    @router.get(
        "/executions/{execution_id}",
        operation_id="get_execution",
        summary="Get an execution",
        response_model=None,
        responses=answers(answer.Execution),
    )
    async def read(
        execution_id: ExecutionKey, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> dict[str, Any]:
        """Return how an execution stands."""
        return await runs.get(execution_id, actor)

    def add(part: str, view: str, model: type[BaseModel]) -> None:
        @router.get(
            f"/executions/{{execution_id}}/{part}",
            operation_id=f"list_execution_{part}",
            summary=f"List the {part} of an execution",
            description=f"List the {part} of an execution, by id.",
            response_model=None,
            responses=answers(model),
        )
        async def parts(
            execution_id: ExecutionKey,
            actor: Annotated[Actor, Depends(gate.actor)],
            skip: Skip = 0,
            limit: Limit = 200,
        ) -> dict[str, Any]:
            found = await runs.parts(view, execution_id, actor, skip=skip, limit=limit)
            after = skip + limit
            more = len(found) == limit and after <= MOST_SKIPPED
            return {"items": found, "next": after if more else None}

    add("units", UNITS, answer.UnitList)
    add("deliveries", DELIVERIES, answer.DeliveryList)
    add("notifications", NOTIFICATIONS, answer.NotificationList)
    return router


def _files(runs: Runs, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["executions"])

    @router.get(
        "/executions/{execution_id}/units/{unit_id}/file",
        operation_id="download_unit_file",
        summary="Download a report file",
        response_class=StreamingResponse,
        responses=downloads("The file that the unit became."),
    )
    async def artifact(
        execution_id: ExecutionKey, unit_id: Key, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> Response:
        """Return the file that a unit became; 404 for a unit without one."""
        found, content = await runs.artifact(execution_id, unit_id, actor)
        return await attachment(found.file_name, found, content)

    @router.get(
        "/executions/{execution_id}/log",
        operation_id="download_execution_log",
        summary="Download the log of an execution",
        response_class=StreamingResponse,
        responses=downloads("The log, as text in UTF-8."),
    )
    async def log(execution_id: ExecutionKey, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Return the log. It is written when the execution is over; until then 404."""
        ref, content = await runs.log(execution_id, actor)
        return await attachment(f"{execution_id}.log", ref, content)

    return router


def _hub(hub: Hub, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/hub", tags=["hub"])

    @router.get(
        "/files",
        operation_id="list_hub_files",
        summary="List your files in the Hub",
        response_model=None,
        responses=answers(answer.HubList),
    )
    async def listing(actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List the files made for the person who asks: a series per report, newest version first."""
        series = await hub.files(actor)
        return {"items": [{"versions": [hub_file(file) for file in versions]} for versions in series]}

    @router.get(
        "/files/{file_id}/content",
        operation_id="download_hub_file",
        summary="Download a file from the Hub",
        response_class=StreamingResponse,
        responses=downloads("The file."),
    )
    async def download(file_id: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
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
        remedy = "Send `next` of the page before, or leave it out to begin with the first page."
        raise InvalidError(Problem("after", "This is not a cursor of this list.", remedy))
    return _EPOCH + timedelta(milliseconds=int(milliseconds)), key
