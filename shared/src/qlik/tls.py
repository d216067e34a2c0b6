"""TLS contexts from PEM texts. Verification is always on; a site's own root certificate is given as text."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

from pydantic import SecretStr

from qlik.errors import ConfigurationError


def context(
    *, ca_pem: SecretStr | None = None, client_pem: SecretStr | None = None, key_pem: SecretStr | None = None
) -> ssl.SSLContext:
    """A context that trusts `ca_pem`, or the system's roots, and shows the client certificate.

    Raises:
        ConfigurationError: when a text is no PEM or key and certificate do not belong together.

    """
    try:
        tls = ssl.create_default_context(cadata=ca_pem.get_secret_value() if ca_pem else None)
    except (ssl.SSLError, ValueError):
        raise ConfigurationError(
            "ca_pem is not a PEM certificate",
            code="tls",
            remedy="Paste the text of root.pem, BEGIN line included.",
        ) from None
    if ca_pem is not None:
        # roots that Qlik's own installer makes lack the key usage extension which newer Pythons insist on
        tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if client_pem is not None and key_pem is not None:
        _load_client(tls, client_pem.get_secret_value(), key_pem.get_secret_value())
    return tls


def _load_client(tls: ssl.SSLContext, certificate: str, key: str) -> None:
    # Python's ssl reads a key only from a file: it lies in a folder of ours, readable by us, for milliseconds
    with tempfile.TemporaryDirectory(prefix="qlik-tls-") as folder:
        path = Path(folder) / "client.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii", errors="replace") as file:
            file.write(certificate.strip() + "\n" + key.strip() + "\n")
        try:
            tls.load_cert_chain(path, password="")
        except (ssl.SSLError, OSError):
            raise ConfigurationError(
                "client_pem and key_pem are not a certificate with its unencrypted key",
                code="tls",
                remedy="Export from the QMC without a password, in the platform-independent PEM format.",
            ) from None
