import itertools
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from standalone.inbox.store import Inbox, StoredMessage, body, headers


def make_inbox(folder: Path) -> Inbox:
    numbers = itertools.count()
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Inbox(folder, clock=lambda: start + timedelta(seconds=next(numbers)), suffix=lambda: "abc")


def mail(subject: str = "Report", to: str = "ann@example.com") -> bytes:
    message = EmailMessage()
    message["From"] = "broadsheet@example.com"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = "<1@example.com>"
    message.set_content("plain words")
    message.add_alternative("<p>rich <img src='cid:logo'></p>", subtype="html")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="März.pdf")
    return bytes(message)


def keep(inbox: Inbox, content: bytes, *rcpt_to: str) -> StoredMessage:
    return inbox.keep(content, mail_from="bounce@example.com", rcpt_to=rcpt_to, tls=False, user=None)


def test_the_bytes_and_the_envelope_are_kept_as_they_came(tmp_path: Path) -> None:
    content = mail(to="someone.else@example.com")
    message = keep(make_inbox(tmp_path), content, "ann@example.com", "hidden@example.com")
    assert message.rcpt_to == ("ann@example.com", "hidden@example.com")
    assert message.mail_from == "bounce@example.com"
    assert message.header_to == "someone.else@example.com"
    assert (tmp_path / f"{message.id}.eml").read_bytes() == content


def test_another_process_finds_the_same_messages(tmp_path: Path) -> None:
    first = make_inbox(tmp_path)
    kept = [keep(first, mail(), "a@example.com"), keep(first, mail(), "b@example.com")]
    assert make_inbox(tmp_path).find() == kept[::-1]


def test_a_message_that_was_not_acknowledged_does_not_count(tmp_path: Path) -> None:
    """A crash between the two files leaves an .eml alone."""
    kept = keep(make_inbox(tmp_path), mail(), "a@example.com")
    (tmp_path / f"{kept.id}.json").unlink()
    (tmp_path / "half.json.tmp").write_text("{")
    assert make_inbox(tmp_path).find() == []


def test_filters_look_into_the_envelope_and_the_decoded_subject(tmp_path: Path) -> None:
    inbox = make_inbox(tmp_path)
    wanted = keep(inbox, mail("Umsätze März", to="list@example.com"), "Ann@Example.com")
    keep(inbox, mail("Umsätze März"), "bob@example.com")
    keep(inbox, mail("Other"), "ann@example.com")
    assert inbox.find(recipient="ann@example", subject="umsätze") == [wanted]
    assert inbox.find(recipient="list@example.com") == []
    assert len(inbox.find(limit=2)) == 2


def test_bodies_and_attachments_are_told_apart(tmp_path: Path) -> None:
    inbox = make_inbox(tmp_path)
    message = keep(inbox, mail(), "a@example.com")
    parsed = inbox.parsed(message)
    assert (body(parsed, "plain") or "").strip() == "plain words"
    assert "rich" in (body(parsed, "html") or "")
    assert [each.file_name for each in message.attachments] == ["März.pdf"]
    found = inbox.attachment(message, 0)
    assert found is not None
    assert found[1] == b"%PDF-1.7"
    assert inbox.attachment(message, 1) is None
    assert inbox.attachment(message, -1) is None


def test_deleting_removes_the_files(tmp_path: Path) -> None:
    inbox = make_inbox(tmp_path)
    first = keep(inbox, mail(), "a@example.com")
    keep(inbox, mail(), "b@example.com")
    assert inbox.delete([first.id, "unknown"]) == 1
    assert inbox.get(first.id) is None
    assert inbox.delete() == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Subject: =?no-such-charset?Q?x?=\r\n\r\nbody",
        b"Content-Type: text/plain; charset=no-such\r\n\r\n\xff\xfe",
        b'From: "unclosed <a@\r\nTo: ,,;:<>\r\nMessage-ID: <\r\n\r\n',
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n!",
    ],
)
def test_malformed_messages_are_kept_and_can_be_looked_at(tmp_path: Path, content: bytes) -> None:
    inbox = make_inbox(tmp_path)
    message = keep(inbox, content, "a@example.com")
    assert inbox.raw(message) == content
    headers(inbox.parsed(message))
    body(inbox.parsed(message), "plain")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_no_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    inbox = make_inbox(tmp_path)
    inbox.delete()
    message = keep(inbox, content, "a@example.com")
    assert inbox.raw(message) == content
    headers(inbox.parsed(message))
