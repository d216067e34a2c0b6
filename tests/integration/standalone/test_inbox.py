"""The inbox, talked to as a mail sender and as a browser would."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from standalone.mail import MailInbox
from support.servers import running, unique

pytestmark = pytest.mark.integration


def mail(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "broadsheet@example.com"
    message["To"] = "ann@example.com"
    message["Subject"] = subject
    message.set_content("words")
    message.add_alternative("<script>alert(1)</script><p>rich</p>", subtype="html")
    message.add_attachment(b"a,b\r\n1,2\r\n", maintype="text", subtype="csv", filename="x.csv")
    return message


async def send(inbox: MailInbox, subject: str, *recipients: str) -> None:
    await aiosmtplib.send(
        mail(subject),
        hostname=inbox.host,
        port=inbox.port,
        sender="bounce@example.com",
        recipients=list(recipients or ["ann@example.com"]),
        timeout=10,
    )


@pytest.fixture
async def web(smtp_server: MailInbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=smtp_server.api_url) as client:
        yield client
        await client.delete("/api/faults")


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110 - the other process sets no event
            await asyncio.sleep(0.02)


async def listening(web: httpx.AsyncClient) -> bool:
    return bool((await web.get("/api/faults")).json()["listening"])


async def count(web: httpx.AsyncClient, subject: str) -> int:
    return len((await web.get("/api/messages", params={"subject": subject})).json())


async def test_a_sent_message_is_listed_shown_and_can_be_downloaded(
    smtp_server: MailInbox, web: httpx.AsyncClient
) -> None:
    subject = unique("mail")
    await send(smtp_server, subject, "ann@example.com", "blind@example.com")
    (listed,) = (await web.get("/api/messages", params={"recipient": "blind@", "subject": subject})).json()
    assert listed["rcpt_to"] == ["ann@example.com", "blind@example.com"]
    assert listed["mail_from"] == "bounce@example.com"
    shown = (await web.get(f"/api/messages/{listed['id']}")).json()
    assert "rich" in shown["html"]
    attachment = await web.get(f"/api/messages/{listed['id']}/attachments/0")
    assert attachment.content == b"a,b\r\n1,2\r\n"
    assert attachment.headers["content-disposition"].startswith("attachment")
    assert subject in (await web.get("/", params={"subject": subject})).text
    assert "blind@example.com" in (await web.get(f"/messages/{listed['id']}")).text
    assert (await web.delete(f"/api/messages/{listed['id']}")).json() == {"deleted": 1}
    assert (await web.get(f"/api/messages/{listed['id']}")).status_code == 404


async def test_the_html_of_a_mail_can_do_nothing(smtp_server: MailInbox, web: httpx.AsyncClient) -> None:
    subject = unique("mail")
    await send(smtp_server, subject)
    (listed,) = (await web.get("/api/messages", params={"subject": subject})).json()
    policy = (await web.get(f"/messages/{listed['id']}/body.html")).headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "default-src 'none'" in policy
    assert "<iframe sandbox " in (await web.get(f"/messages/{listed['id']}")).text


async def test_a_foreign_host_name_is_refused(smtp_server: MailInbox, web: httpx.AsyncClient) -> None:
    assert (await web.get("/api/messages", headers={"Host": "evil.example"})).status_code == 400


async def test_a_rejected_recipient_does_not_get_the_message_the_others_do(
    smtp_server: MailInbox, web: httpx.AsyncClient
) -> None:
    subject = unique("mail")
    await web.post("/api/faults", json={"kind": "reject_rcpt", "pattern": "bad@*", "code": 550, "times": 1})
    async with aiosmtplib.SMTP(hostname=smtp_server.host, port=smtp_server.port) as smtp:
        refused, _ = await smtp.send_message(mail(subject), recipients=["bad@example.com", "ok@example.com"])
    assert refused["bad@example.com"][0] == 550
    (kept,) = (await web.get("/api/messages", params={"subject": subject})).json()
    assert kept["rcpt_to"] == ["ok@example.com"]


async def test_content_can_be_rejected_and_is_then_not_kept(
    smtp_server: MailInbox, web: httpx.AsyncClient
) -> None:
    subject = unique("mail")
    await web.post("/api/faults", json={"kind": "reject_data", "code": 451})
    with pytest.raises(aiosmtplib.SMTPDataError) as error:
        await send(smtp_server, subject)
    assert error.value.code == 451
    assert await count(web, subject) == 0


@pytest.mark.parametrize(("keep", "kept"), [(True, 1), (False, 0)])
async def test_a_connection_dropped_after_data_leaves_the_sender_in_the_dark(
    smtp_server: MailInbox, web: httpx.AsyncClient, keep: bool, kept: int
) -> None:
    subject = unique("mail")
    await web.post("/api/faults", json={"kind": "drop_after_data", "keep": keep})
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(smtp_server, subject)
    assert await count(web, subject) == kept
    await send(smtp_server, subject)
    assert await count(web, subject) == kept + 1


async def test_a_slow_reply_comes_after_the_message_was_kept(
    smtp_server: MailInbox, web: httpx.AsyncClient
) -> None:
    subject = unique("mail")
    await web.post("/api/faults", json={"kind": "slow_reply", "at": "data", "seconds": 30})
    sender = aiosmtplib.SMTP(hostname=smtp_server.host, port=smtp_server.port, timeout=60)
    await sender.connect()
    sending = asyncio.create_task(sender.send_message(mail(subject)))
    await until(lambda: count(web, subject))
    assert not sending.done()
    sender.close()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await sending


async def test_refused_connections_come_back_by_themselves(
    smtp_server: MailInbox, web: httpx.AsyncClient
) -> None:
    answer = (await web.post("/api/faults", json={"kind": "refuse", "seconds": 0.3})).json()
    assert answer["listening"] is False
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await send(smtp_server, unique("mail"))
    await until(lambda: listening(web))
    await send(smtp_server, unique("mail"))


async def test_an_unknown_fault_is_refused(web: httpx.AsyncClient) -> None:
    reply = await web.post("/api/faults", json={"kind": "explode"})
    assert reply.status_code == 422
    assert "drop_after_data" in reply.text


async def test_accepted_messages_outlive_kill_9(tmp_path: Path) -> None:
    async with running(MailInbox(tmp_path / "inbox")) as inbox:
        await send(inbox, "kept")
        await inbox.kill()
        await inbox.start()
        async with httpx.AsyncClient(base_url=inbox.api_url) as web:
            assert await count(web, "kept") == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of localhost in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    key, own = str(folder / "key.pem"), str(folder / "certificate.pem")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", key, "-out", own],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_bytes(Path(key).read_bytes() + Path(own).read_bytes())
    return both


async def test_with_a_certificate_and_a_user_it_insists_on_tls_and_on_the_right_password(
    tmp_path: Path, certificate: Path
) -> None:
    async with running(MailInbox(tmp_path / "inbox", user="sender", tls_certificate=certificate)) as inbox:
        options = {"hostname": inbox.host, "port": inbox.port, "validate_certs": False, "timeout": 10}
        with pytest.raises(aiosmtplib.SMTPException):
            await aiosmtplib.send(mail("x"), start_tls=False, **options)  # type: ignore[arg-type]
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await aiosmtplib.send(mail("x"), start_tls=True, username="sender", password="no", **options)  # type: ignore[arg-type]
        await aiosmtplib.send(
            mail("signed"),
            start_tls=True,
            username="sender",
            password=inbox.password,
            **options,  # type: ignore[arg-type]
        )
        async with httpx.AsyncClient(base_url=inbox.api_url) as web:
            (kept,) = (await web.get("/api/messages")).json()
        assert (kept["subject"], kept["tls"], kept["user"]) == ("signed", True, "sender")
        assert inbox.password is not None
        assert inbox.password not in inbox.log_file.read_text()
