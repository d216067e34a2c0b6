"""Texts of a plan with their tags filled in: subjects, bodies, names of files and folders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape as escape_html

from contracts.configuration import TaskVersion
from generator.domain.names import PathRefusedError, safe_folder, safe_name
from generator.domain.people import Person
from generator.domain.selections import PlanProblemError, text_of
from generator.domain.tags import Context, TagError, render
from generator.domain.units import Draft

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
        text = self._filled("the subject", self.task.mail.subject, self._context(person=person), _one_line)
        return _one_line(text)[:_SUBJECT_CHARS]

    def body(self, person: Person) -> str:
        """Return the body of a person's mail. Raises PlanProblemError for a bad tag.

        A body that begins with '<' is HTML, and values are escaped in it; any other is plain text.
        """
        body = self.task.mail.body
        escape = escape_html if body.lstrip().startswith("<") else _as_it_is
        return self._filled("the mail body", body, self._context(person=person), escape)

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
        text = self._filled(what, draft.item.report.file_name, self._context(draft, person), _one_line)
        # An encrypted archive is named after the file in it: the format says what comes out of it.
        name = safe_name(text, extension=draft.item.entry.format.value)
        return safe_name(name, extension="zip") if draft.item.locks.zipped else name

    def folder(self, draft: Draft, path: str) -> str:
        """Return a storage folder, relative and clean; PlanProblemError for a bad tag or a climbing path.

        A value can never add a folder: separators in it become '_'.
        """
        what = f"the storage path of the report {draft.item.report.name!r}"
        try:
            return safe_folder(self._filled(what, path, self._context(draft), safe_name))
        except PathRefusedError as error:
            raise PlanProblemError(
                "path-refused", str(error), "write a path below the storage space"
            ) from error

    def _context(self, draft: Draft | None = None, person: Person | None = None) -> Context:
        known: dict[str, Context | str | datetime] = {
            "task": {"name": self.task.name, "id": self.task.task_id},
            "execution": {"id": self.execution_id},
            "now": self.moment,
        }
        moments: Context = {"date": self.moment.date(), "time": self.moment.time()}
        return {
            **known,
            **moments,
            **(_of_draft(draft) if draft else {}),
            **(_of_person(person) if person else {}),
        }

    def _filled(self, what: str, template: str, context: Context, escape: Callable[[str], str]) -> str:
        try:
            return render(template, context, escape=escape)
        except TagError as error:
            raise PlanProblemError("tag-wrong", f"{what}: {error}", f"correct the tags of {what}") from error


def _of_draft(draft: Draft) -> Context:
    item = draft.item
    field = item.report.iteration.field if item.report.iteration else ""
    shown = [text_of(value) for each in draft.selections if each.field != field for value in each.values]
    return {
        "report": {"name": item.report.name, "format": item.entry.format.value},
        "iteration": {"value": draft.iteration_value or "", "field": field},
        "filters": "-".join(shown),
    }


def _of_person(person: Person) -> Context:
    recipient = person.recipient
    return {
        "recipient": {
            "name": recipient.name,
            "email": recipient.email or "",
            "attributes": dict(recipient.attributes),
        }
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _as_it_is(text: str) -> str:
    return text
