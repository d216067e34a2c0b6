"""Settings of the notifier, read once in `__main__`. Environment variables start with BROADSHEET_."""

from typing import Annotated

from pydantic import Field, PositiveFloat

from runtime.mail import SmtpSettings


class NotifierSettings(SmtpSettings):
    """How patient the notifier is with executions and with mails."""

    notifier_consumers: Annotated[int, Field(ge=1, le=50)] = Field(
        default=1, description="consumers of report-settled and of delivery-settled in this process"
    )
    provisional_deadline_s: PositiveFloat = Field(
        default=3600.0, description="how long planning may take before an execution counts as failed"
    )
    deadline_grace_s: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="granted after a deadline to what finishes in the last moment"
    )
    deadline_watch_s: PositiveFloat = Field(default=2.0, description="between two looks for what is overdue")
    notification_poll_s: PositiveFloat = Field(default=0.5, description="between two looks for due mails")
    # A notifier that died holds up its mail this long; a send that takes longer extends its lease.
    notification_lease_s: Annotated[float, Field(ge=1)] = 60.0
    notification_retry_delays_s: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = Field(
        default=(5.0, 15.0, 60.0, 300.0, 900.0), description="pauses between attempts; the last one repeats"
    )
    notification_give_up_s: PositiveFloat = 6 * 3600.0
    # Longer than messages and dead letters are kept (30 days), or a replay would find its execution gone.
    outcome_keep_days: Annotated[int, Field(ge=31, le=3650)] = Field(
        default=90, description="how long ended executions and their mails stay with the notifier"
    )
