"""Who gets a mail, what it says, what hangs on it."""

import io
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import UnitEvent
from contracts.mailing import TestModeBreachError, guard
from distributor.domain.mailing import (
    Letter,
    Sender,
    addressing,
    compose,
    message_id,
    too_large,
)
from support import deliveries as make

SENDER = Sender(address="reports@example.com", message_id_domain="reports.example.com", name="Reports")


def letter(*events: UnitEvent, contents: dict[str, bytes] | None = None, **mail: Any) -> Letter:
    units = tuple(event.unit_id for event in events)
    test_address = mail.pop("test_address", None)
    sender = mail.pop("sender", SENDER)
    row = make.row(make.mail_delivery(*units, **mail), test_address=test_address)
    return compose(
        row,
        make.outcomes(*events),
        contents if contents is not None else {unit: unit.encode() for unit in units},
        sender,
        date=make.START,
    )


ADDRESS = st.from_regex(r"\A[a-z]{1,8}@[a-z]{1,8}\.example\Z")


@given(
    to=ADDRESS,
    cc=st.lists(ADDRESS, max_size=3),
    bcc=st.lists(ADDRESS, max_size=3),
    subject=st.text(min_size=1, max_size=40),
)
def test_in_test_mode_nobody_but_the_test_address_is_named(
    to: str, cc: list[str], bcc: list[str], subject: str
) -> None:
    mail = make.mail_delivery("a", to=to, cc=tuple(cc), bcc=tuple(bcc), subject=subject)
    who = addressing(make.row(mail, test_address="tester@test.invalid"), prefix="[Reports]")
    assert (who.to, who.cc, who.envelope) == (("tester@test.invalid",), (), ("tester@test.invalid",))
    assert who.subject.startswith(f"[{to}] [Reports]")


def test_outside_test_mode_everybody_is_in_the_envelope_once_and_bcc_nowhere_else() -> None:
    mail = make.mail_delivery(
        "a",
        to="ann@example.com",
        cc=("bob@example.com", "ANN@example.com"),
        bcc=("eve@example.com", "bob@example.com"),
    )
    who = addressing(make.row(mail))
    assert who.to == ("ann@example.com",)
    assert who.cc == ("bob@example.com", "ANN@example.com")
    assert who.envelope == ("ann@example.com", "bob@example.com", "eve@example.com")
    assert who.subject == "Sales of the week"


def test_a_subject_made_of_data_stays_one_line() -> None:
    made = letter(make.generated("a"), subject="Sales\r\nBcc: eve@example.com\x85x")
    assert made.addressing.subject == "Sales Bcc: eve@example.com x"


OWN = ("tester@test.invalid",)
HEADERS = [("To", "tester@test.invalid"), ("Subject", "[ann@example.com] Sales")]


def test_the_guard_lets_a_mail_for_the_test_address_alone_through() -> None:
    guard(OWN, envelope=OWN, headers=HEADERS)


@pytest.mark.parametrize(
    ("envelope", "headers"),
    [
        (("tester@test.invalid", "ann@example.com"), HEADERS),
        (("ann@example.com",), HEADERS),
        ((), HEADERS),
        (OWN, [("To", "ann@example.com")]),
        (OWN, [("To", "tester@test.invalid, ann@example.com")]),
        (OWN, [*HEADERS, ("Cc", "tester@test.invalid")]),
        (OWN, [*HEADERS, ("BCC", "ann@example.com")]),
        (OWN, [*HEADERS, ("Resent-To", "ann@example.com")]),
        (OWN, [*HEADERS, ("Disposition-Notification-To", "ann@example.com")]),
    ],
)
def test_the_guard_stops_anything_else(envelope: tuple[str, ...], headers: list[tuple[str, str]]) -> None:
    with pytest.raises(TestModeBreachError, match="not sent"):
        guard(OWN, envelope=envelope, headers=headers)


def test_the_message_id_is_that_of_the_delivery_at_every_attempt() -> None:
    assert letter(make.generated("a")).message_id == letter(make.generated("a")).message_id
    assert message_id("d1", "reports.example.com") == "<d1@reports.example.com>"


def test_files_are_attached_under_their_own_names_made_unique() -> None:
    made = letter(
        make.generated("a", b"1", name="Sales.pdf"),
        make.generated("b", b"2", name="sales.PDF"),
        make.generated("c", b"3", name="../x\r\n.pdf"),
        contents={"a": b"1", "b": b"2", "c": b"3"},
    )
    assert [(each.file_name, each.content) for each in made.attachments] == [
        ("Sales.pdf", b"1"),
        ("sales (2).PDF", b"2"),
        ("_x .pdf", b"3"),
    ]
    assert [file.path for file in made.files] == ["Sales.pdf", "sales (2).PDF", "_x .pdf"]


def test_zipped_files_come_in_one_archive_that_is_the_same_bytes_each_time() -> None:
    events = [make.generated("a", name="x.pdf"), make.generated("b", name="x.pdf")]
    made, again = (
        letter(*events, attach=(), zipped=("a", "b"), zip_name="All.zip"),
        letter(*events, attach=(), zipped=("a", "b"), zip_name="All.zip"),
    )
    assert made.attachments == again.attachments
    (attached,) = made.attachments
    assert (attached.file_name, attached.content_type) == ("All.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(attached.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "x.pdf": b"a",
            "x (2).pdf": b"b",
        }
    assert [file.path for file in made.files] == ["All.zip/x.pdf", "All.zip/x (2).pdf"]


def test_an_archive_without_a_name_has_that_of_the_task() -> None:
    (attached,) = letter(make.generated("a"), attach=(), zipped=("a",)).attachments
    assert attached.file_name == "Weekly sales.zip"


def test_html_reports_are_shown_in_the_body_without_anything_active() -> None:
    page = (
        b"<html><head><style>td{color:red}</style><script>alert(1)</script></head><body onload='x()'>"
        b"<p onclick='y()'>Revenue <b>42</b></p><a href='java\tscript:z()'>go</a>"
        b"<iframe src='https://evil.example'></iframe><img src='data:image/png;base64,AA=='></body></html>"
    )
    made = letter(
        make.generated("a", page, kind="text/html"),
        contents={"a": page},
        attach=(),
        embed=("a",),
        body="See <below> & reply",
    )
    assert made.attachments == ()
    assert made.html is not None
    for expected in (
        "<style>td{color:red}</style>",
        "Revenue <b>42</b>",
        "See &lt;below&gt; &amp; reply",
        "data:image/png",
    ):
        assert expected in made.html
    for active in ("script", "onclick", "onload", "iframe", "evil.example"):
        assert active not in made.html
    assert made.text == "See <below> & reply\n"
    assert [file.path for file in made.files] == ["(in the body)"]


def test_a_body_written_as_html_is_sent_as_html_and_as_text() -> None:
    made = letter(make.generated("a"), body="<p>Dear all,</p><p>enjoy.</p>")
    assert made.html is not None
    assert "<p>Dear all,</p>" in made.html
    assert made.text == "Dear all,\nenjoy.\n"


def test_a_plain_body_is_sent_as_text_only() -> None:
    made = letter(make.generated("a"), body="a < b")
    assert (made.text, made.html) == ("a < b\n", None)


def test_files_that_are_missing_are_named_and_what_failed_stays_with_the_operator() -> None:
    made = letter(make.generated("a"), make.skipped("b", "no data for b"), make.failed("c"), body="<p>Hi</p>")
    assert "- b.pdf: no data for b" in made.text
    assert "- c.pdf: it could not be made" in made.text
    assert "qlik.example" not in made.text + (made.html or "")
    assert "<li>b.pdf: no data for b</li>" in (made.html or "")
    assert [each.file_name for each in made.attachments] == ["a.pdf"]
    assert made.detail == "2 of 3 files were not made"


def test_a_mail_without_a_body_says_what_it_is_about() -> None:
    assert letter(make.generated("a"), body=" ").text == "Weekly sales\n\nAttached: a.pdf\n"


def test_files_too_large_for_a_mail_are_noticed_from_their_sizes_with_a_remedy() -> None:
    row = make.row(make.mail_delivery("a"))
    outcomes = make.outcomes(make.generated("a", b"x" * 900_000))
    assert too_large(row, outcomes, 1_300_000) is None
    reason = too_large(row, outcomes, 1_200_000)
    assert reason is not None
    assert reason.code == "mail-too-large"
    assert "storage space" in reason.remedy
