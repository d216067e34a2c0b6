"""REST for reports beyond their configuration: checked before anybody waits for them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from config_api.domain.findings import Checked
from config_api.domain.rights import Actor
from config_api.handlers.gate import Gate
from config_api.use_cases.checking import Checking


def reporting(checking: Checking, gate: Gate) -> APIRouter:
    """Return the routes about reports."""
    router = APIRouter(tags=["reports"])

    @router.post("/reports/{key}/check", name="check a report")
    async def check(key: str, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Compare a report with its template and its Qlik app; lists every problem, with place and remedy.

        A site that does not answer is a warning.
        """
        return checked_body(await checking.report(key, actor))

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
