"""Settings of the scheduler and of the Qlik listener. Environment variables start with BROADSHEET_."""

from typing import Annotated

from pydantic import Field, SecretStr

from runtime.settings import RuntimeSettings


class SchedulerSettings(RuntimeSettings):
    """What the scheduler process reads."""

    # A due time is published at most this much late; each tick reads every task head once.
    tick_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    relay_s: Annotated[float, Field(gt=0, le=60)] = 0.2
    # Covers a tick and the restart of a pod; later than this counts as missed (catch-up policy).
    missed_after_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    # The late decision of a window waits this long for a site that was not read since; covers several polls.
    late_patience_s: Annotated[float, Field(ge=0, le=3600)] = 60.0


class ListenerSettings(RuntimeSettings):
    """What the Qlik listener process reads."""

    relay_s: Annotated[float, Field(gt=0, le=60)] = 0.2
    # Polling finds every reload; what Qlik pushes only makes it look sooner.
    reload_poll_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    # A reload in the data load editor leaves no execution; this long after it one would be there.
    reload_settle_s: Annotated[float, Field(ge=0, le=240)] = 15.0
    # Above the client's own patience with one request; a site that hangs is only its own trouble.
    poll_timeout_s: Annotated[float, Field(ge=5, le=3600)] = 180.0
    # A repository forgets subscriptions when it restarts, without a word; so they are made anew.
    subscription_renewal_s: Annotated[float, Field(ge=1, le=86400)] = 300.0
    listener_host: str = "127.0.0.1"
    listener_port: Annotated[int, Field(ge=0, le=65535)] = 0
    listener_public_url: str | None = Field(
        default=None, description="how Qlik reaches the listener; unset: only polling"
    )
    listener_secret: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="makes the callback path and the keys of webhooks; the same for all listeners; "
        "unset: drawn at every start, and no webhooks",
    )
    # A new connection is noticed within this time.
    connections_refresh_s: Annotated[float, Field(ge=0.5, le=3600)] = 15.0
