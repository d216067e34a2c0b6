"""REST for what a Qlik site has and how it is."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from config_api.domain.rights import Actor
from config_api.domain.sites import Site, SiteApp
from config_api.handlers import answers as answer
from config_api.handlers.description import answers, refusals
from config_api.handlers.gate import Gate
from config_api.handlers.parameters import After, Key, Limit
from config_api.use_cases.sites import Sites


def sites_of(sites: Sites, gate: Gate) -> APIRouter:
    """Return the routes about the site behind a connection."""
    router = APIRouter(tags=["connections"])

    @router.get(
        "/connections/{key}/apps",
        operation_id="list_connection_apps",
        summary="List the apps of a Qlik site",
        response_model=None,
        responses={**answers(answer.AppList), **refusals(502)},
    )
    async def apps(
        key: Key,
        actor: Annotated[Actor, Depends(gate.actor)],
        *,
        search: Annotated[str, Query(max_length=200, description="words of name, stream or id")] = "",
        after: After = None,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """List the apps that the connection's user sees, by name; 502 says what is wrong with the site."""
        found = await sites.apps(key, actor, search=search, after=after, limit=limit)
        return {"items": [_app(each) for each in found.items], "total": found.total, "next": found.next}

    @router.get(
        "/connections/{key}/status",
        operation_id="get_connection_status",
        summary="Get the state of a Qlik site",
        response_model=None,
        responses=answers(answer.SiteStatus),
    )
    async def status(key: Key, actor: Annotated[Actor, Depends(gate.actor)]) -> dict[str, Any]:
        """Return how a site is, as the Qlik listener last saw it; nothing is asked of the site."""
        return site_body(await sites.get(key, actor))

    return router


def site_body(site: Site) -> dict[str, Any]:
    """Return a site as REST and pages show it."""
    known = site.state.model_dump(mode="json", exclude={"connection_id"}) if site.state else {}
    return {
        "id": site.id,
        "name": site.name,
        "kind": site.kind.value,
        "address": site.address,
        "health": site.health.value,
        "watched": site.state is not None,
    } | known


def _app(app: SiteApp) -> dict[str, Any]:
    return {
        "id": app.id,
        "name": app.name,
        "space": app.space,
        "description": app.description,
        "published": app.published,
        "reloaded_at": app.reloaded_at,
    }
