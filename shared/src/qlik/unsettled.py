"""Questions about Qlik that no public source answers, asked of a site at hand.

Nothing here changes how the client behaves: it is written so as not to depend on the answers. They tell
whoever runs a site, and whoever maintains the client, what holds there.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from qlik.check import NOBODY
from qlik.client import QlikClient
from qlik.errors import ConfigurationError, LimitReached, PermissionDenied, QlikError, Transient
from qlik.masking import mask
from qlik.rpc import GLOBAL, EngineConnection
from qlik.selecting import current
from qlik.session import AppSession
from qlik.site import JwtAuth, OAuthM2MAuth, TicketAuth
from qlik.unsettled_app import always_one, dates_by_text, number_format, numbers_by_text

_PING_WAIT_S = 10.0
_SPACES = 20
_USER = "UserDirectory="


@dataclass(frozen=True, slots=True)
class Answer:
    """What a site answered. Where it could not be asked, `text` says why."""

    question: str
    settled: bool
    text: str


class _NotAskedError(Exception):
    """The site or connection at hand is not the one to ask."""


Ask = Callable[[QlikClient, str], Awaitable[str]]


async def ask(client: QlikClient, app_id: str) -> AsyncIterator[Answer]:
    """Ask a site all that is open. `app_id` may be empty: what needs an app is not asked then.

    Opens short sessions one after the other and leaves nothing behind. Never raises for what Qlik does.
    """
    for question, how in QUESTIONS.items():
        try:
            yield Answer(question, settled=True, text=await how(client, app_id))
        except _NotAskedError as why:
            yield Answer(question, settled=False, text=str(why))
        except QlikError as error:
            yield Answer(question, settled=False, text=f"the site refused to tell: {error.message}")
        except Exception as error:  # noqa: BLE001 - one odd answer must not end the others
            yield Answer(question, settled=False, text=mask(f"{type(error).__name__}: {error}"))


async def _licence(client: QlikClient, _: str) -> str:
    began = datetime.now(UTC)
    if client.site.kind == "cloud":
        subject = str((await client.tenant.me()).get("subject") or "")
        pages = client.tenant.rest.pages("/api/v1/licenses/assignments", {"limit": 100})
        kinds = [str(item.get("type") or "unknown") async for item in pages if item.get("subject") == subject]
        return f"the user has the assignments: {', '.join(kinds)}" if kinds else "the user has no assignment"
    if client.site.qrs_url is None:
        raise _NotAskedError("the site has no qrs_url, so licences cannot be read")
    async with client.connection() as connection:
        told = str((await connection.call(GLOBAL, "GetAuthenticatedUser")).get("qReturn") or "")
    if not told.startswith(_USER) or "; UserId=" not in told:
        raise _NotAskedError(f"the engine names its user {told!r}")
    directory, _, user = told.removeprefix(_USER).partition("; UserId=")
    found = await client.repository.licences_of(directory, user)
    if not found:
        return (
            f"a session of {directory}\\{user} was open, and the user has no access assignment: none is used"
        )
    fresh = [kind for kind, since in found if since is not None and since >= began]
    told = ", ".join(kind for kind, _ in found)
    made = (
        f"made by this very session: {', '.join(fresh)}" if fresh else "all of them older than this session"
    )
    return f"{directory}\\{user} has the assignments: {told}; {made}"


async def _subscription_filter(client: QlikClient, _: str) -> str:
    if client.site.qrs_url is None:
        raise _NotAskedError("only the repository of a client-managed site has such subscriptions")
    try:
        handle = await client.repository.subscribe(
            "ExecutionResult", NOBODY, filter_="status eq 7 or status eq 8"
        )
    except ConfigurationError as error:
        return f"refused [{error.code}]: {error.message}"
    await client.repository.unsubscribe(handle)
    return "taken; that it also filters shows only at a reload"


async def _result_key(client: QlikClient, app_id: str) -> str:
    async with client.session(_needed(app_id)) as session:
        result = await session.connection.call(session.doc.handle, "EvaluateEx", "=1+1")
    return ", ".join(sorted(result)) or "the result is empty"


async def _ping(client: QlikClient, _: str) -> str:
    async with client.connection() as connection:
        if await connection.survives_ping(within_s=_PING_WAIT_S):
            return "the request after a ping is answered"
    return f"the request after a ping got no answer within {_PING_WAIT_S:g} s: pings have to stay off"


async def _missing_value(client: QlikClient, app_id: str) -> str:
    async with client.session(_needed(app_id)) as session:
        fields = await session.fields()
        if not fields:
            raise _NotAskedError("the app has no field")
        engine, doc = session.connection, session.doc
        await engine.call(doc.handle, "ClearAll", True)
        field = await engine.call_object(doc.handle, "GetField", fields[0].name, missing="The field is gone")
        nowhere = [{"qText": secrets.token_hex(16), "qIsNumeric": False}]
        said = (await engine.call(field.handle, "SelectValues", nowhere, False, False)).get("qReturn")
        active = len(await current(engine, doc))
    left = "nothing is selected then" if not active else f"{active} fields have selections then"
    return f"it answers {str(said).lower()}, and {left}"


async def _csrf(client: QlikClient, _: str) -> str:
    if not isinstance(client.site.auth, JwtAuth):
        raise _NotAskedError("only a JWT sign-in through a virtual proxy has a CSRF token")
    upgrade = await client.credentials.upgrade(f"/app/engineData/identity/{secrets.token_hex(12)}/ttl/0")
    if not urlsplit(upgrade.url).query:
        return "the proxy gives no CSRF token"
    bare = replace(upgrade, url=urlunsplit(urlsplit(upgrade.url)._replace(query="")))
    try:
        connection = await EngineConnection.open(bare, client.site.limits)
    except PermissionDenied as error:
        return f"without the token in the query the upgrade is refused [{error.code}]"
    await connection.aclose()
    return "the upgrade is taken without the token as well"


async def _event_type(client: QlikClient, _: str) -> str:
    if client.site.kind != "cloud":
        raise _NotAskedError("only a tenant has it")
    names = set(_texts(await client.tenant.rest.json("GET", "/api/v1/webhooks/event-types")))
    found = sorted(name for name in names if name.endswith("data.updated"))
    return ", ".join(found) or "the tenant offers none that ends in data.updated"


async def _spaces(client: QlikClient, _: str) -> str:
    if not isinstance(client.site.auth, OAuthM2MAuth):
        raise _NotAskedError("only asked for OAuth clients of a tenant")
    opened: list[str] = []
    empty: list[str] = []
    closed: list[str] = []
    spaces = client.tenant.rest.pages("/api/v1/spaces", {"type": "shared", "limit": 100})
    async for space in spaces:
        name, key = str(space.get("name") or space.get("id")), str(space.get("id") or "")
        if len(opened) + len(empty) + len(closed) == _SPACES:
            closed.append("further ones were not tried")
            break
        items = client.tenant.rest.pages("/api/v1/items", {"resourceType": "app", "spaceId": key, "limit": 1})
        app = await anext(items, None)
        if app is None:
            empty.append(name)
            continue
        try:
            async with client.connection(str(app.get("resourceId"))) as connection:
                # Without data, which is faster: only the right to open is asked about.
                await connection.call(GLOBAL, "OpenDoc", str(app.get("resourceId")), "", "", "", True)
            opened.append(name)
        except (PermissionDenied, ConfigurationError, LimitReached, Transient) as error:
            closed.append(f"{name} [{error.code}]")
    told = f"one app could be opened in each of {len(opened)} shared spaces"
    if empty:
        told += f"; no app seen in: {', '.join(empty)}"
    return told + (f"; not in: {', '.join(closed)}" if closed else "")


def _of_app(how: Callable[[AppSession], Awaitable[str | None]], without: str) -> Ask:
    """A question to an app in a session of its own; `without` says why it could not be asked."""

    async def asked(client: QlikClient, app_id: str) -> str:
        async with client.session(_needed(app_id)) as session:
            told = await how(session)
        if told is None:
            raise _NotAskedError(without)
        return told

    return asked


async def _ticket(client: QlikClient, _: str) -> str:
    if not isinstance(client.site.auth, TicketAuth):
        raise _NotAskedError("only a sign-in by ticket through a virtual proxy has it")
    first = await client.credentials.upgrade(f"/app/engineData/identity/{secrets.token_hex(12)}/ttl/0")
    if "Cookie" not in first.headers:
        return "no session: each socket takes a ticket, and the sixth in half an hour may be refused"
    token = "with a CSRF token" if urlsplit(first.url).query else "without a CSRF token"
    for _attempt in range(2):
        upgrade = await client.credentials.upgrade(f"/app/engineData/identity/{secrets.token_hex(12)}/ttl/0")
        try:
            connection = await EngineConnection.open(upgrade, client.site.limits)
        except QlikError as error:
            return f"a session {token}, whose cookie a socket could not use [{error.code}]: {error.message}"
        await connection.aclose()
    return f"a session {token}; two sockets in a row could use its cookie"


QUESTIONS: dict[str, Ask] = {
    "format of a number without a format": _of_app(number_format, ""),
    "fields that always have one value": _of_app(always_one, ""),
    "a number selected by its text": _of_app(numbers_by_text, "the app has no small field of numbers"),
    "a date selected by its text": _of_app(dates_by_text, "the app has no small field of dates"),
    "what the proxy gives for a ticket": _ticket,
    "licence use of this user": _licence,
    "a filter on subscriptions to ExecutionResult": _subscription_filter,
    "member of EvaluateEx's result": _result_key,
    "a protocol-level ping": _ping,
    "SelectValues of a value that does not exist": _missing_value,
    "upgrade without the CSRF token": _csrf,
    "event type of updated data": _event_type,
    "shared spaces this client can open": _spaces,
}


def _needed(app_id: str) -> str:
    if not app_id:
        raise _NotAskedError("no app could be opened")
    return app_id


def _texts(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, dict):
        node = [*node, *node.values()]
    return [text for item in node for text in _texts(item)] if isinstance(node, list) else []
