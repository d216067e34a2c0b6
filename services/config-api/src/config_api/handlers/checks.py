"""REST for checks before anything runs: a task as a whole, and whether a storage space works."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from config_api.domain.rights import Actor
from config_api.handlers import answers as answer
from config_api.handlers.description import answers
from config_api.handlers.gate import Gate
from config_api.handlers.parameters import Key
from config_api.handlers.rest_reports import finding_bodies
from config_api.use_cases.task_checking import TaskChecking


def checks(checking: TaskChecking, gate: Gate) -> APIRouter:
    """Return the routes of the checks."""
    router = APIRouter()

    @router.post(
        "/tasks/{key}/check",
        tags=["tasks"],
        operation_id="check_task",
        summary="Check a task",
        response_model=None,
        responses=answers(answer.TaskCheck),
    )
    async def task(key: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """List everything that is wrong with a task, with place and remedy; nothing is generated or sent.

        The check looks at the tags of mail, paths and file names, at every report with its template and
        app, at fields of filters and expressions of conditions, and at recipients and groups. It writes,
        reads and deletes a file in every storage space. A site that does not answer is a warning.
        """
        checked = await checking.task(key, actor)
        return {
            "task_id": checked.task_id,
            "version": checked.version,
            "in_order": checked.in_order,
            "findings": finding_bodies(checked.findings),
        }

    @router.post(
        "/storage-spaces/{key}/test",
        tags=["storage-spaces"],
        operation_id="test_storage_space",
        summary="Test a storage space",
        response_model=None,
        responses=answers(answer.StorageTest),
    )
    async def space(key: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Write, read and delete a small file in a storage space.

        A folder is tried as config-api sees it; mount it there as it is mounted for the distributor.
        """
        checked = await checking.space(key, actor)
        return {
            "storage_id": checked.space.id,
            "in_order": checked.in_order,
            "findings": finding_bodies(checked.findings),
        }

    return router
