"""Previews: a report as it would be, for the person who asks and for nobody else."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from config_api.domain.rights import Actor, Role
from contracts.base import Selection
from contracts.configuration import OutputFormat
from contracts.events import PreviewRequested
from contracts.output import OutputOptions

PATIENCE = timedelta(minutes=3)
"""How long a preview may take; whoever waits longer has left."""
WITHIN = timedelta(minutes=1)
MOST = 10
"""So many previews one account may ask for within a minute: each opens an app in Qlik."""


class PreviewWish(BaseModel):
    """What is to be shown: a format, and what narrows the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: OutputFormat
    selections: tuple[Selection, ...] = Field(
        default=(), max_length=50, description="narrow what the report's own filters leave"
    )
    iteration_value: str | None = Field(
        default=None, max_length=500, description="of a report that makes a file per value; else the first"
    )
    recipient_id: str | None = Field(
        default=None, max_length=200, description="whose attributes the report's filters take"
    )
    options: OutputOptions = Field(default=OutputOptions(), description="as those of a task report")


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """A preview somebody asked for."""

    preview_id: str
    report_id: str
    account_id: str
    requested_by: str
    requested_at: datetime
    deadline_at: datetime

    def belongs_to(self, actor: Actor) -> bool:
        """Return whether somebody may see it: whoever asked, or an administrator."""
        return self.account_id == actor.account_id or actor.role is Role.ADMIN


def request_preview(
    preview_id: str, report_id: str, wish: PreviewWish, actor: Actor, now: datetime
) -> tuple[PreviewRequest, PreviewRequested]:
    """Return the request and the event that starts it."""
    deadline = now + PATIENCE
    event = PreviewRequested(
        preview_id=preview_id,
        report_id=report_id,
        format=wish.format.value,
        selections=wish.selections,
        iteration_value=wish.iteration_value,
        recipient_id=wish.recipient_id,
        options=wish.options,
        requested_by=actor.name,
        deadline_at=deadline,
    )
    return PreviewRequest(preview_id, report_id, actor.account_id, actor.name, now, deadline), event


def selections_of(text: str) -> tuple[Selection, ...]:
    """Return the filters of a form: a line each, as `field = value; value`. Raises ValueError."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        field, sign, values = line.partition("=")
        chosen = tuple(value.strip() for value in values.split(";") if value.strip())
        if not sign or not field.strip() or not chosen:
            raise ValueError(f"line {number} of the filters is not of the form: field = value; value")
        found.append(Selection(field=field.strip(), values=chosen))
    return tuple(found)
