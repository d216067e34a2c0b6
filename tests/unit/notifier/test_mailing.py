"""Outcome mails: each at most once, each settled with one event."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from contracts.base import ObjectRef
from contracts.events import NotificationFailed, NotificationSent, Outcome
from notifier.adapters.stored import StoredLogs
from notifier.domain.letters import Letter
from notifier.use_cases.mailing import Post, Sender
from notifier.use_cases.watch import mail_row
from runtime.mail import Accepted, Answer, Deferred, MailResult, Refused, Unknown
from support.clock import FakeClock
from support.fake_ledger import FakeLedger
from support.fake_mail import FakeMail
from support.fake_objects import FakeObjects
from support.notifier_kit import EXECUTION, NOW

LEASE = timedelta(minutes=3)


class Bench:
    """A post on fakes, with one letter written down."""

    def __init__(self) -> None:
        self.mails = FakeLedger()
        self.objects = FakeObjects()
        self.mail = FakeMail()
        self.clock = FakeClock(NOW)
        self.nudges = 0
        self.post = Post(
            mails=self.mails,
            logs=StoredLogs(self.objects),
            mailer=self.mail,
            clock=self.clock,
            sender=Sender("reports@example.org", "Broadsheet", "example.org"),
            lease_for=LEASE,
            settled=self._nudge,
        )

    def _nudge(self) -> None:
        self.nudges += 1

    async def write(self, **more: Any) -> Letter:
        log = await StoredLogs(self.objects).store(EXECUTION, "the log\n")
        letter = Letter.model_validate(
            {
                "id": "n-1",
                "execution_id": EXECUTION,
                "task_id": "t-1",
                "outcome": Outcome.ERROR,
                "to": "ann@example.org",
                "subject": "Error: Sales",
                "text": "It broke.",
                "log": log,
                **more,
            }
        )
        await self.mails.add([mail_row(letter, NOW)])
        return letter

    @property
    def row(self) -> Mapping[str, Any]:
        return self.mails.rows["n-1"]

    def event(self) -> NotificationSent | NotificationFailed:
        (stored,) = self.row["outbox"]
        kind = stored["headers"]["ce_type"]
        model = NotificationSent if kind == NotificationSent.ce_type() else NotificationFailed
        return model.model_validate_json(stored["body"])


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_mail_goes_out_with_the_log_and_is_announced(bench: Bench) -> None:
    await bench.write(cc=("boss@example.org",), bcc=("audit@example.org",))
    assert await bench.post.send_due() == 1
    (sent,) = bench.mail.mailbox
    assert sent.envelope_to == ("ann@example.org", "boss@example.org", "audit@example.org")
    assert sent.message["Message-ID"] == "<n-1@example.org>"
    assert "audit" not in sent.message.as_string()
    (part,) = sent.message.iter_attachments()
    assert (part.get_filename(), part.get_payload(decode=True)) == (f"task-log-{EXECUTION}.txt", b"the log\n")
    event = bench.event()
    assert isinstance(event, NotificationSent)
    assert (event.address, event.message_id, event.outcome) == (
        "ann@example.org",
        "<n-1@example.org>",
        Outcome.ERROR,
    )
    assert (bench.row["state"], bench.nudges) == ("succeeded", 1)


async def test_settled_mail_is_not_sent_again(bench: Bench) -> None:
    await bench.write()
    await bench.post.send_due()
    await bench.write()
    bench.clock.advance(timedelta(days=1))
    assert await bench.post.send_due() == 0
    assert len(bench.mail.sent) == 1


async def test_deferred_mail_is_the_same_bytes_later(bench: Bench) -> None:
    await bench.write()
    bench.mail.after_data = True
    bench.mail.results.extend([Deferred(451, "later"), Accepted(250, "ok")])
    await bench.post.send_due()
    assert (bench.row["state"], bench.row["outbox"]) == ("ready", [])
    assert bench.row["attempts"][0]["error"] == {"code": "mail-deferred", "message": "451 later"}
    assert await bench.post.send_due() == 0
    bench.clock.advance(timedelta(seconds=5))
    assert await bench.post.send_due() == 1
    first, second = bench.mail.sent
    assert first.message.as_bytes() == second.message.as_bytes()
    assert bench.row["state"] == "succeeded"


async def test_pauses_grow_and_the_mail_is_given_up_in_the_end(bench: Bench) -> None:
    await bench.write()
    bench.mail.results.extend([Deferred(None, "connection refused")] * 100)
    pauses = []
    for _ in range(60):
        await bench.post.send_due()
        if bench.row["state"] != "ready":
            break
        pauses.append((bench.row["next_attempt_at"] - bench.clock.now()).total_seconds())
        bench.clock.set(bench.row["next_attempt_at"])
    assert pauses[:6] == [5, 15, 60, 300, 900, 900]
    event = bench.event()
    assert isinstance(event, NotificationFailed)
    assert (bench.row["state"], event.unknown) == ("failed", False)
    assert "connection refused" in event.reason.message
    assert bench.clock.now() >= NOW + timedelta(hours=6)


@pytest.mark.parametrize(
    ("result", "state", "code", "unknown"),
    [
        (Refused(550, "no such user"), "failed", "mail-refused", False),
        (Unknown("no answer"), "unknown", "mail-unknown", True),
    ],
)
async def test_final_results_settle_with_a_reason(
    bench: Bench, result: MailResult, state: str, code: str, unknown: bool
) -> None:
    await bench.write()
    bench.mail.results.append(result)
    await bench.post.send_due()
    event = bench.event()
    assert isinstance(event, NotificationFailed)
    assert (bench.row["state"], event.reason.code, event.unknown) == (state, code, unknown)
    bench.clock.advance(timedelta(days=1))
    assert await bench.post.send_due() == 0


async def test_sender_that_dies_before_the_content_leaves_it_to_another(bench: Bench) -> None:
    await bench.write()
    await bench.mails.claim(bench.clock.now(), lease_for=LEASE)
    bench.clock.advance(LEASE)
    assert await bench.post.send_due() == 1
    assert len(bench.mail.mailbox) == 1


async def test_sender_that_dies_with_the_content_on_its_way_leaves_it_unknown(bench: Bench) -> None:
    await bench.write()
    bench.mail.results.append(KeyboardInterruptLike())
    with pytest.raises(KeyboardInterruptLike):
        await bench.post.send_due()
    assert bench.row["state"] == "transmitting"
    assert await bench.post.resolve_abandoned() == 0
    bench.clock.advance(LEASE)
    assert await bench.post.send_due() == 0
    # One that this version cannot read lies in front of it.
    bench.mails.rows = {"damaged": {**bench.row, "_id": "damaged", "letter": {}}, **bench.mails.rows}
    assert await bench.post.resolve_abandoned() == 1
    assert await bench.post.resolve_abandoned() == 0
    del bench.mails.rows["damaged"]
    event = bench.event()
    assert isinstance(event, NotificationFailed)
    assert event.unknown
    assert len(bench.mail.sent) == 1


class KeyboardInterruptLike(Exception):  # noqa: N818 - stands for a process that is gone
    pass


async def test_lost_lease_sends_nothing(bench: Bench) -> None:
    await bench.write()
    send = bench.mail.send

    async def slow(*args: Any, **kwargs: Any) -> MailResult:
        bench.clock.advance(LEASE)
        assert await bench.mails.claim(bench.clock.now(), lease_for=LEASE)
        return await send(*args, **kwargs)

    bench.mail.send = slow  # type: ignore[method-assign]
    assert await bench.post.send_due() == 1
    assert bench.mail.sent == []
    assert bench.row["outbox"] == []


async def test_address_no_mail_can_have_fails_the_mail(bench: Bench) -> None:
    await bench.write(to="ä@example.org")
    await bench.post.send_due()
    event = bench.event()
    assert isinstance(event, NotificationFailed)
    assert event.reason.code == "address-invalid"


async def test_breach_of_test_mode_is_never_sent(bench: Bench) -> None:
    await bench.write(test_address="test@example.org")
    await bench.post.send_due()
    event = bench.event()
    assert isinstance(event, NotificationFailed)
    assert event.reason.code == "test-mode-breach"
    assert bench.mail.sent == []


async def test_lost_log_does_not_keep_the_mail(bench: Bench) -> None:
    await bench.write(log=ObjectRef(key="gone", size=1, sha256="0" * 64))
    await bench.post.send_due()
    (sent,) = bench.mail.mailbox
    assert list(sent.message.iter_attachments()) == []


async def test_log_is_waited_for_while_the_object_store_is_down(bench: Bench) -> None:
    await bench.write()
    bench.objects.broken = True
    await bench.post.send_due()
    assert (bench.row["state"], bench.mail.sent) == ("ready", [])


async def test_long_log_is_cut(bench: Bench) -> None:
    log = await StoredLogs(bench.objects).store(EXECUTION, "x" * (6 * 1024 * 1024))
    await bench.write(log=log)
    await bench.post.send_due()
    (part,) = bench.mail.mailbox[0].message.iter_attachments()
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    assert len(data) < 5 * 1024 * 1024 + 200
    assert b"the whole log" in data[-200:]


async def test_a_deferred_copy_is_sent_later_to_that_address_alone(bench: Bench) -> None:
    await bench.write(cc=("boss@example.org", "ä@example.org"), bcc=("audit@example.org",))
    said = {"boss@example.org": Answer(550, "unknown"), "audit@example.org": Answer(450, "greylisted")}
    bench.mail.results.append(Accepted(250, "queued", said))
    await bench.post.send_due()
    assert (bench.row["state"], bench.row["outbox"]) == ("ready", [])
    bench.clock.advance(timedelta(seconds=5))
    await bench.post.send_due()
    assert [each.envelope_to for each in bench.mail.sent] == [
        ("ann@example.org", "boss@example.org", "audit@example.org"),
        ("audit@example.org",),
    ]
    event = bench.event()
    assert isinstance(event, NotificationSent)
    assert event.accepted_at == NOW
    assert {each.address: each.state.value for each in event.addresses} == {
        "ann@example.org": "accepted",
        "boss@example.org": "refused",
        "ä@example.org": "refused",
        "audit@example.org": "accepted",
    }


async def test_a_row_of_an_older_release_that_was_left_on_its_way_is_unknown(bench: Bench) -> None:
    await bench.write()
    bench.mail.results.append(KeyboardInterruptLike())
    with pytest.raises(KeyboardInterruptLike):
        await bench.post.send_due()
    del bench.mails.rows["n-1"]["addresses"]
    bench.clock.advance(LEASE)
    assert await bench.post.resolve_abandoned() == 1
    event = bench.event()
    assert isinstance(event, NotificationFailed)
    assert event.unknown
