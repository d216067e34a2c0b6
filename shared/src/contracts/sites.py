"""What the Qlik listener knows of each site, as it writes it down and the console shows it.

The listener is the only writer of the collection; a site without a document is watched by nobody.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.base import Id, Utc, Wire

SITES = "scheduler_sites"
"""The collection; `_id` is the id of the connection."""


class PushKind(StrEnum):
    """How a site tells of reloads."""

    SUBSCRIPTION = "subscription"
    WEBHOOK = "webhook"
    NONE = "none"


class SitePush(Wire):
    """How a site was asked to tell of reloads, and whether that holds. Without it polling finds them."""

    kind: PushKind = PushKind.NONE
    working: bool = False
    id: str = Field(default="", description="handles of the subscriptions, or id of the webhook")
    since: Utc | None = Field(default=None, description="when it was made")
    checked_at: Utc | None = Field(default=None, description="when it was last made anew or looked at")
    problem: Annotated[str, Field(max_length=1000)] = ""


class SiteProblem(Wire):
    """Why a site cannot be read; `since` is when that began, `at` when it was last tried."""

    message: Annotated[str, Field(max_length=1000)]
    since: Utc
    at: Utc


class SiteMending(Wire):
    """Something about a site that was found broken and put right."""

    at: Utc
    what: Annotated[str, Field(max_length=400)]


class SiteState(Wire):
    """The state of a watched site. All times are the listener's clock."""

    connection_id: Id
    reported_at: Utc
    poll_every_s: float = Field(gt=0, description="how often it is polled when nothing is pushed")
    read_at: Utc | None = Field(default=None, description="the last poll that went well")
    pushed_at: Utc | None = Field(default=None, description="the last time the site called")
    lag_s: float | None = Field(
        default=None, description="how long after its end the latest reload was noticed, in seconds"
    )
    push: SitePush = SitePush()
    problem: SiteProblem | None = None
    warnings: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(
        default=(), description="what triggers wait for in vain, such as apps the site does not have"
    )
    mended: tuple[SiteMending, ...] = Field(default=(), description="the latest, oldest first")

    def overdue_after_s(self) -> float:
        """Return after how many seconds without a report nobody seems to watch the site any more."""
        return 3 * self.poll_every_s + 60
