"""The repository over HTTP (``/qrs``): what a client of QSEoW uses to watch reloads."""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request, Response

from qlik_simulator.engine.address import bearer_of, user_of
from qlik_simulator.reloads import Reloads
from qlik_simulator.repository import NO_ID, Repository, Subscription
from qlik_simulator.rest.filters import FilterError, predicate
from qlik_simulator.site import Site

Json = dict[str, Any]
_KEY: Final = re.compile(r"[0-9A-Za-z]{16}")
_FULL_LIMIT: Final = 100  # what /full is capped at in newer builds
_TYPES: Final = {
    "app": "App",
    "executionresult": "ExecutionResult",
    "reloadtask": "ReloadTask",
    "executionsession": "ExecutionSession",
    "task": "ReloadTask",
}


def qrs_routes(site: Site, repository: Repository, reloads: Reloads) -> APIRouter:
    """The routes of ``/qrs``, each behind the xrfkey check and the user check."""

    async def check(request: Request, response: Response, xrfkey: Annotated[str, Query()] = "") -> None:
        response.headers["X-Qlik-Simulator"] = "qrs"
        if not _KEY.fullmatch(xrfkey) or request.headers.get("x-qlik-xrfkey", "") != xrfkey:
            raise HTTPException(400, "XSRF prevention check failed. Possible XSRF discovered.")
        fault = site.faults.take("qrs", request.url.path)
        if fault is not None:
            headers = {"Location": "/login"} if fault.code == 302 else None  # noqa: PLR2004 - Found
            raise HTTPException(fault.code, fault.topic or "refused on command", headers)
        token = bearer_of(request.headers.get("authorization", ""))
        known = site.tokens.get(token) if token else user_of(request.headers.get("x-qlik-user", ""))
        if known is None:
            raise HTTPException(403, "Forbidden")

    router = APIRouter(prefix="/qrs", dependencies=[Depends(check)])

    def entities(kind: str) -> list[Json]:
        match _TYPES.get(kind.lower()):
            case "App":
                return [repository.app_json(app) for app in site.apps.values()]
            case "ExecutionResult":
                return [repository.execution_json(found) for found in repository.executions.values()]
            case "ReloadTask":
                return [repository.task_json(task) for task in repository.tasks.values()]
            case "ExecutionSession":
                found = (repository.session_json(session_id) for session_id in repository.sessions)
                return [entity for entity in found if entity is not None]
            case _:
                raise HTTPException(404, "Not Found")

    @router.get("/about")
    async def about() -> Json:
        return {
            "buildVersion": "31.60.0.0",
            "buildDate": "9/20/2013 10:09:00 AM",
            "databaseProvider": "simulator",
            "nodeType": 1,
            "sharedPersistence": True,
            "requiresBootstrap": False,
            "singleNodeOnly": False,
            "schemaPath": "About",
        }

    _add_notifications(router, site, repository)
    _add_tasks(router, repository, reloads, site)

    @router.get("/{kind}/full")
    async def full(kind: str, text: Annotated[str, Query(alias="filter")] = "") -> list[Json]:
        return _filtered(entities(kind), text)[:_FULL_LIMIT]

    @router.get("/{kind}/count")
    async def count(kind: str, text: Annotated[str, Query(alias="filter")] = "") -> Json:
        return {"value": len(_filtered(entities(kind), text))}

    @router.post("/{kind}/table")
    async def table(
        kind: str,
        body: Annotated[Json, Body()],
        text: Annotated[str, Query(alias="filter")] = "",
        skip: int = 0,
        take: int = 200,
        sort: Annotated[str, Query(alias="sortColumn")] = "",
        ascending: Annotated[bool, Query(alias="orderAscending")] = True,
    ) -> Json:
        found = _filtered(entities(kind), text)
        if sort:
            found.sort(key=lambda entity: str(_dig(entity, sort)), reverse=not ascending)
        columns = [column for column in body.get("columns", []) if isinstance(column, dict)]
        names = [str(column.get("name") or column.get("definition")) for column in columns]
        paths = [str(column.get("definition") or column.get("name")) for column in columns]
        rows = [[_dig(entity, path) for path in paths] for entity in found[skip : skip + take]]
        return {"columnNames": names, "rows": rows}

    @router.get("/{kind}/{entity_id}")
    async def one(kind: str, entity_id: str) -> Json:
        found = next((entity for entity in entities(kind) if entity["id"] == entity_id.lower()), None)
        if found is None:
            raise HTTPException(404, "Not Found")
        return found

    @router.get("/{kind}")
    async def short(kind: str, text: Annotated[str, Query(alias="filter")] = "") -> list[Json]:
        return _filtered(entities(kind), text)

    return router


def _add_notifications(router: APIRouter, site: Site, repository: Repository) -> None:
    @router.post("/notification", status_code=201)
    async def subscribe(
        url: Annotated[str, Body()],
        name: str,
        entity_id: Annotated[str, Query(alias="id")] = "",
        text: Annotated[str, Query(alias="filter")] = "",
        change_type: Annotated[int, Query(alias="changetype", ge=0, le=3)] = 0,
        property_name: Annotated[str, Query(alias="propertyName")] = "",
    ) -> Json:
        if text:
            _readable(text)
        handle = site.new_id()
        repository.subscriptions[handle] = Subscription(
            handle, name, url, change_type, entity_id, text, property_name
        )
        return {"value": handle}

    @router.delete("/notification", status_code=204)
    async def unsubscribe(handle: str) -> None:
        if repository.subscriptions.pop(handle, None) is None:
            raise HTTPException(404, "Not Found")


def _add_tasks(router: APIRouter, repository: Repository, reloads: Reloads, site: Site) -> None:
    @router.post("/task/{task_id}/start/synchronous", status_code=201)
    async def start(task_id: str) -> Json:
        task = repository.tasks.get(task_id)
        if task is None:
            raise HTTPException(404, "Not Found")
        return {"value": reloads.start(task) or NO_ID}

    @router.post("/app/{app_id}/reload", status_code=204)
    async def reload_without_task(app_id: str) -> None:
        app = site.apps.get(app_id)
        if app is None:
            raise HTTPException(404, "Not Found")
        reloads.renew(app)


def _readable(text: str) -> Callable[[Json], bool]:
    try:
        return predicate(text)
    except FilterError as error:
        raise HTTPException(400, f"Bad filter: {error}") from error


def _filtered(found: Iterable[Json], text: str) -> list[Json]:
    passes = _readable(text)
    return [entity for entity in found if passes(entity)]


def _dig(entity: Json, path: str) -> Any:
    found: Any = entity
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
