"""Messages on disk: one `.eml` with the bytes as they came, one `.json` with the SMTP envelope beside it."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError


class Attachment(BaseModel):
    """One attached (or inline) file of a message; `index` counts from 0 in the order of the message."""

    model_config = ConfigDict(frozen=True)

    index: int
    file_name: str
    content_type: str
    size: int
    sha256: str
    content_id: str | None = None


class StoredMessage(BaseModel):
    """What is known of a kept message. `rcpt_to` is the SMTP envelope, not the `To` header."""

    model_config = ConfigDict(frozen=True)

    id: str
    received_at: AwareDatetime
    mail_from: str
    rcpt_to: tuple[str, ...]
    size: int
    sha256: str
    subject: str
    header_from: str
    header_to: str
    header_cc: str
    message_id: str
    attachments: tuple[Attachment, ...]
    tls: bool
    user: str | None


class Inbox:
    """The messages of one folder. Ids sort by time of arrival.

    `clock` gives aware UTC times, `suffix` a few random characters that keep ids of the same microsecond
    apart.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime], suffix: Callable[[], str]) -> None:
        self._folder = folder
        self._clock = clock
        self._suffix = suffix
        folder.mkdir(parents=True, exist_ok=True)
        self._messages = {message.id: message for message in _load(folder)}

    def keep(
        self, content: bytes, *, mail_from: str, rcpt_to: Sequence[str], tls: bool, user: str | None
    ) -> StoredMessage:
        """Write a message; when this returns it is on disk, not in a cache. Blocks."""
        now = self._clock()
        parsed = _parse(content)
        message = StoredMessage(
            id=f"{now:%Y%m%dT%H%M%S.%f}-{self._suffix()}",
            received_at=now,
            mail_from=mail_from,
            rcpt_to=tuple(rcpt_to),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            subject=_header(parsed, "subject"),
            header_from=_header(parsed, "from"),
            header_to=_header(parsed, "to"),
            header_cc=_header(parsed, "cc"),
            message_id=_header(parsed, "message-id"),
            attachments=tuple(attachment for attachment, _ in _attachments(parsed)),
            tls=tls,
            user=user,
        )
        _write(self._folder / f"{message.id}.eml", content)
        # the message counts from here on: an .eml without its .json was never acknowledged
        _write(self._folder / f"{message.id}.json", message.model_dump_json(indent=2).encode())
        self._messages[message.id] = message
        return message

    def find(
        self, *, recipient: str = "", subject: str = "", limit: int | None = None
    ) -> list[StoredMessage]:
        """Newest first; those whose envelope recipient and subject contain the texts, in any case."""
        wanted, words = recipient.casefold(), subject.casefold()
        found = [
            message
            for _, message in sorted(self._messages.items(), reverse=True)
            if any(wanted in address.casefold() for address in message.rcpt_to)
            and words in message.subject.casefold()
        ]
        return found[:limit]

    def get(self, message_id: str) -> StoredMessage | None:
        """The message, or None. Only ids that `keep` made are known, so an id is never a path."""
        return self._messages.get(message_id)

    def raw(self, message: StoredMessage) -> bytes:
        """The bytes as they came over the wire."""
        return (self._folder / f"{message.id}.eml").read_bytes()

    def parsed(self, message: StoredMessage) -> EmailMessage:
        """The message as Python's parser sees it."""
        return _parse(self.raw(message))

    def attachment(self, message: StoredMessage, index: int) -> tuple[Attachment, bytes] | None:
        """An attachment and its bytes, or None when there is no such index."""
        found = _attachments(self.parsed(message))
        return found[index] if 0 <= index < len(found) else None

    def inline_images(self, message: StoredMessage) -> Mapping[str, tuple[str, bytes]]:
        """Content id to type and bytes, of the pictures the HTML part may show."""
        return {
            attachment.content_id: (attachment.content_type, data)
            for attachment, data in _attachments(self.parsed(message))
            if attachment.content_id and attachment.content_type.startswith("image/")
        }

    def delete(self, message_ids: Sequence[str] | None = None) -> int:
        """Remove these messages, or all; returns how many there were."""
        doomed = list(self._messages) if message_ids is None else message_ids
        known = [each for each in doomed if self._messages.pop(each, None)]
        for each in known:
            for ending in ("json", "eml"):
                (self._folder / f"{each}.{ending}").unlink(missing_ok=True)
        return len(known)


def body(message: EmailMessage, kind: str) -> str | None:
    """The `plain` or `html` body, or None when the message has none."""
    part = message.get_body(preferencelist=(kind,))
    return _text(part) if isinstance(part, EmailMessage) else None


def headers(message: EmailMessage) -> list[tuple[str, str]]:
    """All headers in their order, decoded where they can be."""
    return [(name, _decoded(name, raw)) for name, raw in message.raw_items()]


def _decoded(name: str, raw: str) -> str:
    try:
        return str(policy.default.header_fetch_parse(name, raw))
    except (ValueError, IndexError, AttributeError, TypeError):  # what the parser trips with
        return str(raw)


def _load(folder: Path) -> list[StoredMessage]:
    messages = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(ValidationError):  # not ours; it may stay there
            messages.append(StoredMessage.model_validate_json(path.read_bytes()))
    return messages


def _parse(content: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(content)


def _header(message: EmailMessage, name: str) -> str:
    return next((value for key, value in headers(message) if key.lower() == name), "")


def _text(part: EmailMessage) -> str:
    data = part.get_payload(decode=True)
    content = data if isinstance(data, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # a charset nobody knows
        return content.decode("utf-8", "replace")


def _attachments(message: EmailMessage) -> list[tuple[Attachment, bytes]]:
    bodies = {id(message.get_body(preferencelist=(kind,))) for kind in ("plain", "html")}
    found: list[tuple[Attachment, bytes]] = []
    for part in message.walk():
        if part.is_multipart() or id(part) in bodies:
            continue
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        index = len(found)
        attachment = Attachment(
            index=index,
            file_name=part.get_filename() or f"part-{index}",
            content_type=part.get_content_type(),
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content_id=str(part.get("content-id", "")).strip("<> ") or None,
        )
        found.append((attachment, data))
    return found


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(path.suffix + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
