"""The repository over HTTP (``/qrs``): what a client of QSEoW uses to watch reloads."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from qlik_simulator.engine.address import bearer_of, user_of
from qlik_simulator.engine.gate import COOKIE, proxy_session
from qlik_simulator.reloads import Reloads
from qlik_simulator.repository import NO_ID, Repository, Subscription
from qlik_simulator.rest.filters import FilterError, predicate
from qlik_simulator.site import Site

Json = dict[str, Any]
Filter = Annotated[str, Query(alias="filter")]
_KEY: Final = re.compile(r"[0-9A-Za-z]{16}")
_FULL_LIMIT: Final = 100  # what /full is capped at in newer builds
_FOUND: Final = 302
LOGIN: Final = "/internal_forms_authentication/"  # where a browser without a session is sent


def xrfkey_checked(request: Request, xrfkey: str) -> None:
    """Refuse a call whose key in the query and key in the header are not the same 16 characters."""
    if not _KEY.fullmatch(xrfkey) or request.headers.get("x-qlik-xrfkey", "") != xrfkey:
        raise HTTPException(400, "XSRF prevention check failed. Possible XSRF discovered.")


class Table(BaseModel):
    """The columns that a table is asked for."""

    columns: list[Json] = Field(default_factory=list)


class TableQuery(BaseModel):
    """Which part of a table."""

    model_config = ConfigDict(populate_by_name=True)

    filter: str = ""
    skip: int = Field(default=0, ge=0)
    take: int = Field(default=200, ge=0)
    sort: str = Field(default="", alias="sortColumn")
    ascending: bool = Field(default=True, alias="orderAscending")
    xrfkey: str = ""


class SubscriptionQuery(BaseModel):
    """What is subscribed to."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    id: str = ""
    filter: str = ""
    change_type: int = Field(default=0, ge=0, le=3, alias="changetype")
    property_name: str = Field(default="", alias="propertyName")
    condition: str = ""
    xrfkey: str = ""


@dataclass(frozen=True)
class Entities:
    """Reads entities by the name of their type in a URL."""

    site: Site
    repository: Repository

    def all(self, kind: str, text: str = "") -> list[Json]:
        """The entities of a type that pass a filter; 404 for an unknown type, 400 for a bad filter."""
        passes = readable(text)
        return [entity for entity in self._of(kind) if passes(entity)]

    def one(self, kind: str, entity_id: str) -> Json:
        """The entity of that id; 404 when there is none."""
        found = next((entity for entity in self._of(kind) if entity["id"] == entity_id.lower()), None)
        if found is None:
            raise HTTPException(404, "Not Found")
        return found

    def table(self, kind: str, asked: Table, query: TableQuery) -> Json:
        """Columns of a slice of the entities."""
        found = self.all(kind, query.filter)
        if query.sort:
            found.sort(key=lambda entity: str(dig(entity, query.sort)), reverse=not query.ascending)
        names = [str(column.get("name") or column.get("definition")) for column in asked.columns]
        paths = [str(column.get("definition") or column.get("name")) for column in asked.columns]
        chosen = found[query.skip : query.skip + query.take]
        return {"columnNames": names, "rows": [[dig(entity, path) for path in paths] for entity in chosen]}

    def _of(self, kind: str) -> Iterable[Json]:
        repository = self.repository
        match kind.lower():
            case "app":
                return [repository.app_json(app) for app in self.site.apps.values()]
            case "executionresult":
                return [repository.execution_json(found) for found in repository.executions.values()]
            case "reloadtask" | "task":
                return [repository.task_json(task) for task in repository.tasks.values()]
            case "executionsession":
                found = (repository.session_json(session_id) for session_id in repository.sessions)
                return [entity for entity in found if entity is not None]
            case _:
                raise HTTPException(404, "Not Found")


def qrs_routes(site: Site, repository: Repository, reloads: Reloads) -> APIRouter:
    """The routes of ``/qrs``, and of ``/<prefix>/qrs`` behind a virtual proxy."""

    async def check(request: Request, xrfkey: Annotated[str, Query()] = "", prefix: str = "") -> None:
        xrfkey_checked(request, xrfkey)
        fault = site.faults.take("qrs", request.url.path)
        if fault is not None:
            headers = {"Location": LOGIN} if fault.code == _FOUND else None
            raise HTTPException(fault.code, fault.topic or "refused on command", headers)
        if COOKIE in request.headers.get("cookie", "") or prefix:
            if proxy_session(site, prefix, {"cookie": request.headers.get("cookie", "")}) is None:
                raise HTTPException(_FOUND, "Found", {"Location": LOGIN})
            return
        token = bearer_of(request.headers.get("authorization", ""))
        known = site.credentials.bearer(token) if token else user_of(request.headers.get("x-qlik-user", ""))
        if known is None:
            raise HTTPException(403, "Forbidden")

    router = APIRouter(dependencies=[Depends(check)])
    entities = Entities(site, repository)
    for base in ("/qrs", "/{prefix}/qrs"):
        part = APIRouter(prefix=base)
        _add_notifications(part, site, repository)
        _add_tasks(part, repository, reloads, site)
        _add_entities(part, entities)
        router.include_router(part)
    return router


def _add_entities(router: APIRouter, entities: Entities) -> None:
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

    @router.get("/{kind}/full")
    async def full(kind: str, text: Filter = "") -> list[Json]:
        return entities.all(kind, text)[:_FULL_LIMIT]

    @router.get("/{kind}/count")
    async def count(kind: str, text: Filter = "") -> Json:
        return {"value": len(entities.all(kind, text))}

    @router.post("/{kind}/table", status_code=201)
    async def table(
        kind: str, asked: Annotated[Table, Body()], query: Annotated[TableQuery, Query()]
    ) -> Json:
        return entities.table(kind, asked, query)

    @router.get("/{kind}/{entity_id}")
    async def one(kind: str, entity_id: str) -> Json:
        return entities.one(kind, entity_id)

    @router.get("/{kind}")
    async def short(kind: str, text: Filter = "") -> list[Json]:
        return entities.all(kind, text)


def _add_notifications(router: APIRouter, site: Site, repository: Repository) -> None:
    @router.post("/notification", status_code=201)
    async def subscribe(url: Annotated[str, Body()], query: Annotated[SubscriptionQuery, Query()]) -> Json:
        readable(query.filter)
        handle = site.new_id()
        repository.subscriptions[handle] = Subscription(
            handle, query.name, url, query.change_type, query.id, query.filter, query.property_name
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
        return {"value": reloads.start_task(task) or NO_ID}

    @router.post("/app/{app_id}/reload", status_code=204)
    async def reload_without_task(app_id: str) -> None:
        app = site.apps.get(app_id)
        if app is None:
            raise HTTPException(404, "Not Found")
        reloads.renew(app)


def readable(text: str) -> Callable[[Json], bool]:
    """The predicate of a filter; 400 when it cannot be read."""
    try:
        return predicate(text)
    except FilterError as error:
        raise HTTPException(400, f"Bad filter: {error}") from error


def dig(entity: Any, path: str) -> Any:
    """A property by its dotted path; None when it is not there."""
    for part in path.split("."):
        entity = entity.get(part) if isinstance(entity, dict) else None
    return entity
