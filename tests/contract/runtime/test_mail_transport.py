"""What the mail transport promises: the fake, and the real one against a server that follows a script.

The question each case asks: may the server have the message, or not?
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from runtime.errors import Permanent
from runtime.mail import (
    Accepted,
    Answer,
    Answers,
    Deferred,
    LeaseLost,
    MailContent,
    MailSender,
    MailTransport,
    Refused,
    SmtpSettings,
    Unknown,
    build_message,
)
from support.fake_mail import FakeMail
from support.smtp_script import DROP, SILENCE, ScriptedSmtp, scripted_smtp

SENDER = "reports@example.org"


def message(text: str = "Hello") -> EmailMessage:
    return build_message(
        MailContent(
            message_id="<d-1@example.org>",
            date=datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
            sender=SENDER,
            to=("ann@example.org",),
            subject="Sales",
            text=text,
        )
    )


class Mark:
    """The caller's note that the content is about to leave."""

    def __init__(self, *, mine: bool = True) -> None:
        self.mine = mine
        self.calls = 0

    async def __call__(self, refused: Answers) -> bool:
        self.calls += 1
        return self.mine


class MailSenderContract:
    """Run against every implementation; `sender` accepts everything."""

    async def test_accepted_mail_was_marked_once_before(self, sender: MailSender) -> None:
        mark = Mark()
        result = await sender.send(message(), SENDER, ["ann@example.org"], before_data=mark)
        assert isinstance(result, Accepted)
        assert (result.code, dict(result.refused), mark.calls) == (250, {}, 1)

    async def test_lost_lease_sends_nothing(self, sender: MailSender) -> None:
        with pytest.raises(LeaseLost):
            await sender.send(message(), SENDER, ["ann@example.org"], before_data=Mark(mine=False))
        assert self.received(sender) == 0

    async def test_address_that_is_none_is_refused_before_anything_happens(self, sender: MailSender) -> None:
        for bad in (
            "ann",
            "ann@example.org>\r\nRCPT TO:<eve@example.org",
            "a b@example.org",
            "ä@example.org",
        ):
            mark = Mark()
            with pytest.raises(Permanent) as raised:
                await sender.send(message(), SENDER, [bad], before_data=mark)
            assert raised.value.code == "address-invalid"
            assert mark.calls == 0

    def received(self, sender: MailSender) -> int:
        raise NotImplementedError


class TestFakeMail(MailSenderContract):
    @pytest.fixture
    def sender(self) -> FakeMail:
        return FakeMail()

    def received(self, sender: MailSender) -> int:
        assert isinstance(sender, FakeMail)
        return len(sender.sent)

    async def test_answers_in_order(self) -> None:
        fake = FakeMail(Deferred(421, "later"), Unknown("gone"))
        mark = Mark()
        first = await fake.send(message(), SENDER, ["ann@example.org"], before_data=mark)
        assert (first, mark.calls) == (Deferred(421, "later"), 0)
        assert isinstance(await fake.send(message(), SENDER, ["ann@example.org"], before_data=mark), Unknown)
        assert (len(fake.sent), len(fake.mailbox)) == (1, 0)


class TestMailTransport(MailSenderContract):
    @pytest.fixture
    async def server(self) -> AsyncIterator[ScriptedSmtp]:
        async with scripted_smtp() as server:
            yield server

    @pytest.fixture
    async def sender(self, server: ScriptedSmtp) -> AsyncIterator[MailTransport]:
        self._server = server
        async with MailTransport(settings(server.port)) as transport:
            yield transport

    def received(self, sender: MailSender) -> int:
        return len(self._server.messages)

    async def send(self, sender: MailTransport, *to: str, mark: Mark | None = None) -> object:
        return await sender.send(message(), SENDER, to or ["ann@example.org"], before_data=mark or Mark())

    async def test_content_is_what_was_built_with_dots_doubled(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        await sender.send(message(".dot\r\nend"), SENDER, ["ann@example.org"], before_data=Mark())
        assert b"\r\n\r\n..dot\r\nend\r\n.\r\n" in server.messages[0]

    async def test_mark_comes_after_the_envelope_and_before_the_content(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        seen: list[list[str]] = []

        async def mark(refused: Answers) -> bool:
            seen.append(list(server.verbs))
            return True

        await sender.send(message(), SENDER, ["ann@example.org"], before_data=mark)
        assert seen == [["EHLO", "MAIL", "RCPT"]]

    async def test_connection_is_used_again(self, sender: MailTransport, server: ScriptedSmtp) -> None:
        for _ in range(3):
            assert isinstance(await self.send(sender), Accepted)
        assert server.connections == 1
        assert server.verbs.count("RSET") == 2

    async def test_kept_connection_that_died_is_replaced(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        await self.send(sender)
        server.answers["RSET"] = [DROP]
        assert isinstance(await self.send(sender), Accepted)
        assert (server.connections, len(server.messages)) == (2, 2)

    async def test_several_at_once_share_few_connections(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        results = await asyncio.gather(*(self.send(sender) for _ in range(12)))
        assert all(isinstance(each, Accepted) for each in results)
        assert server.connections <= 2
        assert len(server.messages) == 12

    @pytest.mark.parametrize(
        "case",
        [
            ("MAIL", b"451 4.3.0 busy", Deferred(451, "4.3.0 busy"), 0),
            ("MAIL", b"552 5.3.4 too big", Refused(552, "5.3.4 too big"), 0),
            ("RCPT", b"450 4.2.0 greylisted", Deferred(450, "ann@example.org: 4.2.0 greylisted"), 0),
            ("RCPT", b"550 5.1.1 no such user", Refused(550, "ann@example.org: 5.1.1 no such user"), 0),
            ("RCPT", b"421 4.3.2 closing", Deferred(421, "4.3.2 closing"), 0),
            ("DATA", b"451 4.3.0 not now", Deferred(451, "4.3.0 not now"), 1),
            ("DATA", b"554 5.5.1 no", Refused(554, "5.5.1 no"), 1),
            ("CONTENT", b"452 4.3.1 disk full", Deferred(452, "4.3.1 disk full"), 1),
            ("CONTENT", b"554 5.7.1 spam", Refused(554, "5.7.1 spam"), 1),
        ],
    )
    async def test_answer_decides(
        self, sender: MailTransport, server: ScriptedSmtp, case: tuple[str, bytes, object, int]
    ) -> None:
        verb, answer, expected, marked = case
        server.answers[verb] = [answer]
        mark = Mark()
        assert await self.send(sender, mark=mark) == expected
        assert mark.calls == marked

    @pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("fault", [DROP, SILENCE])
    async def test_silence_before_the_content_means_the_server_has_nothing(
        self, sender: MailTransport, server: ScriptedSmtp, verb: str, fault: bytes
    ) -> None:
        server.answers[verb] = [fault]
        result = await self.send(sender)
        assert isinstance(result, Deferred)
        assert result.code is None
        assert server.messages == []

    @pytest.mark.parametrize("fault", [DROP, SILENCE, b"what?"])
    async def test_silence_after_the_content_is_unknown(
        self, sender: MailTransport, server: ScriptedSmtp, fault: bytes
    ) -> None:
        server.answers["CONTENT"] = [fault]
        assert isinstance(await self.send(sender), Unknown)
        assert len(server.messages) == 1
        # The broken connection is not used for the next one.
        assert isinstance(await self.send(sender), Accepted)
        assert server.connections == 2

    async def test_some_recipients_refused_the_others_get_it(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        server.answers["RCPT"] = [b"250 ok", b"550 unknown"]
        result = await self.send(sender, "ann@example.org", "bob@example.org")
        assert result == Accepted(250, "2.0.0 queued as 42", {"bob@example.org": Answer(550, "unknown")})

    async def test_one_recipient_that_may_be_taken_later_defers_the_mail(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        server.answers["RCPT"] = [b"550 unknown", b"450 later"]
        assert isinstance(await self.send(sender, "ann@example.org", "bob@example.org"), Deferred)

    async def test_address_twice_stands_once_in_the_envelope(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        await self.send(sender, "ann@example.org", "ann@example.org")
        assert server.verbs.count("RCPT") == 1

    async def test_caller_that_fails_leaves_the_server_with_nothing(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        async def broken(refused: Answers) -> bool:
            raise RuntimeError("the store is down")

        with pytest.raises(RuntimeError):
            await sender.send(message(), SENDER, ["ann@example.org"], before_data=broken)
        assert server.messages == []
        assert isinstance(await self.send(sender), Accepted)

    async def test_greeting_that_sends_away_is_a_deferral(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        server.greeting = b"554 go away"
        result = await self.send(sender)
        assert isinstance(result, Deferred)

    async def test_server_without_starttls_gets_nothing_in_the_clear(self, server: ScriptedSmtp) -> None:
        async with MailTransport(settings(server.port, smtp_tls="starttls")) as transport:
            assert isinstance(await self.send(transport), Deferred)
        assert server.messages == []

    async def test_wrong_password_is_a_deferral_that_does_not_quote_it(self, server: ScriptedSmtp) -> None:
        server.extensions = (b"AUTH PLAIN",)
        server.answers["AUTH"] = [b"535 5.7.8 bad credentials hunter2"]
        account = {"smtp_username": "broadsheet", "smtp_password": "hunter2"}
        async with MailTransport(settings(server.port, **account)) as transport:
            result = await self.send(transport)
        assert isinstance(result, Deferred)
        assert "hunter2" not in result.text

    async def test_nobody_listening_is_a_deferral(self, unused_tcp_port: int) -> None:
        async with MailTransport(settings(unused_tcp_port)) as transport:
            assert isinstance(await self.send(transport), Deferred)


LARGE = "0123456789" * 300_000


class TestLargeMail:
    """What can be known when a large mail breaks off, and that time-outs follow progress."""

    @pytest.fixture
    async def server(self) -> AsyncIterator[ScriptedSmtp]:
        async with scripted_smtp() as server:
            server.extensions = (b"SIZE 10000000",)
            yield server

    @pytest.fixture
    async def sender(self, server: ScriptedSmtp) -> AsyncIterator[MailTransport]:
        async with MailTransport(settings(server.port)) as transport:
            yield transport

    async def send(self, sender: MailTransport, mark: Mark | None = None, text: str = LARGE) -> object:
        return await sender.send(message(text), SENDER, ["ann@example.org"], before_data=mark or Mark())

    @pytest.mark.parametrize("cut_after", [1, 200, 1_000_000])
    async def test_cut_off_before_the_final_dot_the_server_has_nothing(
        self, sender: MailTransport, server: ScriptedSmtp, cut_after: int
    ) -> None:
        server.cut_after = cut_after
        result = await self.send(sender)
        assert isinstance(result, Deferred)
        assert (result.code, server.messages) == (None, [])
        assert isinstance(await self.send(sender), Accepted)

    async def test_cut_off_after_the_final_dot_is_unknown(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        server.answers["CONTENT"] = [DROP]
        assert isinstance(await self.send(sender), Unknown)

    async def test_slow_server_that_goes_on_reading_is_waited_for(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        # Each pause is far below the time-out, and all of them together are above it.
        server.read_slowly_s = 0.02
        assert isinstance(await self.send(sender), Accepted)
        assert len(server.messages[0]) > len(LARGE)

    async def test_server_that_stops_reading_has_nothing(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        server.read_slowly_s = 3600
        result = await self.send(sender, text=LARGE * 4)
        assert isinstance(result, Deferred)
        assert "took no more of the message" in result.text

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (b"552 5.3.4 too big", Refused(552, "5.3.4 too big")),
            (b"421 4.3.2 closing", Deferred(421, "4.3.2 closing")),
        ],
    )
    async def test_answer_in_the_middle_counts_and_the_connection_is_not_used_again(
        self, sender: MailTransport, server: ScriptedSmtp, answer: bytes, expected: object
    ) -> None:
        server.answers["CONTENT"], server.content_answer_after = [answer], 1000
        assert await self.send(sender) == expected
        assert isinstance(await self.send(sender), Accepted)
        assert server.connections == 2

    async def test_large_mail_asks_again_before_its_end_and_stops_when_it_may_not_go_on(
        self, sender: MailTransport, server: ScriptedSmtp
    ) -> None:
        asked = 0

        async def mine(refused: Answers) -> bool:
            nonlocal asked
            asked += 1
            return asked == 1

        with pytest.raises(LeaseLost):
            await sender.send(message(LARGE), SENDER, ["ann@example.org"], before_data=mine)
        assert (asked, server.messages) == (2, [])


def settings(port: int, **more: object) -> SmtpSettings:
    return SmtpSettings.model_validate(
        {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_connections": 2,
            "smtp_command_timeout_s": 0.4,
            "smtp_data_timeout_s": 0.4,
            **more,
        }
    )
