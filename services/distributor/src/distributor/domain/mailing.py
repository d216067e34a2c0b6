"""The mail of a delivery: who gets it, what it says, what hangs on it.

Who gets it is decided in `addressing` and nowhere else: in test mode that is the test address alone, in the
envelope as in the headers. `contracts.mailing.guard` looks at the finished result once more, right before it
leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape

from contracts.base import Artifact, Reason
from contracts.events import DeliveredFile
from contracts.mailing import due, redirected_subject
from contracts.plan import PlannedMail
from distributor.domain.archive import archive_bytes
from distributor.domain.embedding import fragment, is_html, plain_text
from distributor.domain.rows import FileInfo, Row, SettledUnit, UnitKind, generated, missing_units
from rendering.file_names import safe_name, unique_names

# Base64 in lines of 76 characters: 78 bytes on the wire for 57 bytes of file.
_BASE64 = 78 / 57
_ROOM_FOR_HEADERS = 8 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """From whom mails come, and how large they may be."""

    address: str
    message_id_domain: str
    name: str = ""
    subject_prefix: str = ""
    max_bytes: int = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Addressing:
    """Who gets a mail: header fields, subject and envelope."""

    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    envelope: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file on a mail."""

    file_name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A finished mail, and what is to be told of it once it is accepted."""

    message_id: str
    sender: Sender
    addressing: Addressing
    date: datetime
    text: str
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    files: tuple[DeliveredFile, ...] = ()
    detail: str = ""


def addressing(row: Row, *, prefix: str = "") -> Addressing:
    """Return who gets the mail of a row: with a test address nobody else.

    The subject then names who would have got it. The envelope holds the addresses that are still due; the
    header fields are the same at every attempt.
    """
    mail = _mail(row)
    subject = " ".join(f"{prefix} {mail.subject}".split())
    if row.test_address is not None:
        marked = redirected_subject(subject, mail.to)
        return Addressing(to=(row.test_address,), cc=(), subject=marked, envelope=due(row.addresses))
    return Addressing(to=(mail.to,), cc=mail.cc, subject=subject, envelope=due(row.addresses))


def message_id(delivery_id: str, domain: str) -> str:
    """Return the Message-ID of a delivery: the same at every attempt, so that a copy can be recognised."""
    return f"<{delivery_id}@{domain}>"


def too_large(row: Row, outcomes: Mapping[str, SettledUnit], limit: int) -> Reason | None:
    """Return why the files of a mail cannot be sent, from their sizes alone, before any is read."""
    artifacts = generated(row, outcomes)
    mail = _mail(row)
    attached = sum(a.size for unit, a in artifacts.items() if unit not in mail.embed)
    embedded = sum(a.size for unit, a in artifacts.items() if unit in mail.embed)
    size = int((attached + embedded) * _BASE64) + len(mail.body.encode()) + _ROOM_FOR_HEADERS
    if size <= limit:
        return None
    return Reason(
        code="mail-too-large",
        message=f"the mail would have {size:,} bytes, more than the {limit:,} that are allowed",
        remedy="save large reports to a storage space or publish them in the Hub, deliver fewer files in one "
        "mail, or raise BROADSHEET_MAIL_MAX_BYTES if the mail server takes more",
    )


def compose(
    row: Row,
    outcomes: Mapping[str, SettledUnit],
    contents: Mapping[str, bytes],
    sender: Sender,
    *,
    date: datetime,
) -> Letter:
    """Return the mail of a row whose artifacts were read into `contents`, by unit id."""
    mail = _mail(row)
    artifacts = generated(row, outcomes)
    attachments, files = _attachments(row, mail, artifacts, contents)
    embedded = [unit for unit in mail.embed if unit in artifacts]
    files += [
        DeliveredFile(unit_id=unit, artifact=artifacts[unit], path="(in the body)") for unit in embedded
    ]
    missing = missing_units(row, outcomes)
    who = addressing(row, prefix=sender.subject_prefix)
    return Letter(
        message_id=message_id(row.id, sender.message_id_domain),
        sender=sender,
        addressing=who,
        date=date,
        text=_text(row, mail, attachments, embedded=bool(embedded), missing=missing),
        html=_html(mail, [contents[unit] for unit in embedded], missing),
        attachments=tuple(attachments),
        headers={
            # RFC 3834: keeps out-of-office replies from coming back.
            "Auto-Submitted": "auto-generated",
            "X-Broadsheet-Execution": row.execution_id,
            "X-Broadsheet-Delivery": row.id,
        },
        files=tuple(files),
        detail=f"{len(missing)} of {len(row.planned.units)} files were not made" if missing else "",
    )


def _attachments(
    row: Row, mail: PlannedMail, artifacts: Mapping[str, Artifact], contents: Mapping[str, bytes]
) -> tuple[list[Attachment], list[DeliveredFile]]:
    single = [unit for unit in mail.attach if unit in artifacts]
    zipped = [unit for unit in mail.zipped if unit in artifacts]
    archive = [safe_name(mail.zip_name or f"{row.task_name}.zip")] if zipped else []
    names = unique_names([*(safe_name(artifacts[unit].file_name) for unit in single), *archive])
    made = [
        Attachment(name, artifacts[unit].content_type, contents[unit])
        for unit, name in zip(single, names, strict=False)
    ]
    files = [
        DeliveredFile(unit_id=unit, artifact=artifacts[unit], path=name)
        for unit, name in zip(single, names, strict=False)
    ]
    if zipped:
        members = unique_names(safe_name(artifacts[unit].file_name) for unit in zipped)
        content = archive_bytes((name, contents[unit]) for unit, name in zip(zipped, members, strict=True))
        made.append(Attachment(names[-1], "application/zip", content))
        files += [
            DeliveredFile(unit_id=unit, artifact=artifacts[unit], path=f"{names[-1]}/{name}")
            for unit, name in zip(zipped, members, strict=True)
        ]
    return made, files


_NOT_INCLUDED = "Not part of this mail:"


def _text(
    row: Row,
    mail: PlannedMail,
    attachments: Sequence[Attachment],
    *,
    embedded: bool,
    missing: Sequence[tuple[FileInfo, SettledUnit]],
) -> str:
    body = plain_text(mail.body) if is_html(mail.body) else mail.body.strip()
    if not body:
        body = row.task_name
        if embedded:
            body += "\n\nThe report is shown in the HTML part of this mail."
        if attachments:
            body += "\n\nAttached: " + ", ".join(each.file_name for each in attachments)
    notice = "".join(f"\n- {line}" for line in _missing_lines(missing))
    return body + (f"\n\n{_NOT_INCLUDED}{notice}" if notice else "") + "\n"


def _html(
    mail: PlannedMail, embedded: Sequence[bytes], missing: Sequence[tuple[FileInfo, SettledUnit]]
) -> str | None:
    if not embedded and not is_html(mail.body):
        return None
    body = fragment(mail.body) if is_html(mail.body) else escape(mail.body.strip()).replace("\n", "<br>\n")
    parts = [f"<div>{body}</div>"] if body else []
    parts += [f"<div>{fragment(document)}</div>" for document in embedded]
    if missing:
        items = "".join(f"<li>{escape(line)}</li>" for line in _missing_lines(missing))
        parts.append(f"<div><p>{_NOT_INCLUDED}</p><ul>{items}</ul></div>")
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _missing_lines(missing: Sequence[tuple[FileInfo, SettledUnit]]) -> list[str]:
    return [f"{' '.join(info.file_name.split())}: {_why(unit)}" for info, unit in missing]


def _why(unit: SettledUnit) -> str:
    # A failure's message is for the operator, not for the reader of a report; a skip was asked for.
    if unit.kind is UnitKind.SKIPPED and unit.reason is not None:
        return " ".join(unit.reason.message.split())
    return "it could not be made; those who run the task have been told"


def _mail(row: Row) -> PlannedMail:
    if row.planned.mail is None:
        raise ValueError(f"delivery {row.id} is no mail")
    return row.planned.mail
