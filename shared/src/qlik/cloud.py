"""The REST interfaces of a Qlik Cloud tenant that a report needs: apps, reloads, webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from qlik.errors import ConfigurationError
from qlik.formats import parse_time
from qlik.model import AppInfo
from qlik.reloads import ReloadSeen, from_cloud
from qlik.reports import CloudReports
from qlik.rest import RestClient
from qlik.signin import SignIn
from qlik.site import QlikSite
from qlik.throttle import Throttle

_PAGE = 100


class CloudTenant:
    """A tenant as one user. Rate limits are kept on our side, per tier."""

    def __init__(self, site: QlikSite, signed: SignIn, *, now: Callable[[], float]) -> None:
        if site.tenant_url is None:
            raise ConfigurationError("This site has no tenant_url", code="tenant_url")
        self.rest = RestClient(
            site.tenant_url,
            credentials=signed.headers,
            rejected=signed.rejected,
            tls=signed.tls or True,
            reach=signed.reach,
            limits=site.limits,
            throttle=Throttle(now=now),
        )
        self.reports = CloudReports(self.rest)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.rest.aclose()

    async def apps(self) -> list[AppInfo]:
        """Every app this user sees, from the tenant's items."""
        items = self.rest.pages("/api/v1/items", {"resourceType": "app", "limit": _PAGE})
        return [_app(raw) async for raw in items]

    async def me(self) -> Mapping[str, Any]:
        """The user this connection speaks as: `id`, `name`, `subject`."""
        answer = await self.rest.json("GET", "/api/v1/users/me")
        return answer if isinstance(answer, dict) else {}

    async def reload(self, reload_id: str) -> ReloadSeen | None:
        """One reload; None if the tenant does not know it."""
        try:
            raw = await self.rest.json("GET", f"/api/v1/reloads/{quote(reload_id, safe='')}")
        except ConfigurationError as error:
            if error.code == 404 or str(error.code).startswith("RELOADS-"):  # noqa: PLR2004 - Not Found
                return None
            raise
        return from_cloud(raw) if isinstance(raw, dict) else None

    async def reloads_since(self, mark: datetime, *, app_id: str | None = None) -> list[ReloadSeen]:
        """Reloads created after `mark` (aware) that are over, oldest first.

        They are listed by creation, so overlap the mark by as long as a reload may take, and dedupe by id.
        """
        return [each for each in await self.reloads_created_since(mark, app_id=app_id) if each.over]

    async def reloads_created_since(self, mark: datetime, *, app_id: str | None = None) -> list[ReloadSeen]:
        """Reloads created after `mark` (aware), oldest first, those that still run included."""
        params: dict[str, Any] = {"limit": _PAGE, "sort": "-creationTime"}
        if app_id is not None:
            params["appId"] = app_id
        seen: list[ReloadSeen] = []
        async for raw in self.rest.pages("/api/v1/reloads", params):
            created = parse_time(raw.get("creationTime"))
            if created is not None and created < mark:
                break
            found = from_cloud(raw)
            if found is not None:
                seen.append(found)
        return seen[::-1]

    async def add_webhook(
        self,
        *,
        name: str,
        url: str,
        event_types: Sequence[str],
        secret: str,
        level: str = "tenant",
        description: str = "",
    ) -> str:
        """Register a webhook and return its id. The URL must be https and must not redirect."""
        body = {
            "name": name,
            "url": url,
            "eventTypes": list(event_types),
            "level": level,
            "enabled": True,
            "secret": secret,
            "description": description,
        }
        made = await self.rest.json("POST", "/api/v1/webhooks", json=body)
        return str(made["id"])

    async def webhook(self, webhook_id: str) -> Mapping[str, Any]:
        """A webhook as the tenant has it; look at `enabled`: the platform switches webhooks off by itself."""
        answer = await self.rest.json("GET", f"/api/v1/webhooks/{quote(webhook_id, safe='')}")
        return answer if isinstance(answer, dict) else {}

    async def webhooks(self) -> list[Mapping[str, Any]]:
        """Every webhook this user may see, as the tenant has it; never with its secret."""
        return [raw async for raw in self.rest.pages("/api/v1/webhooks", {"limit": _PAGE})]

    async def change_webhook(self, webhook_id: str, changes: Mapping[str, Any]) -> None:
        """Replace top-level members of a webhook, for example `enabled`."""
        patch = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in changes.items()]
        await self.rest.send("PATCH", f"/api/v1/webhooks/{quote(webhook_id, safe='')}", json=patch)

    async def remove_webhook(self, webhook_id: str) -> None:
        """Delete a webhook."""
        await self.rest.send("DELETE", f"/api/v1/webhooks/{quote(webhook_id, safe='')}")


def _app(raw: Mapping[str, Any]) -> AppInfo:
    attributes = raw.get("resourceAttributes") or {}
    return AppInfo(
        id=str(raw.get("resourceId") or attributes.get("id") or ""),
        name=str(raw.get("name") or attributes.get("name") or ""),
        last_reload_time=parse_time(attributes.get("lastReloadTime")),
        space=str(raw.get("spaceId") or attributes.get("spaceId") or ""),
        description=str(raw.get("description") or ""),
        published=bool(attributes.get("published")),
    )
