"""Whether the passwords of a task's files can be what they are meant to be. No secret is ever repeated."""

from collections.abc import Iterator

from config_api.domain.drafts import MASK, TaskDraft
from config_api.domain.errors import Problem
from contracts.configuration import OutputFormat, TaskReport
from rendering.phrases import has_tags, problems
from rendering.vocabulary import Place, known

LOCKABLE = frozenset(
    {OutputFormat.PDF, OutputFormat.XLSX, OutputFormat.XLSM, OutputFormat.DOCX, OutputFormat.PPTX}
)
"""Formats that have passwords of their own; all others go into an encrypted archive."""
_LEAST, _MOST = 8, 127


def password_problems(draft: TaskDraft) -> Iterator[Problem]:
    """Yield what is wrong with the names and texts of passwords."""
    for path, text in draft.secrets.items():
        found = _target(path, draft)
        field = f"secrets.{path}"
        if found is None:
            remedy = "reports.<id of a report of the task>.open_password, edit_password or zip_password"
            yield Problem(field, "is no password of a report of this task", f"name it {remedy}")
            continue
        report, kind = found
        if kind != "zip" and report.format not in LOCKABLE:
            message = f"a {report.format.value} file has no {kind} password"
            yield Problem(field, message, f"set reports.{report.id}.zip_password for an encrypted archive")
        if kind != "zip" and report.options.pdf_a is not None:
            message = "a PDF/A file must not be encrypted"
            yield Problem(field, message, "leave out options.pdf_a, or set a zip_password instead")
        if report.embed:
            message = "the report is embedded in the mail, where a password means nothing"
            yield Problem(field, message, "attach it instead")
        if text is not None and set(text) != set(MASK):
            yield from _text(field, text)


def _target(path: str, draft: TaskDraft) -> tuple[TaskReport, str] | None:
    for report in draft.reports:
        for kind in ("open", "edit", "zip"):
            name = f"reports.{report.id}.{kind}_password"
            if path == name or (path.startswith(f"{name}.") and len(path) > len(name) + 1):
                return report, kind
    return None


def _text(field: str, text: str) -> Iterator[Problem]:
    # What is wrong with a tag is not repeated: the words of the problem would hold a part of the secret.
    if problems(text, Place.PASSWORD):
        message = "has a tag that passwords do not know, or that cannot be read"
        yield Problem(field, message, f"Write {{{{ name }}}}; a password can show: {known(Place.PASSWORD)}")
    if not has_tags(text) and not _LEAST <= len(text.encode()) <= _MOST:
        message = f"has not between {_LEAST} characters and {_MOST} bytes"
        yield Problem(field, message, "choose another password")
