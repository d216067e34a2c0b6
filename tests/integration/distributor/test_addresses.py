"""One state per address, whatever a mail server answers in whichever phase, on every attempt.

The distributor's own use case, mailer and transport against a server that follows a script. The server knows
who was sent a complete message and what it said to it; what the delivery reports has to agree with that.
"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.configuration import UnknownPolicy
from contracts.events import Channel, DeliveryFailed, DeliverySucceeded, DeliveryUnknown
from contracts.mailing import AddressState, MailAddress
from distributor.adapters.smtp import SmtpMailer
from distributor.domain.mailing import Sender
from distributor.domain.results import RetryPolicy
from distributor.domain.rows import FINAL_STATES
from distributor.use_cases.attempt import Attempts, Patience
from distributor.use_cases.email import EmailChannel
from distributor.use_cases.fan_in import plan_deliveries, settle_unit
from runtime.mail import MailTransport, SmtpSettings
from support import deliveries as make
from support.clock import FakeClock
from support.fake_deliveries import FakeDeliveries
from support.fake_files import FixedFiles
from support.smtp_script import DROP, SILENCE, ScriptedSmtp, scripted_smtp

pytestmark = pytest.mark.integration

TO, CC, BCC = "ann@example.com", "bob@example.com", "eve@example.com"
EVERYBODY = (TO, CC, BCC)
SENDER = Sender(address="reports@example.com", message_id_domain="reports.example.com")


async def delivered(server: ScriptedSmtp, policy: UnknownPolicy = UnknownPolicy.HOLD) -> Any:
    """Deliver one mail with two copies until it settles; return its event."""
    clock = FakeClock()
    rows = FakeDeliveries(clock)
    planned = make.plan(make.mail_delivery("a", to=TO, cc=(CC,), bcc=(BCC,), unknown=policy))
    await plan_deliveries(
        make.planned(made=planned),
        plans=make.FixedPlans(planned),
        rows=rows,
        clock=clock,
        margin=timedelta(seconds=15),
    )
    await settle_unit(make.generated("a"), rows=rows, clock=clock)
    mail = SmtpSettings(smtp_port=server.port, smtp_command_timeout_s=0.2, smtp_data_timeout_s=0.2)
    async with MailTransport(mail) as transport:
        attempts = Attempts(
            rows=rows,
            facts=rows,
            channels={Channel.EMAIL: EmailChannel(FixedFiles(), SmtpMailer(transport), SENDER)},
            clock=clock,
            policy=RetryPolicy(delays=(timedelta(minutes=10),), spread=0),
            patience=Patience(extend_every=timedelta(hours=1), settle_for=timedelta(seconds=5)),
            chance=lambda: 0.5,
        )
        (kept,) = rows.kept.values()
        while kept.state not in FINAL_STATES:
            clock.set(max(clock.now(), kept.next_attempt_at or clock.now()))
            claim = await rows.claim(Channel.EMAIL, not_to=())
            assert claim is not None
            await attempts.run(claim)
    (event,) = kept.outbox
    return event


def by_address(event: Any) -> dict[str, tuple[str, str, bool]]:
    return {each.address: (each.state.value, each.answer, each.resent) for each in event.addresses}


async def test_a_refused_copy_is_named_and_the_mail_succeeds() -> None:
    async with scripted_smtp() as server:
        server.by_address = {CC: [b"550 5.1.1 no such user"]}
        event = await delivered(server)
    assert isinstance(event, DeliverySucceeded)
    assert by_address(event) == {
        TO: ("accepted", "250 2.0.0 queued as 42", False),
        CC: ("refused", "550 5.1.1 no such user", False),
        BCC: ("accepted", "250 2.0.0 queued as 42", False),
    }


async def test_a_deferred_copy_is_tried_again_alone_and_arrives() -> None:
    async with scripted_smtp() as server:
        server.by_address = {CC: [b"450 4.2.0 greylisted"], BCC: [b"451 later", b"451 later"]}
        event = await delivered(server)
    assert isinstance(event, DeliverySucceeded)
    assert {state for state, _, _ in by_address(event).values()} == {"accepted"}
    assert [address for address, _ in server.mailboxes] == [TO, CC, BCC]
    assert event.attempts == 3


async def test_a_copy_that_is_deferred_until_the_deadline_is_named_with_the_servers_words() -> None:
    async with scripted_smtp() as server:
        server.by_address = {BCC: [b"450 4.2.0 greylisted"] * 50}
        event = await delivered(server)
    assert isinstance(event, DeliverySucceeded)
    assert by_address(event)[BCC] == ("deferred", "450 4.2.0 greylisted", False)
    assert [address for address, _ in server.mailboxes] == [TO, CC]


async def test_copies_do_not_arrive_without_the_mail_of_the_recipient() -> None:
    async with scripted_smtp() as server:
        server.by_address = {TO: [b"550 5.1.1 no such user"]}
        event = await delivered(server)
    assert isinstance(event, DeliveryFailed)
    assert event.reason.message == f"550 {TO}: 5.1.1 no such user"
    assert {address: state for address, (state, _, _) in by_address(event).items()} == {
        TO: "refused",
        CC: "not-sent",
        BCC: "not-sent",
    }
    assert server.mailboxes == []


@pytest.mark.parametrize("answer", [b"450 4.2.0 greylisted", b"451 4.3.0 busy", b"421 4.3.2 closing"])
async def test_a_deadline_says_what_the_server_answered(answer: bytes) -> None:
    async with scripted_smtp() as server:
        server.by_address = {TO: [answer] * 50}
        event = await delivered(server)
    assert isinstance(event, DeliveryFailed)
    assert event.reason.code == "deadline"
    assert answer.decode().partition(" ")[2] in event.reason.message
    assert "not ready" not in event.reason.message


ANSWERS = (
    b"250 ok",
    b"450 4.2.0 later",
    b"451 4.3.0 busy",
    b"550 5.1.1 no",
    b"421 4.3.2 closing",
    DROP,
    SILENCE,
)
ANSWER = st.sampled_from(ANSWERS)
START = st.sampled_from((b"354 go", b"451 later", b"554 no", b"421 closing", DROP, SILENCE))
CONTENT = st.sampled_from((b"250 kept", b"452 full", b"554 spam", b"421 closing", b"what?", DROP, SILENCE))


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    mail=st.lists(ANSWER, max_size=2),
    rcpt=st.fixed_dictionaries({each: st.lists(ANSWER, max_size=3) for each in EVERYBODY}),
    start=st.lists(START, max_size=2),
    content=st.lists(CONTENT, max_size=3),
    policy=st.sampled_from(UnknownPolicy),
)
def test_what_is_reported_is_what_the_server_knows(
    mail: list[bytes],
    rcpt: dict[str, list[bytes]],
    start: list[bytes],
    content: list[bytes],
    policy: UnknownPolicy,
) -> None:
    async def play() -> tuple[Any, list[tuple[str, bytes]]]:
        async with scripted_smtp() as server:
            server.answers = {"MAIL": list(mail), "DATA": list(start), "CONTENT": list(content)}
            server.by_address = {address: list(answers) for address, answers in rcpt.items()}
            event = await delivered(server, policy)
        return event, server.mailboxes

    event, mailboxes = asyncio.run(play())
    assert tuple(each.address for each in event.addresses) == EVERYBODY
    for each in event.addresses:
        _agrees(each, [answer for address, answer in mailboxes if address == each.address], policy)
    _ends_as_its_recipient(event)


def _agrees(each: MailAddress, said: list[bytes], policy: UnknownPolicy) -> None:
    """Compare what is reported of an address with what the server said to complete messages for it."""
    kept = said.count(b"250 kept") + said.count(b"250 2.0.0 queued as 42")
    silent = sum(not answer[:3].isdigit() for answer in said)
    assert kept <= 1
    assert silent <= (2 if policy is UnknownPolicy.RESEND else 1)
    assert each.resent == (policy is UnknownPolicy.RESEND and silent > 0)
    match each.state:
        case AddressState.ACCEPTED:
            assert kept == 1
        case AddressState.UNKNOWN:
            assert (kept, silent > 0) == (0, True)
        case AddressState.REFUSED | AddressState.DEFERRED | AddressState.NOT_SENT:
            assert (kept, silent) == (0, 0)
            assert each.answer or each.state is AddressState.NOT_SENT
        case _:
            raise AssertionError(f"{each.state} is not the end")


def _ends_as_its_recipient(event: Any) -> None:
    expected = {
        AddressState.ACCEPTED: DeliverySucceeded,
        AddressState.UNKNOWN: DeliveryUnknown,
        AddressState.REFUSED: DeliveryFailed,
        AddressState.DEFERRED: DeliveryFailed,
    }
    assert type(event) is expected[event.addresses[0].state]
