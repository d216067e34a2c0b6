"""Keys, certificates and tokens of a site that exists only in tests."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def jwt(key: rsa.RSAPrivateKey, user: str = "reporter") -> SecretStr:
    def part(raw: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(raw).encode()).rstrip(b"=").decode()

    signed = f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part({'userId': user, 'userDirectory': 'EXT'})}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return SecretStr(f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


class Authority:
    """A certificate authority as a site has its own."""

    def __init__(self) -> None:
        self.key = new_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site-CA")])
        self.certificate = self._sign(self.name, self.key, ca=True)

    def issue(self, common: str) -> tuple[str, str]:
        """Certificate and key of a server or client, as PEM."""
        key = new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        return self._pem(self._sign(name, key, ca=False)), key_pem(key)

    @property
    def pem(self) -> str:
        return self._pem(self.certificate)

    def _sign(self, name: x509.Name, key: rsa.RSAPrivateKey, *, ca: bool) -> x509.Certificate:
        now = datetime.now(tz=UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @staticmethod
    def _pem(certificate: x509.Certificate) -> str:
        return certificate.public_bytes(serialization.Encoding.PEM).decode()
