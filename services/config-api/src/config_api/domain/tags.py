"""Whether the texts with tags of a draft can be filled in: every tag read, every name one there is."""

from collections.abc import Iterator

from config_api.domain.drafts import ReportDraft, TaskDraft
from config_api.domain.errors import Problem
from contracts.configuration import Report, TaskVersion
from rendering.mail_safe import is_html
from rendering.phrases import problems
from rendering.vocabulary import Place


def report_tags(draft: ReportDraft | Report) -> Iterator[Problem]:
    """Yield what is wrong with the tags of a report's file name."""
    yield from tag_problems("file_name", draft.file_name, Place.FILE_NAME)


def task_tags(draft: TaskDraft | TaskVersion) -> Iterator[Problem]:
    """Yield what is wrong with the tags of a task's mail and storage paths."""
    mail = draft.mail
    yield from tag_problems("mail.subject", mail.subject, Place.SUBJECT)
    yield from tag_problems("mail.body", mail.body, Place.BODY, html=is_html(mail.body))
    for index, report in enumerate(draft.reports):
        for number, target in enumerate(report.storage):
            yield from tag_problems(f"reports.{index}.storage.{number}.path", target.path, Place.FOLDER)


def tag_problems(field: str, text: str, place: Place, *, html: bool = False) -> Iterator[Problem]:
    """Yield a problem for each tag of a text that a run could not fill in."""
    for problem in problems(text, place, html=html):
        yield Problem(field, f"{problem.place}: {problem.message}", problem.remedy)
