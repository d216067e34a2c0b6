"""Settings of the distributor, read once in `__main__`. Environment variables start with BROADSHEET_."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator

from distributor.domain.mailing import Sender
from distributor.domain.results import RetryPolicy
from runtime.mail import SmtpSettings


class DistributorSettings(SmtpSettings):
    """How many deliveries at once, how patient, and how large."""

    fan_in_consumers: Annotated[int, Field(ge=1, le=50)] = Field(
        default=2, description="consumers of report-settled in this process"
    )
    delivery_concurrency: Annotated[int, Field(ge=1, le=200)] = Field(
        default=4, description="deliveries at once, for each of email, storage and Hub"
    )
    # A worker that died blocks its delivery this long; long sends lengthen their lease three times in it.
    delivery_lease_s: Annotated[float, Field(ge=1)] = 60.0
    delivery_abandon_grace_s: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="for a worker cut off from the store, before its mail counts as unknown"
    )
    delivery_settle_s: PositiveFloat = Field(
        default=120.0, description="how long an outcome is tried to be written down"
    )
    delivery_retry_delays_s: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = Field(
        default=(5.0, 15.0, 60.0, 300.0, 900.0), description="pauses between attempts; the last one repeats"
    )
    delivery_retry_spread: Annotated[float, Field(ge=0, lt=1)] = 0.2
    delivery_deadline_margin_s: Annotated[float, Field(ge=0)] = Field(
        default=15.0, description="attempts end this long before the deadline, so that the outcome is in time"
    )
    delivery_poll_s: PositiveFloat = Field(default=1.0, description="between two looks for due deliveries")
    delivery_sweep_s: PositiveFloat = Field(default=5.0, description="between two looks for stray deliveries")
    # Longer than messages and dead letters are kept (30 days), or a replay would find its row gone.
    delivery_keep_days: Annotated[int, Field(ge=31, le=3650)] = Field(
        default=90, description="how long settled deliveries stay in the ledger"
    )
    circuit_first_pause_s: PositiveFloat = 2.0
    circuit_longest_pause_s: PositiveFloat = 60.0

    mail_subject_prefix: Annotated[str, Field(max_length=100)] = ""
    mail_max_bytes: Annotated[int, Field(ge=10_000)] = 25 * 1024 * 1024
    artifact_max_bytes: Annotated[int, Field(ge=1)] = 2 * 1024 * 1024 * 1024
    scratch_folder: Path | None = Field(
        default=None, description="for files on their way; unset: the system's"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.circuit_first_pause_s > self.circuit_longest_pause_s:
            raise ValueError("circuit_first_pause_s has to be at most circuit_longest_pause_s")
        return self

    def retry_policy(self) -> RetryPolicy:
        """Return the pauses between attempts."""
        delays = tuple(timedelta(seconds=each) for each in self.delivery_retry_delays_s)
        return RetryPolicy(delays=delays, spread=self.delivery_retry_spread)

    def sender(self) -> Sender:
        """Return from whom mails come, and how large they may be."""
        return Sender(
            address=self.smtp_from,
            name=self.smtp_from_name,
            message_id_domain=self.smtp_message_id_domain,
            subject_prefix=self.mail_subject_prefix,
            max_bytes=self.mail_max_bytes,
        )
