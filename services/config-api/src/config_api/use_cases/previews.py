"""Ask for a preview of a report, and fetch it."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from config_api.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    Problem,
    TooManyError,
)
from config_api.domain.formats import Source, format_problems, formats_of
from config_api.domain.kinds import RECIPIENT, REPORT, TEMPLATE
from config_api.domain.previews import MOST, WITHIN, PreviewRequest, PreviewWish, request_preview
from config_api.domain.projection import PREVIEWS, Document
from config_api.domain.rights import Actor, Right, demand
from config_api.ports import ConfigurationStore, Files, PreviewStore, Views
from contracts.base import Artifact
from contracts.configuration import Report, TemplateKind
from runtime.clock import Clock


class Previews:
    """Previews: made by a generator on the road of a real report, kept for whoever asked."""

    def __init__(
        self,
        *,
        store: ConfigurationStore,
        requests: PreviewStore,
        views: Views,
        files: Files,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        """Take the ports."""
        self._store = store
        self._requests = requests
        self._views = views
        self._files = files
        self._clock = clock
        self._new_id = new_id

    async def ask(self, report_id: str, wish: PreviewWish, actor: Actor) -> PreviewRequest:
        """Ask for a preview. Raises NotFoundError, InvalidError, TooManyError."""
        demand(actor, Right.CONFIGURATION)
        demand(actor, Right.STATUS)
        report = await self._report(report_id)
        problems = list(format_problems("format", wish.format, await self._source(report)))
        if wish.recipient_id is not None and await self._store.get(RECIPIENT, wish.recipient_id) is None:
            message = f"there is no recipient {wish.recipient_id!r}"
            problems.append(Problem("recipient_id", message, "take an id that GET /api/v1/recipients lists"))
        if any(each.attribute for each in report.filters) and wish.recipient_id is None:
            message = "is missing, and a filter of the report takes an attribute of the recipient"
            problems.append(Problem("recipient_id", message, "name the recipient to look through whose eyes"))
        if wish.iteration_value is not None and report.iteration is None:
            message = "is given, and the report makes one file only"
            problems.append(Problem("iteration_value", message, "leave it out"))
        if problems:
            raise InvalidError(*problems)
        now = self._clock.now()
        if await self._requests.since(actor.account_id, now - WITHIN) >= MOST:
            message = f"You asked for {MOST} previews within a minute."
            raise TooManyError(message, "Wait a minute, then ask again.")
        request, event = request_preview(self._new_id(), report.id, wish, actor, now)
        await self._requests.ask(request, event)
        return request

    async def get(self, preview_id: str, actor: Actor) -> Document:
        """Return how a preview stands. Raises NotFoundError for one that somebody else asked for."""
        demand(actor, Right.STATUS)
        request = await self._requests.find(preview_id)
        if request is None or not request.belongs_to(actor):
            raise NotFoundError("preview", preview_id)
        known = await self._views.part(PREVIEWS, preview_id)
        return {**_asked(request, self._clock.now()), **(known or {})}

    async def file(self, preview_id: str, actor: Actor) -> tuple[Artifact, AsyncIterator[bytes]]:
        """Return the file of a preview as a stream. Raises ConflictError while there is none."""
        found = await self.get(preview_id, actor)
        if not found.get("artifact"):
            why = found["reason"]["message"] if found.get("reason") else "it is not made yet"
            raise ConflictError(
                f"The preview has no file: {why}", "Look at the preview to see how it stands."
            )
        artifact = Artifact.model_validate(found["artifact"])
        return artifact, self._files.stream(artifact)

    async def _report(self, report_id: str) -> Report:
        stored = await self._store.get(REPORT, report_id)
        if stored is None:
            raise NotFoundError(REPORT.name, report_id)
        return Report.model_validate(stored.document)

    async def formats(self, report_id: str, actor: Actor) -> tuple[Report, list[str]]:
        """Return a report and its formats, that of its template first. Raises NotFoundError."""
        demand(actor, Right.CONFIGURATION)
        report = await self._report(report_id)
        source = await self._source(report)
        own = source.value if source is not None else ""
        # The template's own format first: it is the one people mean, and it needs no conversion.
        found = sorted((each.value for each in formats_of(source)), key=lambda name: (name != own, name))
        return report, found

    async def _source(self, report: Report) -> Source:
        if report.native is not None:
            return report.native.kind
        if report.template_id is None:
            return None
        stored = await self._store.get(TEMPLATE, report.template_id)
        if stored is None:
            raise NotFoundError(TEMPLATE.name, report.template_id)
        return TemplateKind(stored.document["kind"])


def _asked(request: PreviewRequest, now: datetime) -> Document:
    """Return what is known before a generator said anything."""
    overdue = now > request.deadline_at
    return {
        "id": request.preview_id,
        "state": "overdue" if overdue else "requested",
        "report_id": request.report_id,
        "requested_by": request.requested_by,
        "requested_at": request.requested_at,
        "deadline_at": request.deadline_at,
    }
