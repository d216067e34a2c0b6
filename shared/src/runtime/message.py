"""Mail messages that are the same bytes each time, whoever builds them."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import NamedTuple

from runtime.errors import Permanent

# 7 bit throughout: no server has to support 8BITMIME, and the bytes are the same everywhere.
_POLICY = SMTP.clone(cte_type="7bit")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_HEADER_NAME = re.compile(r"X-[A-Za-z0-9-]{1,60}|Auto-Submitted|Reply-To|List-Id")
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
_CONTENT_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]+)/([a-z0-9!#$&^_.+-]+)", re.IGNORECASE)
_CHARSET = re.compile(r"charset=([A-Za-z0-9_-]{1,40})\b")
_MAX_SUBJECT = 900
_LONGEST_PLAIN_NAME = 60
_BYTES_PER_WORD = 42


class Attachment(NamedTuple):
    """A file of a mail."""

    file_name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MailContent:
    """Everything a message is made of. There is no bcc: those addresses belong into the envelope only."""

    message_id: str
    date: datetime
    sender: str
    sender_name: str = ""
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    subject: str
    text: str
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def message_id(delivery_id: str, domain: str) -> str:
    """Return the Message-ID of a delivery: the same at every attempt, so that a duplicate shows as one."""
    return f"<{delivery_id}@{domain}>"


def build_message(content: MailContent) -> EmailMessage:
    """Return the message; the same content gives the same bytes.

    Raises Permanent when a header holds control characters (`mail-header-invalid`) or an address cannot be
    used (`address-invalid`).
    """
    message = EmailMessage(policy=_POLICY)
    if not _MESSAGE_ID.fullmatch(content.message_id):
        raise _bad_header("Message-ID")
    if content.date.tzinfo is None:
        raise ValueError("the date of a mail has to be aware")
    message["Message-ID"] = content.message_id
    message["Date"] = format_datetime(content.date)
    message["From"] = _address(content.sender, _clean("From", content.sender_name))
    message["To"] = [_address(each) for each in content.to]
    if content.cc:
        message["Cc"] = [_address(each) for each in content.cc]
    message["Subject"] = _clean("Subject", content.subject)[:_MAX_SUBJECT]
    for name, value in content.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise _bad_header(name)
        message[name] = _clean(name, value)
    message.set_content(content.text, cte="quoted-printable")
    if content.html is not None:
        message.add_alternative(content.html, subtype="html", cte="quoted-printable")
    for attachment in content.attachments:
        _attach(message, attachment)
    _fix_boundaries(message, content.message_id)
    return message


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    match = _CONTENT_TYPE.fullmatch(attachment.content_type.partition(";")[0].strip())
    # multipart/* and message/* would be parsed by the receiver instead of being handed over as a file.
    main, sub = match.groups() if match else ("application", "octet-stream")
    if main.lower() in {"multipart", "message"}:
        main, sub = "application", "octet-stream"
    charset = _CHARSET.search(attachment.content_type)
    message.add_attachment(
        attachment.data,
        maintype=main,
        subtype=sub,
        filename=_clean("file name", attachment.file_name),
        params={"charset": charset[1]} if charset and main.lower() == "text" else {},
    )
    part = list(message.iter_attachments())[-1]
    if isinstance(part, EmailMessage):
        _name_for_old_programs(part, attachment.file_name)


class _NamedType(str):
    """A Content-Type header with the `name` parameter as encoded words (RFC 2047), as old programs read it.

    The library writes any parameter as RFC 2231 says, which those programs do not read. A header object of
    one's own is what its policies fold as it asks.
    """

    __slots__ = ()
    name = "Content-Type"

    def fold(self, *, policy: object) -> str:
        """Return the header as lines."""
        del policy
        return f"{self.name}: {self}\r\n"


def _name_for_old_programs(part: EmailMessage, file_name: str) -> None:
    """Repeat a name that stands in the disposition as RFC 2231 says, for programs that know only `name`."""
    if file_name.isascii() and len(file_name) <= _LONGEST_PLAIN_NAME:
        return
    plain = file_name.replace("\\", "\\\\").replace('"', '\\"')
    name = plain if file_name.isascii() else "\r\n ".join(_encoded_words(file_name))
    value = _NamedType(f'{part["Content-Type"]};\r\n name="{name}"')
    del part["Content-Type"]
    part["Content-Type"] = value


def _encoded_words(text: str) -> list[str]:
    """Return text as encoded words of at most 75 characters, each of whole characters (RFC 2047, 2)."""
    words, held = [], ""
    for char in text:
        if len((held + char).encode()) > _BYTES_PER_WORD:
            words.append(held)
            held = ""
        held += char
    return [f"=?utf-8?b?{base64.b64encode(each.encode()).decode()}?=" for each in (*words, held)]


def _fix_boundaries(message: EmailMessage, seed: str) -> None:
    # Drawn at random by the library; derived here, so that a second attempt sends the same bytes.
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            digest = hashlib.sha256(f"{seed}:{number}".encode()).hexdigest()[:32]
            part.set_boundary(f"=_{digest}")


def message_bytes(message: EmailMessage) -> bytes:
    """Return the message as it goes over the wire, before dot-stuffing: CRLF lines, 7 bit."""
    return message.as_bytes(policy=_POLICY)


def envelope_address(address: str) -> str:
    """Return an address as it may stand in an SMTP envelope: ASCII, an international domain as IDNA.

    Raises Permanent (`address-invalid`) for anything else.
    """
    if not _ADDRESS.fullmatch(address) or _CONTROL.search(address):
        raise _bad_address(address, "it is no mail address")
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise _bad_address(address, "its part before the @ is not ASCII, which many mail servers refuse")
    try:
        return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError:
        raise _bad_address(address, "its domain is no valid name") from None


def _address(address: str, name: str = "") -> Address:
    try:
        return Address(display_name=name, addr_spec=envelope_address(address))
    except (ValueError, IndexError) as error:
        raise _bad_address(address, "it is no mail address") from error


def _clean(header: str, value: str) -> str:
    if _CONTROL.search(value):
        raise _bad_header(header)
    return value


def _bad_header(name: str) -> Permanent:
    return Permanent(
        "mail-header-invalid",
        f"The {name} of the mail holds line breaks, control characters or is no valid header.",
        "Remove line breaks and control characters from it, also from the tags it is made of.",
    )


def _bad_address(address: str, why: str) -> Permanent:
    shown = _CONTROL.sub("?", address)[:254]
    return Permanent(
        "address-invalid",
        f"No mail can be sent to {shown!r}: {why}.",
        "Correct the address of the recipient.",
    )
