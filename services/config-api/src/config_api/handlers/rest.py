"""REST for the objects of the configuration: one set of routes, made for every kind."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Header, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from config_api.domain.changes import Stored, shown
from config_api.domain.drafts import READ_ONLY, Slug, TemplateDraft
from config_api.domain.errors import InvalidError, Problem, RefusedError, TooLargeError
from config_api.domain.kinds import CONNECTION, GROUP, RECIPIENT, REPORT, STORAGE, TASK, TEMPLATE, Kind
from config_api.domain.rights import Actor
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate, nothing_unknown
from config_api.handlers.problems import PreconditionMissingError, of_refusal, problem_body
from config_api.use_cases.configuration import Configuration
from config_api.use_cases.sites import KnownApps
from config_api.use_cases.templates import Templates
from contracts.base import Utc

IfMatch = Annotated[str | None, Header(description="the ETag that was read; * takes what is there")]
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(description="`next` of the page before")]


_WITHOUT_EFFECT = READ_ONLY | {"kind"}


class Ids(BaseModel):
    """Several objects of one kind."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[str], Field(min_length=1, max_length=1000)]


def resources(configuration: Configuration, templates: Templates, apps: KnownApps, gate: Gate) -> APIRouter:
    """Return the routes of every kind of object."""
    router = APIRouter()
    for kind in (CONNECTION, STORAGE, REPORT, RECIPIENT, GROUP, TASK):
        router.include_router(_reading(kind, configuration, gate))
        router.include_router(_writing(kind, configuration, apps, gate))
    router.include_router(_reading(TEMPLATE, configuration, gate))
    router.include_router(_changing(TEMPLATE, configuration, apps, gate))
    router.include_router(_uploads(templates, gate))
    for kind in (TASK, RECIPIENT):
        router.include_router(_switches(kind, configuration, gate))
    return router


def _reading(kind: Kind, configuration: Configuration, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])

    @router.get(f"/{kind.path}", name=f"list {kind.path}")
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
        f"/{kind.path}/{{key}}", name=f"read a {kind.name}", responses={200: {"model": _answer(kind)}}
    )
    async def read(key: str, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Return one object; its ETag is what a change has to name."""
        return _object(await configuration.get(kind, key, actor))

    @router.delete(f"/{kind.path}/{{key}}", status_code=204, name=f"delete a {kind.name}")
    async def remove(
        key: str, actor: Annotated[Actor, Depends(gate.actor)], if_match: IfMatch = None
    ) -> Response:
        """Delete an object that nothing refers to; 409 names what does."""
        expected = None if if_match in {None, "*"} else revision_of(if_match)
        await configuration.remove(kind, key, actor, expected=expected)
        return Response(status_code=204)

    return router


def _writing(kind: Kind, configuration: Configuration, apps: KnownApps, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])

    async def create(request: Request, body: Any, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Create an object; `id` may be chosen by the caller."""
        await nothing_unknown(request, body, besides=_WITHOUT_EFFECT)
        warnings = await apps.screen(kind, None, body, actor)
        stored = await configuration.create(kind, body, actor)
        return _object(stored, status=201, warnings=warnings)

    create.__annotations__["body"] = kind.draft
    router.add_api_route(
        f"/{kind.path}",
        create,
        methods=["POST"],
        status_code=201,
        name=f"create a {kind.name}",
        responses={201: {"model": _answer(kind)}},
    )
    router.include_router(_changing(kind, configuration, apps, gate))
    return router


def _changing(kind: Kind, configuration: Configuration, apps: KnownApps, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])

    async def change(
        request: Request,
        key: str,
        body: Any,
        actor: Annotated[Actor, Depends(gate.actor)],
        if_match: IfMatch = None,
    ) -> Response:
        """Replace an object as a whole; 412 when somebody changed it meanwhile, 428 without If-Match."""
        await nothing_unknown(request, body, besides=_WITHOUT_EFFECT)
        expected = await expected_revision(configuration, kind, key, actor, if_match)
        warnings = await apps.screen(kind, key, body, actor)
        stored = await configuration.change(kind, key, body, actor, expected=expected)
        return _object(stored, warnings=warnings)

    change.__annotations__["body"] = kind.draft
    router.add_api_route(
        f"/{kind.path}/{{key}}",
        change,
        methods=["PUT"],
        name=f"change a {kind.name}",
        responses={200: {"model": _answer(kind)}},
    )
    return router


def _uploads(templates: Templates, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[TEMPLATE.path])

    @router.post("/templates", status_code=201, name="create a template")
    async def create(
        actor: Annotated[Actor, Depends(gate.actor)],
        file: Annotated[UploadFile, File(description=".xlsx, .xlsm, .html, .docx or .pptx")],
        name: Annotated[str, Form(min_length=1, max_length=200)],
        key: Annotated[Slug | None, Form(alias="id")] = None,
        tags: Annotated[list[str] | None, Form()] = None,
    ) -> Response:
        """Upload a template; what is wrong in it is answered with the place in the file."""
        data = await _read(file, templates.max_bytes)
        try:
            draft = TemplateDraft(id=key, name=name, tags=tuple(tags or ()))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_input=False, include_url=False)) from error
        return _object(await templates.create(draft, file.filename or "", data, actor), status=201)

    @router.put("/templates/{key}/file", name="upload a new version of a template")
    async def replace(
        key: str,
        actor: Annotated[Actor, Depends(gate.actor)],
        file: Annotated[UploadFile, File()],
        if_match: IfMatch = None,
    ) -> Response:
        """Upload a new version of the file; executions that are planned keep the old one."""
        expected = None if if_match == "*" else revision_of(if_match)
        data = await _read(file, templates.max_bytes)
        stored = await templates.replace(key, file.filename or "", data, actor, expected=expected)
        return _object(stored)

    @router.get("/templates/{key}/file", name="download a template")
    async def download(key: str, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
        """Return the file of a template."""
        file_name, ref, content = await templates.download(key, actor)
        return await attachment(file_name, ref, content)

    return router


def _switches(kind: Kind, configuration: Configuration, gate: Gate) -> APIRouter:
    router = APIRouter(tags=[kind.path])

    def add(verb: str, *, enabled: bool) -> None:
        @router.post(f"/{kind.path}/{{key}}/{verb}", name=f"{verb} a {kind.name}")
        async def one(key: str, actor: Annotated[Actor, Depends(gate.actor)]) -> Response:
            """Switch one object; doing it twice changes nothing."""
            return _object(await configuration.switch(kind, key, actor, enabled=enabled))

        @router.post(f"/{kind.path}:{verb}", name=f"{verb} {kind.path}")
        async def several(body: Ids, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
            """Switch several objects; each has a result of its own."""
            results = await configuration.switch_many(kind, body.ids, actor, enabled=enabled)
            return {"results": [_result(key, refusal) for key, refusal in results.items()]}

    add("enable", enabled=True)
    add("disable", enabled=False)
    return router


def revision_of(if_match: str | None) -> int:
    """Return the revision an ETag names. Raises PreconditionMissingError, InvalidError."""
    if if_match is None:
        raise PreconditionMissingError
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit():
        raise InvalidError(
            Problem("If-Match", f"{if_match[:40]!r} is no ETag of this API", "read the object first")
        )
    return int(text)


async def expected_revision(
    configuration: Configuration, kind: Kind, key: str, actor: Actor, if_match: str | None
) -> int:
    """Return the revision a change has to find; `*` takes the present one."""
    if if_match is not None and if_match.strip() == "*":
        return (await configuration.get(kind, key, actor)).revision
    return revision_of(if_match)


def _object(stored: Stored, status: int = 200, *, warnings: Sequence[Problem] = ()) -> Response:
    headers = {"ETag": f'"{stored.revision}"'}
    if status == 201:  # noqa: PLR2004 - HTTP
        headers["Location"] = f"/api/v1/{stored.kind.path}/{stored.id}"
    more = {"warnings": [problem_body(each) for each in warnings]} if warnings else {}
    return JSONResponse(shown(stored) | more, status, headers=headers)


def _result(key: str, refusal: RefusedError | None) -> dict[str, Any]:
    return (
        {"id": key, "done": True}
        if refusal is None
        else {"id": key, "done": False, "problem": of_refusal(refusal)}
    )


async def _read(file: UploadFile, most: int) -> bytes:
    data = await file.read(most + 1)
    if len(data) > most:
        raise TooLargeError(f"The file is larger than {most} bytes.", "Make it smaller.")
    return data


def _answer(kind: Kind) -> type[BaseModel]:
    name = "".join(part.capitalize() for part in kind.name.split("-"))
    return create_model(
        name,
        __base__=kind.draft,
        id=(str, ...),
        revision=(int, ...),
        updated_at=(Utc, ...),
        updated_by=(str, ...),
    )
