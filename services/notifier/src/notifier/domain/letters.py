"""Outcome mails: who hears how an execution went, and in which words."""

import re
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

from contracts.base import ObjectRef, Wire
from contracts.configuration import NotificationSettings
from contracts.events import Outcome
from contracts.ids import notification_id
from contracts.mailing import Addresses, addressed, guard, redirected_subject
from notifier.domain.model import Completion, Execution
from notifier.domain.tasklog import moment

_WORD = {
    Outcome.SUCCESS: "succeeded",
    Outcome.WARNING: "finished with warnings",
    Outcome.ERROR: "failed",
    Outcome.SKIPPED: "was skipped",
}
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is to be told, and the test address while the task is in test mode."""

    settings: NotificationSettings
    test_address: str | None = None


class Letter(Wire):
    """One outcome mail, complete but for the log that is attached."""

    id: str
    execution_id: str
    task_id: str
    task_name: str = ""
    outcome: Outcome
    to: str
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str
    text: str
    log: ObjectRef | None = None
    test_address: str | None = None

    def addresses(self) -> Addresses:
        """Return who is to get the letter, nobody having it yet."""
        return addressed(self.to, self.cc, self.bcc)

    @property
    def envelope(self) -> tuple[str, ...]:
        """Every address the server is told."""
        return tuple(each.address for each in self.addresses())

    def guarded(self) -> Self:
        """Return the letter. Raises TestModeBreachError when it breaks the rule of test mode."""
        if self.test_address is not None:
            guard((self.test_address,), envelope=self.envelope, headers=[("Cc", each) for each in self.cc])
        return self


def letters(
    execution: Execution, completion: Completion, audience: Audience, zone: ZoneInfo
) -> tuple[Letter, ...]:
    """Return the mails about an outcome; empty when nobody wants to hear of it.

    One mail per address of `to`; copies go with the first one, so that they come once. Without `to`, each
    address of `cc` (then `bcc`) gets one. In test mode every mail goes to the test address, without copies.
    """
    settings = audience.settings
    if not _wanted(settings, completion.outcome):
        return ()
    groups = [list(dict.fromkeys(group)) for group in (settings.to, settings.cc, settings.bcc)]
    while groups and not groups[0]:
        groups.pop(0)
    if not groups:
        return ()
    addressed, copies = groups[0], groups[1:]
    hidden = copies.pop() if copies else []
    shown = copies.pop() if copies else []
    test = audience.test_address
    subject = _subject(execution, completion)
    text = _text(execution, completion, zone)
    return tuple(
        Letter(
            id=notification_id(execution.id, address),
            execution_id=execution.id,
            task_id=execution.task_id,
            task_name=execution.task_name,
            outcome=completion.outcome,
            to=test or address,
            cc=tuple(shown) if first and not test else (),
            bcc=tuple(hidden) if first and not test else (),
            subject=redirected_subject(subject, address) if test else subject,
            text=text,
            log=completion.log,
            test_address=test,
        ).guarded()
        for address, first in zip(addressed, (True, *(False,) * len(addressed)), strict=False)
    )


def _wanted(settings: NotificationSettings, outcome: Outcome) -> bool:
    return {
        Outcome.SUCCESS: settings.on_success,
        Outcome.WARNING: settings.on_warning,
        Outcome.ERROR: settings.on_error,
        Outcome.SKIPPED: False,
    }[outcome]


def _subject(execution: Execution, completion: Completion) -> str:
    # A name may hold anything; a header may not.
    name = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", execution.task_name)[:_MAX_NAME].strip()
    return f"{completion.outcome.value.capitalize()}: {name}"


def _text(execution: Execution, completion: Completion, zone: ZoneInfo) -> str:
    lines = [
        f"The task {execution.task_name} {_WORD[completion.outcome]}.",
        "",
        f"Triggered  {moment(execution.triggered_at, zone)}",
        f"Completed  {moment(completion.at, zone)}",
        f"Execution  {execution.id}",
    ]
    if completion.reasons:
        lines += ["", "Why:"]
    for reason in completion.reasons:
        lines.append(f"- {reason.message}")
        if reason.remedy:
            lines.append(f"  {reason.remedy}")
    lines += ["", "The task log is attached." if completion.log else "The task log could not be stored.", ""]
    return "\n".join(lines)


def attachment_name(letter: Letter) -> str:
    """Return the file name of the attached log."""
    return f"task-log-{letter.execution_id}.txt"
