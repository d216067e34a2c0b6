"""The apps of a site, read from the site: bounded in time and number, and not more often than needed."""

import asyncio
import time
from collections.abc import Callable

from config_api.domain.sites import SiteApp, SiteError
from contracts.configuration import Connection
from qlik import QlikClient, QlikError
from qlik.model import AppInfo
from qlik.site import QlikSite
from runtime.egress import Egress
from runtime.errors import Permanent
from runtime.secrets import Sealer
from runtime.sites import reach_of, site_of

# A person pages and searches in what was read; somebody who made an app waits no longer than this for it.
_KEPT_S = 30.0
_KEPT_AT_MOST = 50
_APPS_AT_MOST = 50_000

_Entry = tuple[float, Connection, "tuple[SiteApp, ...] | SiteError"]


class QlikSiteApps:
    """config_api.ports.SiteApps through the Qlik client."""

    def __init__(
        self,
        sealer: Sealer,
        *,
        egress: Egress,
        timeout_s: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what opens secrets, where connections may lead, how long a site may take, and a clock.

        `now` is monotonic, in seconds.
        """
        self._sealer = sealer
        self._reach = reach_of(egress)
        self._timeout_s = timeout_s
        self._now = now
        self._kept: dict[str, _Entry] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def __call__(self, connection: Connection, *, fresh: bool = False) -> tuple[SiteApp, ...]:
        """Return every app of a site. Raises SiteError that says what is wrong with the site."""
        async with self._locks.setdefault(connection.id, asyncio.Lock()):
            found = None if fresh else self._remembered(connection)
            if found is None:
                found = await self._ask(connection)
                if len(self._kept) >= _KEPT_AT_MOST:
                    self._kept.clear()
                # A site that is down is not asked by everybody who looks at it, either.
                self._kept[connection.id] = (self._now(), connection, found)
        if isinstance(found, SiteError):
            raise SiteError(found.message, found.remedy)
        return found

    def _remembered(self, connection: Connection) -> "tuple[SiteApp, ...] | SiteError | None":
        at, asked, found = self._kept.get(connection.id, (float("-inf"), None, None))
        return found if asked == connection and self._now() - at < _KEPT_S else None

    async def _ask(self, connection: Connection) -> "tuple[SiteApp, ...] | SiteError":
        try:
            site = site_of(connection, self._sealer)
            async with (
                asyncio.timeout(self._timeout_s),
                QlikClient(self._hasty(site), reach=self._reach) as client,
            ):
                found = await client.apps()
        except QlikError as error:
            return SiteError(f"{connection.name}: {error.message}", error.remedy)
        except Permanent as error:
            return SiteError(error.message, error.remedy)
        except TimeoutError:
            return SiteError(
                f"{connection.name}: the site did not list its apps within {self._timeout_s:g} seconds",
                "see whether the site is up and its address is right; then try again",
            )
        if len(found) > _APPS_AT_MOST:
            return SiteError(
                f"{connection.name}: the site lists {len(found)} apps, more than {_APPS_AT_MOST}",
                "let the connection's user see fewer apps, or name apps by their ids",
            )
        return tuple(_shown(app) for app in found)

    def _hasty(self, site: QlikSite) -> QlikSite:
        # Somebody waits for a page: the patience of a report's job would be too much.
        limits = site.limits.model_copy(
            update={
                "connect_s": min(site.limits.connect_s, self._timeout_s),
                "rest_s": min(site.limits.rest_s, self._timeout_s),
            }
        )
        return site.model_copy(update={"limits": limits})


def _shown(app: AppInfo) -> SiteApp:
    return SiteApp(
        id=app.id,
        name=app.name[:400],
        space=app.space[:200],
        description=app.description[:1000],
        published=app.published,
        reloaded_at=app.last_reload_time,
    )
