"""Secrets never reach a log or an exception text: this is the one place that takes them out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "***"

# Qlik puts these into the query of a URL: tickets, short-lived tokens, CSRF tokens.
_QUERY = re.compile(
    r"(?i)\b(QlikTicket|accessToken|access_token|refresh_token|id_token|qlik-csrf-token|xrfkey|client_secret"
    r"|secret|password|passwd|pwd|api_?key|token|ticket|code)"
    r"(=|%3D|[\"']?\s*:\s*[\"']?)([^&\s\"',;}]+)"
)
_HEADER = re.compile(
    r"(?i)\b(Authorization|Proxy-Authorization|Cookie|Set-Cookie|X-Qlik-Xrfkey|qlik-csrf-token|Qlik-Signature)"
    r"([\"']?\s*(?:[:=]|,\s*b)\s*[\"']?)([^\r\n\"']+)"
)
_BEARER = re.compile(r"(?i)\bBearer\s+[A-Za-z0-9._~+/=-]+")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_COOKIE = re.compile(r"(?i)\b(X-Qlik-Session[A-Za-z0-9_-]*|eas\.sid|_csrfToken)=([^;\s\"',]+)")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
_USERINFO = re.compile(r"(?i)\b((?:https?|wss?)://)[^/\s@]+@")


_LEAST = 6  # shorter values would take words out of texts; no credential of Qlik is as short


def without(text: str, sent: Iterable[str]) -> str:
    """The text without values that were sent as credentials: some servers repeat them under odd names."""
    for value in sorted({each for each in sent if len(each) >= _LEAST}, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def credentials_in(headers: Mapping[str, str]) -> set[str]:
    """The secret values in headers that sign a request."""
    found: set[str] = set()
    for name, value in headers.items():
        match name.lower():
            case "authorization":
                found.add(value.removeprefix("Bearer "))
            case "cookie":
                found |= {pair.partition("=")[2] for pair in value.split("; ")}
            case "qlik-csrf-token":
                found.add(value)
    return found


def mask(text: str) -> str:
    """The text without tickets, tokens, cookies, private keys and passwords in addresses."""
    text = _PEM.sub(MASK, text)
    text = _BEARER.sub(f"Bearer {MASK}", text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    text = _COOKIE.sub(rf"\1={MASK}", text)
    text = _JWT.sub(MASK, text)
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    return _QUERY.sub(rf"\1\2{MASK}", text)
