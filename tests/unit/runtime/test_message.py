"""Mail messages: the same bytes each time, and no way into the headers."""

import email
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest

from runtime.errors import Permanent
from runtime.message import (
    Attachment,
    MailContent,
    build_message,
    envelope_address,
    message_bytes,
    message_id,
)

CONTENT = MailContent(
    message_id="<d-1@example.org>",
    date=datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
    sender="reports@example.org",
    sender_name="Berichte, täglich",
    to=("ann@example.org", "bob@bücher.example"),
    cc=("carl@example.org",),
    subject="Umsätze im März",
    text="Guten Tag\n\nÜbersicht anbei.\n.\n",
    html="<p>Übersicht anbei.</p>",
    attachments=(
        Attachment(
            "umsätze.xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            b"\0\1\2" * 90,
        ),
        Attachment("log.txt", "text/plain; charset=utf-8", b"Zeile\n"),
    ),
    headers={"X-Broadsheet-Execution": "e-1", "Auto-Submitted": "auto-generated"},
)


def parsed(content: MailContent) -> EmailMessage:
    found: Any = email.message_from_bytes(message_bytes(build_message(content)), policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_same_content_gives_the_same_bytes() -> None:
    assert message_bytes(build_message(CONTENT)) == message_bytes(build_message(CONTENT))


def test_everything_comes_out_as_it_went_in() -> None:
    message = parsed(CONTENT)
    assert message["Message-ID"] == "<d-1@example.org>"
    assert message["Subject"] == "Umsätze im März"
    assert message["From"].addresses[0].display_name == "Berichte, täglich"
    assert [each.addr_spec for each in message["To"].addresses] == [
        "ann@example.org",
        "bob@xn--bcher-kva.example",
    ]
    assert message["Cc"] == "carl@example.org"
    assert message["Date"].datetime == CONTENT.date
    assert message["X-Broadsheet-Execution"] == "e-1"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == CONTENT.text
    assert html.get_content().strip() == CONTENT.html
    files = {part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()}
    assert files == {each.file_name: each.data for each in CONTENT.attachments}
    types = [(part.get_content_type(), part.get_content_charset()) for part in message.iter_attachments()]
    assert types == [(CONTENT.attachments[0].content_type, None), ("text/plain", "utf-8")]


def test_bytes_are_seven_bit_with_crlf_and_short_lines() -> None:
    long = replace(CONTENT, text="x" * 5000, subject="Ü" * 300)
    data = message_bytes(build_message(long))
    assert data.isascii()
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(len(line) for line in data.split(b"\r\n")) <= 998


def test_text_alone_is_no_multipart() -> None:
    simple = replace(CONTENT, html=None, attachments=())
    assert not build_message(simple).is_multipart()


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "a\r\nBcc: eve@example.org"},
        {"subject": "a\nb"},
        {"subject": "a\0b"},
        {"sender_name": "x\r\nX-Evil: 1"},
        {"headers": {"X-A": "b\r\nc"}},
        {"headers": {"Bcc": "eve@example.org"}},
        {"headers": {"X-A: b\r\nX-B": "c"}},
        {"message_id": "no brackets"},
        {"message_id": "<a@b>\r\nX: y"},
        {"attachments": (Attachment("a\r\nb.txt", "text/plain", b""),)},
    ],
)
def test_headers_cannot_be_injected(change: dict[str, Any]) -> None:
    with pytest.raises(Permanent) as raised:
        build_message(replace(CONTENT, **change))
    assert raised.value.code == "mail-header-invalid"
    assert raised.value.remedy


@pytest.mark.parametrize(
    "bad", ["", "ann", "ann@", "@x", "a b@x.y", "a@b\r\nc", "a,b@x.y", "<a@x.y>", "ä@x.y"]
)
def test_address_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(Permanent) as raised:
        build_message(replace(CONTENT, to=(bad,)))
    assert raised.value.code == "address-invalid"
    with pytest.raises(Permanent):
        envelope_address(bad)


def test_international_domain_goes_over_the_wire_as_ascii() -> None:
    assert envelope_address("bob@bücher.example") == "bob@xn--bcher-kva.example"


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed", "nonsense", "", "text/plain\r\nX: y"])
def test_attachment_is_always_handed_over_as_a_file(kind: str) -> None:
    message = parsed(replace(CONTENT, attachments=(Attachment("a.bin", kind, b"From: x\r\n\r\ny"),)))
    (part,) = message.iter_attachments()
    assert part.get_payload(decode=True) == b"From: x\r\n\r\ny"
    assert part.get_content_disposition() == "attachment"


def test_naive_date_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="aware"):
        build_message(replace(CONTENT, date=datetime(2026, 3, 2, 8, 0)))


def test_ids() -> None:
    assert message_id("d-1", "example.org") == "<d-1@example.org>"


@pytest.mark.parametrize(
    "name",
    [
        "Übersicht der Verkäufe für März mit einem langen Namen und noch mehr — 2026.pdf",
        "売上.xlsx",
        "\U0001f4c8" * 40 + ".pdf",
        'quoted "name" \\ of a file that is much too long for one line of a header of a mail.pdf',
    ],
)
def test_a_name_is_there_for_old_mail_programs_too(name: str) -> None:
    named = replace(CONTENT, attachments=(Attachment(name, "text/csv; charset=utf-8", b"x"),))
    raw = message_bytes(build_message(named))
    assert raw == message_bytes(build_message(named))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    (part,) = email.message_from_bytes(raw, policy=policy.SMTP).iter_attachments()
    assert part.get_filename() == name
    (old,) = [
        each for each in email.message_from_bytes(raw, policy=policy.compat32).walk() if each.get_filename()
    ]
    said = old.get_param("name")
    assert isinstance(said, str), "not as RFC 2231 says"
    assert str(make_header(decode_header(said.replace("\r\n", "")))) == name
    assert (part.get_content_type(), part.get_content_charset()) == ("text/csv", "utf-8")


def test_a_plain_short_name_needs_no_repetition() -> None:
    made = build_message(replace(CONTENT, attachments=(Attachment("sales.pdf", "application/pdf", b"x"),)))
    assert b"name=" not in message_bytes(made).replace(b"filename=", b"")
