"""Qlik sites as the console shows them: how each is, which apps it has, and who names an app it has not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from config_api.domain.drafts import Draft, ReportDraft, TaskDraft
from config_api.domain.errors import InvalidError, Problem, RefusedError
from contracts.configuration import ConnectionKind
from contracts.sites import SiteState
from contracts.triggers import ReloadTrigger, ScheduleTrigger


class SiteError(RefusedError):
    """A Qlik site could not be asked, or refused; the message says what and the remedy what to do."""


class Health(StrEnum):
    """How a site is, as far as the listener knows."""

    GOOD = "good"
    """It is polled, and tells of reloads by itself."""
    POLLED = "polled"
    """It is polled only, so that a reload is noticed up to a poll later."""
    FAILING = "failing"
    """It cannot be polled."""
    SILENT = "silent"
    """No listener has said anything about it for a while."""
    UNWATCHED = "unwatched"
    """No listener ever watched it: no trigger waits for one of its apps."""


def health(state: SiteState | None, now: datetime) -> Health:
    """Return how a site is now."""
    if state is None:
        return Health.UNWATCHED
    if (now - state.reported_at).total_seconds() > state.overdue_after_s():
        return Health.SILENT
    if state.problem is not None:
        return Health.FAILING
    return Health.GOOD if state.push.working else Health.POLLED


@dataclass(frozen=True, slots=True)
class Site:
    """A connection and what is known of it."""

    id: str
    name: str
    kind: ConnectionKind
    address: str
    health: Health
    state: SiteState | None


@dataclass(frozen=True, slots=True)
class SiteApp:
    """An app that the connection's user sees; `space` is the stream, or the id of the space."""

    id: str
    name: str
    space: str = ""
    description: str = ""
    published: bool = False
    reloaded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AppPage:
    """Some of the apps of a site: `total` fit the search, `next` begins the page after."""

    items: tuple[SiteApp, ...]
    total: int
    next: str | None


def page_of(apps: Sequence[SiteApp], *, search: str, after: str | None, limit: int) -> AppPage:
    """Return the apps whose name, space or id holds the words searched for, by name.

    `after` is the id of the last app of the page before. Raises InvalidError when it is none of them.
    """
    words = search.casefold().split()
    fitting = sorted(
        (app for app in apps if all(word in _text(app) for word in words)),
        key=lambda app: (app.name.casefold(), app.id),
    )
    begin = 0
    if after is not None:
        ids = [app.id for app in fitting]
        if after not in ids:
            raise InvalidError(
                Problem("after", f"there is no app {after[:200]!r} in this list any more", "begin again")
            )
        begin = ids.index(after) + 1
    items = tuple(fitting[begin : begin + limit])
    more = begin + limit < len(fitting)
    return AppPage(items, len(fitting), items[-1].id if more else None)


@dataclass(frozen=True, slots=True)
class NamedApp:
    """An app named in a draft. A trigger that names none of the site's would wait for ever, in silence."""

    connection_id: str
    app_id: str
    field: str
    waits: bool

    @property
    def key(self) -> tuple[str, str]:
        """Return what it is whoever names it."""
        return self.connection_id, self.app_id


def named_apps(draft: Draft) -> Iterator[NamedApp]:
    """Yield every app a draft names."""
    if isinstance(draft, ReportDraft):
        yield NamedApp(draft.connection_id, draft.app_id, "app_id", waits=False)
    elif isinstance(draft, TaskDraft):
        for index, trigger in enumerate(draft.triggers):
            if isinstance(trigger, ScheduleTrigger):
                continue
            single = isinstance(trigger, ReloadTrigger)
            for place, app in enumerate(trigger.watched):
                path = "app_id" if single else f"apps.{place}.app_id"
                yield NamedApp(app.connection_id, app.app_id, f"triggers.{index}.{path}", waits=True)


def named_before(document: Mapping[str, Any] | None) -> set[tuple[str, str]]:
    """Return the apps that a stored report or task version names."""
    if document is None:
        return set()
    places = [document, *document.get("triggers", ())]
    places += [app for trigger in places[1:] for app in trigger.get("apps", ())]
    return {(each["connection_id"], each["app_id"]) for each in places if "app_id" in each}


def missing_app(named: NamedApp, site: str) -> Problem:
    """Return the problem of an app that its site does not have."""
    return Problem(
        named.field,
        f"the site {site!r} has no app {named.app_id!r} that its user may see",
        f"take an id that GET /api/v1/connections/{named.connection_id}/apps lists; an app made just now "
        "may take a moment to be listed",
    )


def unasked(named: NamedApp, why: str) -> Problem:
    """Return the warning that nobody knows whether a site has an app."""
    return Problem(
        named.field, f"it is not known whether the site has the app: {why}", "see the page Qlik sites"
    )


def _text(app: SiteApp) -> str:
    return f"{app.name} {app.space} {app.id}".casefold()
