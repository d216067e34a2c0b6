"""REST for reports beyond their configuration: checked, and previewed, before anybody waits for them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from config_api.domain.findings import Checked
from config_api.domain.previews import PreviewWish
from config_api.domain.rights import Actor
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate, nothing_unknown
from config_api.use_cases.checking import Checking
from config_api.use_cases.previews import Previews


def reporting(checking: Checking, previews: Previews, gate: Gate) -> APIRouter:
    """Return the routes about reports."""
    router = APIRouter(tags=["reports"])
    router.include_router(_previews(previews, gate))

    @router.post("/reports/{key}/check", name="check a report")
    async def check(key: str, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Compare a report with its template and its Qlik app; lists every problem, with place and remedy.

        A site that does not answer is a warning.
        """
        return checked_body(await checking.report(key, actor))

    return router


def _previews(previews: Previews, gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.post("/reports/{key}/preview", status_code=202, name="preview a report")
    async def ask(
        request: Request, key: str, body: PreviewWish, actor: Annotated[Actor, Depends(gate.actor)]
    ) -> dict[str, Any]:
        """Ask for a report as it would be, with filters of your own; it is delivered to nobody.

        Only who asked, and administrators, may fetch it.
        """
        await nothing_unknown(request, body)
        asked = await previews.ask(key, body, actor)
        return {
            "preview_id": asked.preview_id,
            "report_id": asked.report_id,
            "deadline_at": asked.deadline_at,
            "status_url": f"/api/v1/previews/{asked.preview_id}",
            "file_url": f"/api/v1/previews/{asked.preview_id}/file",
        }

    @router.get("/previews/{preview_id}", name="read a preview")
    async def read(preview_id: str, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Return how a preview stands: requested, made, failed or overdue."""
        return await previews.get(preview_id, actor)

    @router.get("/previews/{preview_id}/file", name="download a preview")
    async def file(preview_id: str, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Return the file of a preview; 409 while there is none."""
        artifact, content = await previews.file(preview_id, actor)
        return await attachment(artifact.file_name, artifact, content)

    return router


def checked_body(checked: Checked) -> dict[str, Any]:
    """Return a check as answers show it."""
    return {
        "report_id": checked.report.id,
        "version": checked.report.version,
        "in_order": checked.in_order,
        "findings": [
            {
                "severity": each.severity.value,
                "field": each.problem.field,
                "message": each.problem.message,
                "remedy": each.problem.remedy,
            }
            for each in checked.findings
        ],
    }
