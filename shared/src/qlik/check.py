"""A walk through a connection, step by step: what works, what does not, and what to do about it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from qlik.client import QlikClient
from qlik.errors import CalculationFailed, ConfigurationError, QlikError, Transient
from qlik.lists import FieldInfo
from qlik.masking import mask
from qlik.model import AppInfo, Selection
from qlik.rpc import GLOBAL
from qlik.session import AppSession
from qlik.site import TicketAuth
from qlik.webhooks import RELOAD_FINISHED

Outcome = Literal["ok", "failed", "skipped"]

# A repository takes any address; nobody listens at this one, and the subscription lives for a moment.
NOBODY = "http://127.0.0.1:9/broadsheet-check"
_EXPIRES_SOON_DAYS = 30
_OBJECTS_TRIED = 20
_PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk. `detail` says what was found, `remedy` what to do if anything."""

    name: str
    outcome: Outcome
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to look at; what is empty is chosen. `callback` is an address the site can reach us at."""

    app_id: str = ""
    object_id: str = ""
    callback: str = ""


@dataclass(frozen=True, slots=True)
class _Done:
    """What a step found, and what to do although it did not fail."""

    detail: str
    remedy: str = ""


class _SkipError(Exception):
    """A step that could not be tried: why, and what would make it possible."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why, self.remedy = why, remedy


async def check(client: QlikClient, wishes: Wishes = Wishes()) -> AsyncIterator[Step]:
    """Try a connection from the name of its host to the subscription to its events, in this order.

    A step whose foundation did not hold is skipped and says so. Never raises for what Qlik does.
    """
    walk = Walk(client, wishes)
    held: dict[str, bool] = {}
    for name, needs, step in walk.steps():
        broken = [need for need in needs if not held.get(need)]
        if broken:
            done = Step(name, "skipped", f"needs the step '{broken[0]}', which did not work")
        else:
            done = await _try(name, step)
        held[name] = done.outcome == "ok"
        yield done


async def _try(name: str, step: Callable[[], Awaitable[_Done]]) -> Step:
    try:
        done = await step()
    except _SkipError as skipped:
        return Step(name, "skipped", skipped.why, skipped.remedy)
    except QlikError as error:
        code = f" [{error.code}]" if error.code != "" else ""
        return Step(name, "failed", error.message + code, error.remedy)
    except Exception as error:  # noqa: BLE001 - a walk that stops half-way helps nobody
        detail = mask(f"{type(error).__name__}: {error}")
        return Step(name, "failed", detail, "This is a fault of Broadsheet: report it.")
    return Step(name, "ok", done.detail, done.remedy)


Named = tuple[str, tuple[str, ...], Callable[[], Awaitable[_Done]]]


class Walk:
    """The steps, and what each found for the next."""

    def __init__(self, client: QlikClient, wishes: Wishes) -> None:
        """Take the connection and what to look at."""
        self._client, self._site, self._wishes = client, client.site, wishes
        self._apps: list[AppInfo] = []

    def steps(self) -> list[Named]:
        """Each step with its name and the steps it builds on."""
        service = "tenant" if self._site.kind == "cloud" else "repository"
        return [
            ("name", (), self._name),
            ("TLS", ("name",), self._tls),
            ("sign-in", ("TLS",), self._sign_in),
            (service, ("sign-in",), self._tenant if self._site.kind == "cloud" else self._repository),
            ("session", ("sign-in",), self._session),
            ("list of apps", ("sign-in",), self._list),
            ("open an app", ("session",), self._open),
            ("read an object", ("open an app",), self._read),
            ("selection proof", ("open an app",), self._select),
            ("event subscription", (service,), self._subscribe),
        ]

    def _addresses(self) -> list[tuple[str, int, bool]]:
        """Host, port and whether TLS is spoken there, of every part of the site."""
        urls = [self._site.engine_url, self._site.qrs_url, self._site.tenant_url]
        if isinstance(self._site.auth, TicketAuth):
            urls.append(self._site.auth.qps_url)
        found: dict[tuple[str, int, bool], None] = {}
        for parts in (urlsplit(url) for url in urls if url):
            where = parts.port or _PORTS[parts.scheme]
            found[(parts.hostname or "", where, parts.scheme in {"wss", "https"})] = None
        return list(found)

    async def _name(self) -> _Done:
        told = []
        for host in dict.fromkeys(host for host, _, _ in self._addresses()):
            try:
                async with asyncio.timeout(self._site.limits.connect_s):
                    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, TimeoutError) as error:
                raise ConfigurationError(
                    f"The name {host} is not known here: {getattr(error, 'strerror', '') or 'no answer'}",
                    code="name",
                    remedy="Check the spelling of the address, and the name service of this machine.",
                ) from None
            told.append(f"{host} is {', '.join(sorted({str(entry[4][0]) for entry in found}))}")
        return _Done("; ".join(told))

    async def _tls(self) -> _Done:
        told, remedy = [], ""
        for host, port, secure in self._addresses():
            if not secure:
                told.append(f"{host}:{port} is reachable, without TLS")
                remedy = remedy or "Without TLS everybody on the way reads along: for development only."
            found = await self._reach(host, port, self._client.credentials.tls if secure else None)
            if found is not None:
                version, days = found
                told.append(f"{host}:{port} speaks {version}, its certificate is good for {days} days")
                if days < _EXPIRES_SOON_DAYS:
                    remedy = f"Renew the certificate of {host} soon."
        return _Done("; ".join(told), remedy)

    async def _reach(self, host: str, port: int, tls: ssl.SSLContext | None) -> tuple[str, int] | None:
        """Open a connection and close it; the TLS version and the days its certificate is still good for."""
        where = f"{host}:{port}"
        try:
            async with asyncio.timeout(self._site.limits.connect_s):
                _, writer = await asyncio.open_connection(host, port, ssl=tls)
        except ssl.SSLCertVerificationError as error:
            raise ConfigurationError(
                f"The certificate of {where} is not trusted: {error.verify_message}",
                code="tls",
                remedy="Give the site's root.pem as ca_pem, and the host name the certificate is made for.",
            ) from None
        except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError) as error:
            raise ConfigurationError(
                f"No TLS at {where}: {getattr(error, 'reason', None) or 'the other side hung up'}",
                code="tls",
                remedy="Check the port, and client_pem and key_pem.",
            ) from None
        except (OSError, TimeoutError) as error:
            raise Transient(
                f"{where} is not reachable: {getattr(error, 'strerror', '') or 'no answer'}",
                code="unreachable",
                remedy="Check the port, that the service runs, and the firewall in between.",
            ) from None
        try:
            spoken: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
            if spoken is None:
                return None
            ends = ssl.cert_time_to_seconds(str((spoken.getpeercert() or {})["notAfter"]))
            left = datetime.fromtimestamp(ends, UTC) - datetime.now(UTC)
            return spoken.version() or "TLS", left.days
        finally:
            writer.close()

    async def _sign_in(self) -> _Done:
        # The path is not asked for: it only makes a cookie, a ticket or a token be fetched.
        await self._client.credentials.upgrade("/app/engineData")
        fetched = {
            "certificate": "the certificate and its key fit; whether the site takes them, the session tells",
            "api-key": "nothing to fetch; whether the tenant takes the key, the next step tells",
            "jwt": "the virtual proxy took the token and gave a session",
            "ticket": "the proxy gave a ticket, and a session for it where it can",
            "oauth-m2m": "the tenant gave a token",
        }
        return _Done(f"{self._site.auth.kind}: {fetched[self._site.auth.kind]}")

    async def _repository(self) -> _Done:
        if self._site.qrs_url is None:
            raise _SkipError(
                "the site has no qrs_url", "Without it, reloads cannot be noticed and apps have no stream."
            )
        return _Done(f"version {(await self._client.repository.about()).get('buildVersion') or 'unknown'}")

    async def _tenant(self) -> _Done:
        me = await self._client.tenant.me()
        return _Done(f"signed in as {me.get('name') or me.get('subject') or me.get('id') or 'unknown'}")

    async def _session(self) -> _Done:
        async with self._client.connection() as connection:
            version = (await connection.call(GLOBAL, "EngineVersion")).get("qVersion") or {}
            user = (await connection.call(GLOBAL, "GetAuthenticatedUser")).get("qReturn")
        return _Done(f"engine {version.get('qComponentVersion') or 'unknown'} greets {user or 'nobody'}")

    async def _list(self) -> _Done:
        self._apps = await self._client.apps()
        advice = "" if self._apps else "Give the user of this connection access to apps."
        return _Done(f"{len(self._apps)} apps visible", advice)

    def app_id(self) -> str:
        """The app to look at. Raises a skip when there is none."""
        chosen = self._wishes.app_id or next((app.id for app in self._apps), "")
        if not chosen:
            raise _SkipError("no app to open", "Name an app with --app.")
        return chosen

    async def _open(self) -> _Done:
        async with self._client.session(self.app_id()) as session:
            value = await session.evaluate("=1+1")
            if value.number != 2:  # noqa: PLR2004 - one and one
                raise Transient(f"The engine says that 1+1 is {value.text!r}", code="arithmetic")
            layout = session.layout
        when = layout.last_reload_time.isoformat(timespec="seconds") if layout.last_reload_time else "never"
        return _Done(f"opened {layout.title!r}, loaded {when}, has data: {layout.has_data}")

    async def _read(self) -> _Done:
        async with self._client.session(self.app_id()) as session:
            if self._wishes.object_id:
                return await _read_object(session, self._wishes.object_id)
            ids = [item.id for sheet in await session.sheets() for item in sheet.objects]
            for object_id in ids[:_OBJECTS_TRIED]:
                try:
                    return await _read_object(session, object_id)
                except (ConfigurationError, CalculationFailed):
                    continue
        raise _SkipError(f"none of {len(ids)} objects on the sheets gave a table", "Name one with --object.")

    async def _select(self) -> _Done:
        async with self._client.session(self.app_id()) as session:
            await session.select([])
            fields = sorted((field for field in await session.fields() if field.values > 1), key=_size)
            for field in fields:
                values = await session.field_values(field.name, limit=1, truncate=True)
                if not values or not values[0].text:
                    continue
                proved = await session.select([Selection(field=field.name, values=(values[0].text,))])
                shown = ", ".join(value.text for value in proved[0].values)
                await session.select([])
                return _Done(f"{field.name} = {shown}: selected, locked, read back, and cleared again")
        raise _SkipError("the app has no field with more than one value", "Name another app with --app.")

    async def _subscribe(self) -> _Done:
        if self._site.kind == "cloud":
            return await self._webhook()
        handle = await self._client.repository.subscribe("ExecutionResult", self._wishes.callback or NOBODY)
        await self._client.repository.unsubscribe(handle)
        return _Done("the repository took a subscription to executions, and ended it again")

    async def _webhook(self) -> _Done:
        tenant, address = self._client.tenant, self._wishes.callback
        listed = [hook async for hook in tenant.rest.pages("/api/v1/webhooks", {"limit": 100})]
        off = [str(hook.get("name") or hook.get("id")) for hook in listed if hook.get("enabled") is False]
        advice = f"Switched off: {', '.join(off)}." if off else ""
        if not address:
            return _Done(
                f"webhooks can be listed ({len(listed)}); none was made",
                advice or "Give an https address with --callback to try making one.",
            )
        made = await tenant.add_webhook(
            name="broadsheet-check", url=address, event_types=[RELOAD_FINISHED], secret=secrets.token_hex(16)
        )
        try:
            enabled = (await tenant.webhook(made)).get("enabled")
        finally:
            await tenant.remove_webhook(made)
        if not enabled:
            raise Transient(
                "The tenant made a webhook and did not switch it on",
                code="webhook",
                remedy="Look at its reason in the tenant's administration, and at what the address answers.",
            )
        return _Done(f"a webhook for {RELOAD_FINISHED} was made, is enabled, and was removed again", advice)


async def _read_object(session: AppSession, object_id: str) -> _Done:
    table = await session.object_table(object_id, max_rows=10, truncate=True)
    names = ", ".join(column.name for column in table.columns[:8])
    return _Done(f"{object_id} {table.title!r}: {len(table.rows)} of {table.total_rows} rows of {names}")


def _size(field: FieldInfo) -> int:
    return field.values
