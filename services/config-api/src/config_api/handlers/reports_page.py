"""Pages for reports: what there is, whether it is in order, and how it would look. No scripts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from config_api.domain.changes import shown
from config_api.domain.errors import InvalidError, RefusedError
from config_api.domain.kinds import REPORT
from config_api.domain.previews import PreviewWish, selections_of
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate, Person
from config_api.handlers.rest_reports import checked_body
from config_api.handlers.shell import Pages
from config_api.use_cases.checking import Checking
from config_api.use_cases.configuration import Configuration
from config_api.use_cases.previews import Previews

_PER_PAGE = 50
_WAITING = frozenset({"requested"})
Sent = tuple[Person, FormData]


def report_pages(
    pages: Pages, configuration: Configuration, checking: Checking, previews: Previews, gate: Gate
) -> APIRouter:
    """Return the routes of the pages about reports."""
    router = APIRouter(include_in_schema=False)

    @router.get("/reports")
    async def listing(request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        after = request.query_params.get("after")
        found = await configuration.page(REPORT, person.actor, after=after, limit=_PER_PAGE)
        more = found[-1].id if len(found) == _PER_PAGE else None
        return pages.render("reports.html", person, reports=[shown(each) for each in found], more=more)

    router.include_router(_report(pages, checking, previews, gate))
    router.include_router(_preview(pages, previews, gate))
    return router


def _report(pages: Pages, checking: Checking, previews: Previews, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/reports/{report_id}")

    async def page(
        report_id: str, person: Person, *, status: int = 200, sent: FormData | None = None, **more: object
    ) -> Response:
        report, formats = await previews.formats(report_id, person.actor)
        values = {"checked": None, "refused": [], **more}
        asked = {name: _text(sent, name) for name in ("format", "filters", "iteration_value", "recipient_id")}
        return pages.render(
            "report.html", person, status=status, report=report, formats=formats, asked=asked, **values
        )

    @router.get("")
    async def read(report_id: str, person: Annotated[Person, Depends(gate.person)]) -> Response:
        return await page(report_id, person)

    @router.post("/check")
    async def check(report_id: str, sent: Annotated[Sent, Depends(gate.sender)]) -> Response:
        person, _ = sent
        checked = checked_body(await checking.report(report_id, person.actor))
        return await page(report_id, person, checked=checked)

    @router.post("/preview")
    async def preview(report_id: str, sent: Annotated[Sent, Depends(gate.sender)]) -> Response:
        person, form = sent
        try:
            request = await previews.ask(report_id, _wish(form), person.actor)
        except InvalidError as refusal:
            told = [f"{each.field} {each.message} {each.remedy}" for each in refusal.problems]
            return await page(report_id, person, status=422, sent=form, refused=told)
        except ValidationError:
            told = ["The form has a value that is too long, or a format that does not exist."]
            return await page(report_id, person, status=422, sent=form, refused=told)
        except ValueError as error:
            return await page(report_id, person, status=422, sent=form, refused=[str(error)])
        except RefusedError as refusal:
            return await page(
                report_id, person, status=409, sent=form, refused=[str(refusal), refusal.remedy]
            )
        return RedirectResponse(f"/previews/{request.preview_id}", 303)

    return router


def _preview(pages: Pages, previews: Previews, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/previews/{preview_id}")

    @router.get("")
    async def read(preview_id: str, person: Annotated[Person, Depends(gate.person)]) -> Response:
        found = await previews.get(preview_id, person.actor)
        return pages.render("preview.html", person, preview=found, waiting=found["state"] in _WAITING)

    @router.get("/file")
    async def file(preview_id: str, person: Annotated[Person, Depends(gate.person)]) -> Response:
        artifact, content = await previews.file(preview_id, person.actor)
        return await attachment(artifact.file_name, artifact, content)

    return router


def _wish(form: FormData) -> PreviewWish:
    """Return what a form asks for. Raises ValueError, ValidationError."""
    return PreviewWish.model_validate(
        {
            "format": _text(form, "format"),
            "selections": selections_of(_text(form, "filters")),
            "iteration_value": _text(form, "iteration_value") or None,
            "recipient_id": _text(form, "recipient_id") or None,
        }
    )


def _text(form: FormData | None, name: str) -> str:
    value = form.get(name) if form is not None else None
    return value[:4000].strip() if isinstance(value, str) else ""
