"""Pages about Qlik sites: how each is, and its apps with the ids that triggers and reports name."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response

from config_api.domain.errors import InvalidError
from config_api.domain.sites import AppPage, SiteError
from config_api.handlers.gate import Gate, Person
from config_api.handlers.rest_sites import site_body
from config_api.handlers.shell import Pages
from config_api.use_cases.sites import Sites

_PER_PAGE = 50


def site_pages(pages: Pages, sites: Sites, gate: Gate) -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter(prefix="/sites", include_in_schema=False)

    @router.get("")
    async def listing(person: Annotated[Person, Depends(gate.person)]) -> Response:
        found = await sites.all(person.actor)
        return pages.render("sites.html", person, sites=[site_body(each) for each in found])

    @router.get("/{key}")
    async def one(key: str, request: Request, person: Annotated[Person, Depends(gate.person)]) -> Response:
        site = await sites.get(key, person.actor)
        search = request.query_params.get("search", "").strip()[:200]
        after = request.query_params.get("after") or None
        refused: SiteError | None = None
        found = AppPage((), 0, None)
        try:
            try:
                found = await sites.apps(key, person.actor, search=search, after=after, limit=_PER_PAGE)
            except InvalidError:
                # The app the page would begin after is gone meanwhile.
                found = await sites.apps(key, person.actor, search=search, limit=_PER_PAGE)
        except SiteError as error:
            refused = error
        more = urlencode({"search": search, "after": found.next}) if found.next else None
        return pages.render(
            "site.html",
            person,
            site=site_body(site),
            apps=found.items,
            total=found.total,
            search=search,
            refused=refused,
            more=more,
        )

    return router
