"""REST for the objects of the configuration: one set of routes, made for every kind."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from config_api.domain.changes import Stored, shown
from config_api.domain.drafts import Slug, TaskCopy, TemplateDraft
from config_api.domain.errors import Problem, RefusedError, TooLargeError
from config_api.domain.kinds import CONNECTION, GROUP, RECIPIENT, REPORT, STORAGE, TASK, TEMPLATE, Kind
from config_api.domain.rights import Actor
from config_api.handlers.answers import SwitchResults, answer_of, page_of
from config_api.handlers.description import answers, downloads, refusals
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate
from config_api.handlers.parameters import (
    After,
    IfMatch,
    IfNoneMatch,
    Key,
    Limit,
    is_current,
    revision_of,
)
from config_api.handlers.problems import of_refusal, problem_body
from config_api.handlers.soundness import nothing_unknown
from config_api.use_cases.configuration import Configuration
from config_api.use_cases.task_checking import Screening
from config_api.use_cases.templates import Templates
from contracts.configuration import Name


class Ids(BaseModel):
    """Several objects of one kind."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[str], Field(min_length=1, max_length=1000)]


def resources(configuration: Configuration, templates: Templates, screen: Screening, gate: Gate) -> APIRouter:
    """Return the routes of every kind of object."""
    router = APIRouter()
    for kind in (CONNECTION, STORAGE, REPORT, RECIPIENT, GROUP, TASK):
        router.include_router(_reading(kind, configuration, gate))
        router.include_router(_writing(kind, configuration, screen, gate))
    router.include_router(_reading(TEMPLATE, configuration, gate))
    router.include_router(_changing(TEMPLATE, configuration, screen, gate))
    router.include_router(_uploads(templates, configuration, gate))
    router.include_router(_copies(configuration, gate))
    for kind in (TASK, RECIPIENT):
        router.include_router(_switches(kind, configuration, gate))
    return router


def _reading(kind: Kind, configuration: Configuration, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])
    words, item = _Words(kind), answer_of(kind)

    @router.get(
        f"/{kind.path}",
        operation_id=f"list_{words.ids}",
        summary=f"List {words.plural}",
        response_model=None,
        responses=answers(page_of(kind, item)),
    )
    async def page(
        actor: Annotated[Actor, Depends(gate.actor)], limit: Limit = 100, after: After = None
    ) -> dict[str, Any]:
        """List objects in the order of their ids."""
        found = await configuration.page(kind, actor, after=after, limit=limit)
        return {
            "items": [shown(stored) for stored in found],
            "next": found[-1].id if len(found) == limit else None,
        }

    @router.get(
        f"/{kind.path}/{{key}}",
        operation_id=f"get_{words.id}",
        summary=f"Get a {words.one}",
        responses={**answers(item, etag=True), 304: {"description": "The object still has this ETag."}},
    )
    async def read(
        key: Key, actor: Annotated[Actor, Depends(gate.actor)], if_none_match: IfNoneMatch = None
    ) -> Response:
        """Return one object. A change has to send its ETag as If-Match."""
        stored = await configuration.get(kind, key, actor)
        if is_current(if_none_match, stored.revision):
            return Response(status_code=304, headers=_etag(stored))
        return _object(stored)

    @router.delete(
        f"/{kind.path}/{{key}}",
        status_code=204,
        operation_id=f"delete_{words.id}",
        summary=f"Delete a {words.one}",
        response_description="It is deleted.",
        responses=refusals(409, 412),
    )
    async def remove(
        key: Key, actor: Annotated[Actor, Depends(gate.actor)], if_match: IfMatch = None
    ) -> Response:
        """Delete an object that nothing refers to; otherwise 409 names what does.

        Without If-Match it is deleted whatever its revision is.
        """
        expected = None if if_match is None else revision_of(if_match)
        await configuration.remove(kind, key, actor, expected=expected)
        return Response(status_code=204)

    return router


def _writing(kind: Kind, configuration: Configuration, screen: Screening, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])
    words = _Words(kind)

    async def create(request: Request, body: Any, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Create an object. `id` is chosen by the caller, or left out to get one."""
        await nothing_unknown(request, body)
        warnings = await screen(kind, None, body, actor)
        stored = await configuration.create(kind, body, actor)
        return _object(stored, status=201, warnings=warnings)

    create.__annotations__["body"] = kind.draft
    router.add_api_route(
        f"/{kind.path}",
        create,
        methods=["POST"],
        status_code=201,
        operation_id=f"create_{words.id}",
        summary=f"Create a {words.one}",
        responses={**answers(answer_of(kind), 201, about="It is created.", etag=True), **refusals(409)},
    )
    router.include_router(_changing(kind, configuration, screen, gate))
    return router


def _changing(kind: Kind, configuration: Configuration, screen: Screening, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])
    words = _Words(kind)

    async def change(
        request: Request,
        key: Key,
        body: Any,
        actor: Annotated[Actor, Depends(gate.actor)],
        if_match: IfMatch = None,
    ) -> Response:
        """Replace an object as a whole: what is left out gets its default.

        412 means that somebody else has changed it since, 428 that If-Match is missing.
        """
        await nothing_unknown(request, body)
        expected = await expected_revision(configuration, kind, key, actor, if_match)
        warnings = await screen(kind, key, body, actor)
        stored = await configuration.change(kind, key, body, actor, expected=expected)
        return _object(stored, warnings=warnings)

    change.__annotations__["body"] = kind.draft
    router.add_api_route(
        f"/{kind.path}/{{key}}",
        change,
        methods=["PUT"],
        operation_id=f"replace_{words.id}",
        summary=f"Change a {words.one}",
        responses={**answers(answer_of(kind), about="It is changed.", etag=True), **refusals(412, 428)},
    )
    return router


def _copies(configuration: Configuration, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[TASK.path])

    @router.post(
        "/tasks/{key}/copy",
        status_code=201,
        operation_id="copy_task",
        summary="Copy a task",
        responses={**answers(answer_of(TASK), 201, about="It is copied.", etag=True), **refusals(409)},
    )
    async def copy(key: Key, body: TaskCopy, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Create a copy of a task: reports, recipients, triggers and passwords of files included.

        The copy is disabled, so that it does not run beside the original. Enable it when it is ready.
        """
        return _object(await configuration.copy_task(key, body, actor), status=201)

    return router


def _uploads(templates: Templates, configuration: Configuration, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[TEMPLATE.path])
    answer = answer_of(TEMPLATE)

    @router.post(
        "/templates",
        status_code=201,
        operation_id="create_template",
        summary="Create a template",
        responses={**answers(answer, 201, about="It is created.", etag=True), **refusals(409)},
    )
    async def create(
        actor: Annotated[Actor, Depends(gate.actor)],
        file: Annotated[UploadFile, File(description=".xlsx, .xlsm, .html, .docx or .pptx")],
        name: Annotated[str, Form(min_length=1, max_length=200)],
        key: Annotated[Slug | None, Form(alias="id")] = None,
        tags: Annotated[list[Name] | None, Form(max_length=50)] = None,
    ) -> Response:
        """Upload a template. What is wrong in it is answered with the place in the file."""
        data = await _read(file, templates.max_bytes)
        draft = TemplateDraft(id=key, name=name, tags=tuple(tags or ()))
        return _object(await templates.create(draft, file.filename or "", data, actor), status=201)

    @router.put(
        "/templates/{key}/file",
        operation_id="upload_template_file",
        summary="Upload a new version of a template",
        responses={**answers(answer, about="It is the new version.", etag=True), **refusals(412, 428)},
    )
    async def replace(
        key: Key,
        actor: Annotated[Actor, Depends(gate.actor)],
        file: Annotated[UploadFile, File(description=".xlsx, .xlsm, .html, .docx or .pptx")],
        if_match: IfMatch = None,
    ) -> Response:
        """Upload a new version of the file. Executions that are already planned keep the old one."""
        expected = await expected_revision(configuration, TEMPLATE, key, actor, if_match)
        data = await _read(file, templates.max_bytes)
        stored = await templates.replace(key, file.filename or "", data, actor, expected=expected)
        return _object(stored)

    @router.get(
        "/templates/{key}/file",
        operation_id="download_template_file",
        summary="Download the file of a template",
        response_class=StreamingResponse,
        responses=downloads("The file of the template."),
    )
    async def download(key: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Return the file of a template, in its newest version."""
        file_name, ref, content = await templates.download(key, actor)
        return await attachment(file_name, ref, content)

    return router


def _switches(kind: Kind, configuration: Configuration, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])
    words = _Words(kind)

    def add(verb: str, *, enabled: bool) -> None:
        @router.post(
            f"/{kind.path}/{{key}}/{verb}",
            operation_id=f"{verb}_{words.id}",
            summary=f"{verb.capitalize()} a {words.one}",
            responses={**answers(answer_of(kind), about=f"It is {verb}d.", etag=True), **refusals(412)},
        )
        async def one(key: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
            """Switch one object, whatever its revision is; doing it twice changes nothing."""
            return _object(await configuration.switch(kind, key, actor, enabled=enabled))

        @router.post(
            f"/{kind.path}:{verb}",
            operation_id=f"{verb}_{words.ids}",
            summary=f"{verb.capitalize()} several {words.plural}",
            response_model=None,
            responses=answers(SwitchResults),
        )
        async def several(
            request: Request, body: Ids, actor: Annotated[Actor, Depends(gate.actor)]
        ) -> dict[str, Any]:
            """Switch several objects. Each has its own result: one that fails does not stop the others."""
            await nothing_unknown(request, body)
            results = await configuration.switch_many(kind, body.ids, actor, enabled=enabled)
            return {"results": [_result(key, refusal) for key, refusal in results.items()]}

    add("enable", enabled=True)
    add("disable", enabled=False)
    return router


class _Words:
    """What a kind of object is called in titles and in operation ids."""

    def __init__(self, kind: Kind) -> None:
        self.one = kind.name.replace("-", " ")
        self.plural = kind.path.replace("-", " ")
        self.id = kind.name.replace("-", "_")
        self.ids = kind.path.replace("-", "_")


async def expected_revision(
    configuration: Configuration, kind: Kind, key: str, actor: Actor, if_match: str | None
) -> int:
    """Return the revision a change has to find; `*` takes the present one."""
    expected = revision_of(if_match)
    return (await configuration.get(kind, key, actor)).revision if expected is None else expected


def _object(stored: Stored, status: int = 200, *, warnings: Sequence[Problem] = ()) -> Response:
    headers = _etag(stored)
    if status == 201:  # noqa: PLR2004 - HTTP
        headers["Location"] = f"/api/v1/{stored.kind.path}/{stored.id}"
    warnings = [*warnings, *map(_cleared, stored.cleared_secrets)]
    more: dict[str, Any] = {"warnings": [problem_body(each) for each in warnings]} if warnings else {}
    if stored.cleared_secrets:
        more["cleared_secrets"] = list(stored.cleared_secrets)
    return JSONResponse(shown(stored) | more, status, headers=headers)


def _cleared(path: str) -> Problem:
    return Problem(
        f"secrets.{path}",
        "was cleared, because settings that say where it is sent were changed",
        "send the secret again, in 'secrets', if it belongs to the new settings",
    )


def _etag(stored: Stored) -> dict[str, str]:
    return {"ETag": f'"{stored.revision}"'}


def _result(key: str, refusal: RefusedError | None) -> dict[str, Any]:
    return (
        {"id": key, "done": True}
        if refusal is None
        else {"id": key, "done": False, "problem": of_refusal(refusal)}
    )


async def _read(file: UploadFile, most: int) -> bytes:
    data = await file.read(most + 1)
    if len(data) > most:
        raise TooLargeError(f"The file is larger than {most} bytes.", "Upload a smaller file.")
    return data
