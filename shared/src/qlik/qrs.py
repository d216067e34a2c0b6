"""The repository service (QRS) of a client-managed site: apps, executions, change subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from qlik.errors import ConfigurationError, ProtocolError
from qlik.formats import parse_time
from qlik.model import AppInfo
from qlik.reloads import ReloadSeen, from_app, from_execution
from qlik.rest import RestClient
from qlik.signin import XRFKEY, SignIn
from qlik.site import JwtAuth, QlikSite

_TAKE = 500  # rows per table request; `/full` is capped by a server setting and ignores skip and take
_UPDATE = 2


class Repository:
    """QRS as one user. Every call carries the xrfkey twice, in query and header."""

    def __init__(self, site: QlikSite, signed: SignIn) -> None:
        if site.qrs_url is None:
            raise ConfigurationError(
                "This site has no qrs_url",
                code="qrs_url",
                remedy="Set it, for example https://qlik.example.com:4242",
            )

        async def credentials() -> Mapping[str, str]:
            return {**(await signed.headers()), "X-Qlik-Xrfkey": XRFKEY}

        prefix = site.auth.virtual_proxy.strip("/") if isinstance(site.auth, JwtAuth) else ""
        self._root = f"/{prefix}/qrs" if prefix else "/qrs"
        self._rest = RestClient(
            site.qrs_url,
            credentials=credentials,
            rejected=signed.rejected,
            tls=signed.tls or True,
            reach=signed.reach,
            limits=site.limits,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._rest.aclose()

    async def apps(self) -> list[AppInfo]:
        """Every app this user sees, however many."""
        return [
            AppInfo(
                id=str(raw.get("id") or ""),
                name=str(raw.get("name") or ""),
                last_reload_time=parse_time(raw.get("lastReloadTime")),
                space=str((raw.get("stream") or {}).get("name") or ""),
                description=str(raw.get("description") or ""),
                published=bool(raw.get("published")),
            )
            for raw in await self._all("app", "", "name")
        ]

    async def subscribe(
        self, name: str, callback_url: str, *, change_type: int = _UPDATE, filter_: str = ""
    ) -> str:
        """Ask QRS to POST changes of entities `name` (ExecutionResult, App) to `callback_url`.

        Returns the handle.

        Subscriptions are forgotten when the repository restarts: renew them on a timer, and poll as well.
        """
        params: dict[str, Any] = {"name": name, "changetype": change_type}
        if filter_:
            params["filter"] = filter_
        answer = await self._call("POST", "notification", params, body=callback_url)
        handle = answer.get("value") if isinstance(answer, dict) else None
        if not handle:
            raise ProtocolError("The repository gave no handle for the subscription", code="notification")
        return str(handle)

    async def unsubscribe(self, handle: str) -> bool:
        """End a subscription; False if the repository had forgotten it already, which is no error."""
        try:
            await self._call("DELETE", "notification", {"handle": handle})
        except ConfigurationError as error:
            if error.code not in {400, 404}:
                raise
            return False
        return True

    async def execution(self, result_id: str) -> ReloadSeen | None:
        """The reload behind an ExecutionResult id, as a callback names it; None if it is gone or no app's."""
        return await self._one("executionresult", result_id, from_execution)

    async def app(self, app_id: str) -> ReloadSeen | None:
        """The latest load of an app, as a callback on App names it.

        None if it is gone or was never loaded.
        """
        return await self._one("app", app_id, from_app)

    async def executions_since(self, mark: datetime) -> list[ReloadSeen]:
        """Reloads that stopped after `mark` (aware), oldest first.

        Overlap the mark by minutes and dedupe by id.
        """
        found = await self._all("executionresult", f"stopTime gt '{_moment(mark)}'", "stopTime")
        seen = [item for item in map(from_execution, found) if item is not None and item.over]
        return sorted(seen, key=_finished)

    async def executions_of(self, app_id: str, began_after: datetime) -> list[ReloadSeen]:
        """Every execution of an app that began after a moment (aware), those that still run included."""
        UUID(app_id)  # becomes part of a filter
        filter_ = f"appID eq {app_id} and startTime gt '{_moment(began_after)}'"
        found = await self._all("executionresult", filter_, "startTime")
        return [item for item in map(from_execution, found) if item is not None]

    async def app_reload_times_since(self, mark: datetime) -> list[ReloadSeen]:
        """Apps whose data was loaded after `mark` (aware), oldest first.

        Also finds reloads outside the scheduler.
        """
        found = await self._all("app", f"lastReloadTime gt '{_moment(mark)}'", "lastReloadTime")
        return sorted((item for item in map(from_app, found) if item is not None), key=_finished)

    async def about(self) -> Mapping[str, Any]:
        """Version and name of the repository.

        A cheap way to see that the address and the sign-in are right.
        """
        answer = await self._call("GET", "about", {})
        return answer if isinstance(answer, dict) else {}

    async def licences_of(self, directory: str, user: str) -> list[tuple[str, datetime | None]]:
        """The access assignments of a user: what kind, and since when.

        Raises:
            ConfigurationError: for names that cannot stand in a filter.

        """
        if "'" in directory + user:
            raise ConfigurationError(f"{directory}\\{user} cannot be looked for", code="filter")
        params = {"filter": f"user.userDirectory eq '{directory}' and user.userId eq '{user}'"}
        found: list[tuple[str, datetime | None]] = []
        for kind in ("professional", "analyzer", "user"):
            rows = await self._call("GET", f"license/{kind}accesstype/full", params)
            found += [(kind, parse_time(row.get("createdDate"))) for row in rows or ()]
        return found

    # --- inside -------------------------------------------------------------------------------------------

    async def _call(self, method: str, path: str, params: Mapping[str, Any], *, body: Any = None) -> Any:
        return await self._rest.json(
            method, f"{self._root}/{path}", params={**params, "xrfkey": XRFKEY}, json=body
        )

    async def _one(self, kind: str, entity_id: str, read: Any) -> ReloadSeen | None:
        try:
            UUID(entity_id)
        except ValueError:
            # it came from outside, by a callback nobody signs: it must not become part of an address
            raise ConfigurationError(
                f"{entity_id[:50]!r} is not an id of the repository", code="guid"
            ) from None
        try:
            raw = await self._call("GET", f"{kind}/{entity_id}", {})
        except ConfigurationError as error:
            if error.code == 404:  # noqa: PLR2004 - Not Found
                return None
            raise
        found: ReloadSeen | None = read(raw) if isinstance(raw, dict) else None
        return found

    async def _all(self, kind: str, filter_: str, order: str) -> list[dict[str, Any]]:
        """Every entity that fits.

        `/full` if it is not capped, else by table pages of ids and single reads.
        """
        params = {"filter": filter_} if filter_ else {}
        first = await self._call("GET", f"{kind}/full", params)
        rows = [row for row in first if isinstance(row, dict)] if isinstance(first, list) else []
        if not rows:
            return rows  # a cap leaves some
        counted = await self._call("GET", f"{kind}/count", params)
        count = int(counted.get("value") or 0) if isinstance(counted, dict) else len(rows)
        if count <= len(rows):
            return rows
        return await self._table(kind, params, order, count)

    async def _table(
        self, kind: str, params: Mapping[str, Any], order: str, count: int
    ) -> list[dict[str, Any]]:
        columns = [{"columnType": "Property", "name": name, "definition": name} for name in _COLUMNS[kind]]
        body = {"type": _TYPES[kind], "columns": columns}
        rows: list[dict[str, Any]] = []
        while len(rows) < count:
            page = {
                **params,
                "skip": len(rows),
                "take": _TAKE,
                "sortColumn": order,
                "orderAscending": "true",
            }
            answer = await self._call("POST", f"{kind}/table", page, body=body)
            names = answer.get("columnNames") or [] if isinstance(answer, dict) else []
            got = answer.get("rows") or [] if isinstance(answer, dict) else []
            if not got:
                break
            rows.extend(_nested(dict(zip(names, row, strict=False))) for row in got)
        return rows


_COLUMNS = {
    "app": ("id", "name", "lastReloadTime", "description", "published", "stream.name"),
    "executionresult": ("id", "executionID", "appID", "status", "startTime", "stopTime"),
}
_TYPES = {"app": "App", "executionresult": "ExecutionResult"}


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    if "stream.name" in row:
        row["stream"] = {"name": row.pop("stream.name")}
    return row


def _moment(mark: datetime) -> str:
    return mark.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{mark.microsecond // 1000:03d}Z"


def _finished(seen: ReloadSeen) -> datetime:
    return seen.finished_at or datetime.min.replace(tzinfo=UTC)
