"""The mail transport against aiosmtpd: encryption and sign-in."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runtime.mail import Accepted, Deferred, MailContent, MailTransport, SmtpSettings, build_message

pytestmark = pytest.mark.integration


class Box:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 kept"


def sign_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=data.login == b"broadsheet" and data.password == b"hunter2", handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for loopback that signs itself: its file, and a server's context with it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(tz=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "cert.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context


@asynccontextmanager
async def serving(factory: Callable[[], SMTP], context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def send(port: int, **more: Any) -> object:
    settings = SmtpSettings.model_validate(
        {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_command_timeout_s": 5.0, **more}
    )
    content = MailContent(
        message_id="<d-1@example.org>",
        date=datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
        sender="reports@example.org",
        to=("ann@example.org",),
        subject="Sales",
        text="Hello",
    )

    async def mine(refused: object) -> bool:
        return True

    async with MailTransport(settings) as transport:
        return await transport.send(
            build_message(content), "reports@example.org", ["ann@example.org"], before_data=mine
        )


async def test_starttls_with_sign_in(certificate: tuple[Path, ssl.SSLContext]) -> None:
    box = Box()
    file, context = certificate

    def factory() -> SMTP:
        return SMTP(
            box, tls_context=context, require_starttls=True, authenticator=sign_in, auth_required=True
        )

    account = {"smtp_username": "broadsheet", "smtp_password": "hunter2"}
    async with serving(factory) as port:
        result = await send(port, smtp_tls="starttls", smtp_ca_file=str(file), **account)
        assert isinstance(result, Accepted)
        refused = await send(
            port, smtp_tls="starttls", smtp_ca_file=str(file), **{**account, "smtp_password": "wrong"}
        )
        assert isinstance(refused, Deferred)
    assert [each.rcpt_tos for each in box.envelopes] == [["ann@example.org"]]


async def test_tls_from_the_first_byte(certificate: tuple[Path, ssl.SSLContext]) -> None:
    box = Box()
    file, context = certificate
    async with serving(lambda: SMTP(box), context) as port:
        assert isinstance(await send(port, smtp_tls="tls", smtp_ca_file=str(file)), Accepted)
    assert len(box.envelopes) == 1


async def test_certificate_nobody_vouches_for_is_refused(certificate: tuple[Path, ssl.SSLContext]) -> None:
    box = Box()
    async with serving(lambda: SMTP(box), certificate[1]) as port:
        assert isinstance(await send(port, smtp_tls="tls"), Deferred)
    assert box.envelopes == []
