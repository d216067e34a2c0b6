"""Texts of a plan with their tags filled in: subjects, bodies, names of files and folders."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape as escape_html

from contracts.base import Selection
from contracts.configuration import Report, TaskVersion
from generator.domain.people import Person
from generator.domain.selections import PlanProblemError, text_of
from generator.domain.tags import Context, TagError, render
from generator.domain.units import Draft
from rendering.file_names import PathRefusedError, part_of_name, safe_folder, safe_name
from rendering.mail_safe import is_html
from rendering.model import Meta
from rendering.vocabulary import Place, facts

_SUBJECT_CHARS = 500


@dataclass(frozen=True, slots=True)
class Wording:
    """Fills in tags about the task, the moment, a file and a person."""

    task: TaskVersion
    execution_id: str
    moment: datetime
    """When the run was due, in the time zone of the trigger: a run that is late keeps its date."""

    def subject(self, person: Person) -> str:
        """Return the subject of a person's mail, one line. Raises PlanProblemError for a bad tag."""
        text = self._filled(
            "the subject", self.task.mail.subject, self._facts(Place.SUBJECT, person=person), _one_line
        )
        return _one_line(text)[:_SUBJECT_CHARS]

    def body(self, person: Person) -> str:
        """Return the body of a person's mail. Raises PlanProblemError for a bad tag.

        A body that begins with '<' is HTML, and values are escaped in it; any other is plain text.
        """
        body = self.task.mail.body
        html = is_html(body)
        escape = escape_html if html else _as_it_is
        return self._filled("the mail body", body, self._facts(Place.BODY, person=person), escape, html=html)

    def file_name(self, drafts: Sequence[Draft]) -> str:
        """Return the safe, not yet unique name of the file that these drafts share.

        Raises PlanProblemError for a bad tag.

        `recipient` tags are known only where one person alone gets the file, as a file has one name.
        """
        draft = drafts[0]
        everybody = (person for each in drafts for person in (*each.mailed, *each.shown))
        readers = {person.recipient.id: person for person in everybody}
        person = next(iter(readers.values())) if len(readers) == 1 else None
        what = f"the file name of the report {draft.item.report.name!r}"
        text = self._filled(
            what, draft.item.report.file_name, self._facts(Place.FILE_NAME, draft, person), _one_line
        )
        # An encrypted archive is named after the file in it: the format says what comes out of it.
        name = safe_name(text, extension=draft.item.entry.format.value)
        return safe_name(name, extension="zip") if draft.item.locks.zipped else name

    def folder(self, draft: Draft, path: str) -> str:
        """Return a storage folder, relative and clean; PlanProblemError for a bad tag or a climbing path.

        A value can never add a folder: separators in it become '_'.
        """
        what = f"the storage path of the report {draft.item.report.name!r}"
        try:
            return safe_folder(self._filled(what, path, self._facts(Place.FOLDER, draft), part_of_name))
        except PathRefusedError as error:
            raise PlanProblemError(
                "path-refused", str(error), "write a path below the storage space"
            ) from error

    def _facts(self, place: Place, draft: Draft | None = None, person: Person | None = None) -> Context:
        recipient = person.recipient if person else None
        value = draft.iteration_value if draft else None
        meta = Meta(
            now=self.moment,
            task=self.task.name,
            task_id=self.task.task_id,
            execution_id=self.execution_id,
            report=draft.item.report.name if draft else "",
            format=draft.item.entry.format.value if draft else "",
            iteration=value or "",
            iteration_field=iteration_field(draft.item.report) if draft else "",
            filters=shown_filters(draft.selections, iteration_field(draft.item.report)) if draft else "",
            recipient=recipient.name if recipient else "",
            email=(recipient.email or "") if recipient else "",
            attributes=recipient.attributes if recipient else {},
        )
        return facts(meta, place)

    def _filled(
        self,
        what: str,
        template: str,
        context: Context,
        escape: Callable[[str], str],
        *,
        html: bool = False,
    ) -> str:
        try:
            return render(template, context, escape=escape, html=html)
        except TagError as error:
            raise PlanProblemError("tag-wrong", f"{what}: {error}", f"correct the tags of {what}") from error


def iteration_field(report: Report) -> str:
    """Return the field a report iterates over; empty for one that does not."""
    return report.iteration.field if report.iteration else ""


def shown_filters(selections: Iterable[Selection], field: str | None) -> str:
    """Return what the tag `filters` shows: the selected values other than those of the iteration's field."""
    shown = [text_of(value) for each in selections if each.field != field for value in each.values]
    return "-".join(shown)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _as_it_is(text: str) -> str:
    return text
