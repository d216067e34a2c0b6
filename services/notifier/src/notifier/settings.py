"""Settings of the notifier, read once in `__main__`. Environment variables start with BROADSHEET_."""

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator

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
    # Longer than the slowest send: a mail on its way past its lease would count as abandoned.
    notification_lease_s: PositiveFloat = 180.0
    notification_retry_delays_s: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = Field(
        default=(5.0, 15.0, 60.0, 300.0, 900.0), description="pauses between attempts; the last one repeats"
    )
    notification_give_up_s: PositiveFloat = 6 * 3600.0
    # Longer than messages and dead letters are kept (30 days), or a replay would find its execution gone.
    outcome_keep_days: Annotated[int, Field(ge=31, le=3650)] = Field(
        default=90, description="how long ended executions and their mails stay with the notifier"
    )

    @model_validator(mode="after")
    def _lease_is_long_enough(self) -> Self:
        longest = self.smtp_command_timeout_s + self.smtp_data_timeout_s
        if self.notification_lease_s <= longest:
            raise ValueError(
                f"notification_lease_s has to be above {longest:.0f}, which smtp_command_timeout_s and "
                "smtp_data_timeout_s allow a send to take"
            )
        return self
