"""See the Qlik sites, their apps, and what names an app that is not there."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from config_api.domain.changes import Stored
from config_api.domain.drafts import Draft
from config_api.domain.errors import InvalidError, NotFoundError, Problem
from config_api.domain.kinds import CONNECTION, Kind
from config_api.domain.rights import Actor, Right, demand
from config_api.domain.sites import (
    AppPage,
    NamedApp,
    Site,
    SiteApp,
    SiteError,
    health,
    missing_app,
    named_apps,
    named_before,
    page_of,
    unasked,
)
from config_api.ports import ConfigurationStore, SiteApps, SiteStates
from contracts.configuration import Connection
from contracts.sites import SiteState
from runtime.clock import Clock

_PAGE = 500


class Sites:
    """The Qlik sites that connections stand for."""

    def __init__(
        self, *, store: ConfigurationStore, states: SiteStates, apps: SiteApps, clock: Clock
    ) -> None:
        """Take the ports."""
        self._store = store
        self._states = states
        self._apps = apps
        self._clock = clock

    async def all(self, actor: Actor) -> list[Site]:
        """Return every site, in the order of the connections' ids."""
        demand(actor, Right.CONFIGURATION)
        states = await self._states.all()
        found: list[Site] = []
        after: str | None = None
        while True:
            page = await self._store.page(CONNECTION, after=after, limit=_PAGE)
            found += [self._site(each, states.get(each.id)) for each in page]
            if len(page) < _PAGE:
                return found
            after = page[-1].id

    async def get(self, key: str, actor: Actor) -> Site:
        """Return one site. Raises NotFoundError."""
        demand(actor, Right.CONFIGURATION)
        return self._site(await self._existing(key), await self._states.get(key))

    async def apps(
        self, key: str, actor: Actor, *, search: str = "", after: str | None = None, limit: int = 100
    ) -> AppPage:
        """Return apps of a site, asked of the site. Raises NotFoundError, SiteError, InvalidError."""
        demand(actor, Right.CONFIGURATION)
        stored = await self._existing(key)
        found = await self._apps(Connection.model_validate(stored.document))
        return page_of(found, search=search, after=after, limit=limit)

    async def _existing(self, key: str) -> Stored:
        stored = await self._store.get(CONNECTION, key)
        if stored is None:
            raise NotFoundError(CONNECTION.name, key)
        return stored

    def _site(self, stored: Stored, state: SiteState | None) -> Site:
        connection = Connection.model_validate(stored.document)
        settings = connection.settings
        address = settings.get("tenant_url") or settings.get("qrs_url") or settings.get("engine_url") or ""
        return Site(
            id=stored.id,
            name=connection.name,
            kind=connection.kind,
            address=str(address),
            health=health(state, self._clock.now()),
            state=state,
        )


class KnownApps:
    """Whether the apps that a draft names for the first time are there."""

    def __init__(self, *, store: ConfigurationStore, apps: SiteApps) -> None:
        """Take the ports."""
        self._store = store
        self._apps = apps

    async def screen(self, kind: Kind, key: str | None, draft: Draft, actor: Actor) -> tuple[Problem, ...]:
        """Return what to warn about in a draft of an object, which is new when `key` is None.

        A trigger that names an app its site does not have would wait for ever, in silence: it is refused. A
        report is warned about: its own check and every run say so, too. While the site cannot be asked, both
        are warnings. Raises InvalidError.
        """
        demand(actor, Right.CONFIGURATION)
        if not any(named_apps(draft)):
            return ()
        before = await self._store.get(kind, key) if key is not None else None
        faults, warnings = await self._looked_up(draft, before)
        if faults:
            raise InvalidError(*faults)
        return tuple(warnings)

    async def _looked_up(self, draft: Draft, before: Stored | None) -> tuple[list[Problem], list[Problem]]:
        old = named_before((before.content or before.document) if before else None)
        new = [each for each in named_apps(draft) if each.key not in old]
        sites = sorted({each.connection_id for each in new})
        documents = await self._store.many(CONNECTION, sites) if sites else {}
        faults: list[Problem] = []
        warnings: list[Problem] = []
        for some in await asyncio.gather(
            *(
                self._of_site(document, [each for each in new if each.connection_id == key])
                for key, document in documents.items()
            )
        ):
            faults += some[0]
            warnings += some[1]
        return faults, warnings

    async def _of_site(
        self, document: Mapping[str, Any], named: Sequence[NamedApp]
    ) -> tuple[list[Problem], list[Problem]]:
        connection = Connection.model_validate(document)
        try:
            missing = _missing(named, await self._apps(connection))
            if missing:
                # What was kept may be older than the app.
                missing = _missing(named, await self._apps(connection, fresh=True))
        except SiteError as error:
            return [], [unasked(each, error.message) for each in named]
        faults = [missing_app(each, connection.name) for each in missing if each.waits]
        return faults, [missing_app(each, connection.name) for each in missing if not each.waits]


def _missing(named: Sequence[NamedApp], apps: Sequence[SiteApp]) -> list[NamedApp]:
    there = {app.id for app in apps}
    return [each for each in named if each.app_id not in there]
