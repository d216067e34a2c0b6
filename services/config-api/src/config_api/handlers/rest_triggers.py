"""REST for what keeps triggers from starting their tasks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from config_api.domain.rights import Actor
from config_api.handlers import answers as answer
from config_api.handlers.description import answers
from config_api.handlers.gate import Gate
from config_api.handlers.parameters import Key
from config_api.use_cases.triggers import Triggers
from contracts.schedules import TriggerProblem


def triggers_of(triggers: Triggers, gate: Gate) -> APIRouter:
    """Return the routes about the triggers of tasks."""
    router = APIRouter(tags=["tasks"])

    @router.get(
        "/tasks/{key}/problems",
        operation_id="list_task_problems",
        summary="List what keeps a task from starting",
        response_model=None,
        responses=answers(answer.TriggerProblemList),
    )
    async def problems(key: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List what keeps triggers of the task from starting it, oldest first; empty when nothing does."""
        return {"items": [_body(each) for each in await triggers.problems_of(key, actor)]}

    return router


def _body(problem: TriggerProblem) -> dict[str, Any]:
    return {
        "trigger_id": problem.trigger_id or None,
        "code": problem.reason.code,
        "message": problem.reason.message,
        "remedy": problem.reason.remedy,
        "since": problem.since,
        "found_by": problem.source,
    }
