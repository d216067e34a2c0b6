"""A walk through a connection, step by step: what works, what does not, and what to do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from qlik.client import QlikClient
from qlik.errors import QlikError
from qlik.masking import mask


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk. `detail` says what was found, `remedy` what to do if it failed."""

    name: str
    outcome: Literal["ok", "failed", "skipped"]
    detail: str
    remedy: str = ""


async def check(client: QlikClient, *, app_id: str | None = None) -> AsyncIterator[Step]:
    """Try sign-in, apps, repository or tenant, a session, an expression and a proved empty filter.

    In this order.

    Steps that need what failed before are skipped. Never raises for what Qlik does.
    """
    apps = await _try("list of apps", lambda: _apps(client))
    yield apps
    if client.site.kind == "client-managed":
        yield await _repository(client)
    chosen = app_id or await _first_app(client, apps)
    if chosen is None:
        why = "no app to open" if apps.outcome == "ok" else "the step before failed"
        yield Step("open an app", "skipped", why, "Name an app with --app.")
        return
    yield await _try("open an app", lambda: _open(client, chosen))
    yield await _try("no foreign filters", lambda: _unfiltered(client, chosen))


async def _try(name: str, step: Callable[[], Awaitable[str]]) -> Step:
    try:
        return Step(name, "ok", await step())
    except QlikError as error:
        code = f" [{error.code}]" if error.code != "" else ""
        return Step(name, "failed", error.message + code, error.remedy)
    except Exception as error:  # noqa: BLE001 - a walk that stops half-way helps nobody
        return Step(
            name,
            "failed",
            mask(f"{type(error).__name__}: {error}"),
            "This is a fault of Broadsheet: report it.",
        )


async def _apps(client: QlikClient) -> str:
    found = await client.apps()
    return f"signed in at {client.site.name}, {len(found)} apps visible"


async def _first_app(client: QlikClient, apps: Step) -> str | None:
    if apps.outcome != "ok":
        return None
    found = await client.apps()
    return found[0].id if found else None


async def _repository(client: QlikClient) -> Step:
    if client.site.qrs_url is None:
        return Step("repository", "skipped", "no qrs_url", "Without it, reloads cannot be noticed.")

    async def about() -> str:
        return f"version {(await client.repository.about()).get('buildVersion') or 'unknown'}"

    return await _try("repository", about)


async def _open(client: QlikClient, app_id: str) -> str:
    async with client.session(app_id) as session:
        value = await session.evaluate("=1+1")
        if value.number != 2:  # noqa: PLR2004 - one and one
            return f"opened {session.layout.title!r}, but 1+1 gave {value.text!r}"
        loaded = session.layout.last_reload_time
        when = loaded.isoformat(timespec="seconds") if loaded else "never"
        return f"opened {session.layout.title!r}, loaded {when}, has data: {session.layout.has_data}"


async def _unfiltered(client: QlikClient, app_id: str) -> str:
    async with client.session(app_id) as session:
        await session.select([])
        return "a session of its own, with no filter of anybody in it"
