"""What an engine or proxy says before and instead of serving us, and what that means. Pure.

An HTTP 101 alone proves nothing: the first frames decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from qlik.errors import (
    ConfigurationError,
    LimitReached,
    PermissionDenied,
    ProtocolError,
    QlikError,
    SiteBusy,
    Transient,
)

BACK_OFF_SESSIONS_S = 60.0  # lingering sessions were seen to need up to their whole timeout

SESSION_CREATED = "SESSION_CREATED"
SESSION_ATTACHED = "SESSION_ATTACHED"

_LICENCE = "Assign a licence to the user of this connection in the management console."
_SESSIONS = (
    "Lower sessions_per_user, or free old sessions of this user; a client-managed proxy allows five per user."
)

_STATES: dict[str, tuple[type[QlikError], str]] = {
    "SESSION_ERROR_NO_LICENSE": (PermissionDenied, _LICENCE),
    "SESSION_ERROR_LICENSE_RENEW": (PermissionDenied, _LICENCE),
    "SESSION_ERROR_LICENSE_INVALID": (PermissionDenied, _LICENCE),
    "SESSION_ERROR_LIMIT_EXCEEDED": (SiteBusy, _SESSIONS),
    "SESSION_ERROR_SECURITY_HEADER_CHANGED": (
        PermissionDenied,
        "The session belongs to another user. Sign in again.",
    ),
    "SESSION_ACCESS_CONTROL_SETUP_FAILURE": (
        PermissionDenied,
        "Section access of the app could not be set up.",
    ),
    "SESSION_ERROR_APP_ACCESS_DENIED": (
        PermissionDenied,
        "Give the user of this connection access to the app.",
    ),
    "SESSION_ERROR_APP_FAILURE": (
        ConfigurationError,
        "The app could not be opened. Check the app id and the app.",
    ),
}

_TOPICS: dict[str, tuple[type[QlikError], str]] = {
    "OnMaxParallelSessionsExceeded": (SiteBusy, _SESSIONS),
    "OnLicenseAccessDenied": (PermissionDenied, _LICENCE),
    "OnLicenseAccessDeniedPendingUserSync": (Transient, "The user is still being synchronised. Wait."),
    "OnExcessLicenseAssignment": (PermissionDenied, "More licences are assigned than the site owns."),
    "OnSessionClosed": (Transient, "The session was closed at the site."),
    "OnSessionLoggedOut": (Transient, "The user was logged out at the site."),
    "OnSessionTimedOut": (Transient, "The proxy session timed out. A new one is needed."),
    "OnEngineWebsocketFailed": (Transient, "The proxy lost its engine. Check the engine service."),
    "OnNoEngineAvailable": (
        Transient,
        "No engine serves this app. Check the app id, the engine service and the load balancing rules.",
    ),
    "OnRepositoryWebsocketFailed": (
        Transient,
        "The proxy lost the repository. Check the repository service.",
    ),
    "OnNoRepositoryAvailable": (Transient, "The repository service is not running."),
    "OnDataPrepServiceWebsocketFailed": (Transient, ""),
    "OnNoDataPrepServiceAvailable": (Transient, ""),
    "OnNoPrintingServiceAvailable": (Transient, ""),
}

_CLOSE: dict[int, tuple[type[QlikError], str]] = {
    1002: (ProtocolError, ""),
    1003: (ProtocolError, ""),
    1007: (ProtocolError, "Something sent a frame that is not valid text."),
    1009: (LimitReached, "A frame was larger than max_frame_bytes. Ask for fewer rows per page."),
    4000: (Transient, ""),
    4001: (Transient, "The connection was idle too long. Lower keep_alive_s."),
    4002: (PermissionDenied, _LICENCE),
    4003: (Transient, "The engine is shutting down. Wait."),
    4004: (Transient, "The app was removed from the engine. Wait."),
    4005: (SiteBusy, _SESSIONS),
    4006: (PermissionDenied, "The sign-in is no longer valid. Check the key or token."),
    4007: (Transient, "The app changed its mode."),
    4200: (Transient, ""),
    4201: (Transient, ""),
    4202: (ProtocolError, ""),
    4203: (PermissionDenied, "Give the user of this connection access to the app."),
    4204: (ConfigurationError, "The app is not there, or this user does not see it. Check the app id."),
    4205: (SiteBusy, "Too many requests. Lower sessions_per_user."),
    4206: (Transient, ""),
    4210: (Transient, ""),
    4211: (Transient, ""),
    4220: (Transient, ""),
    4222: (ConfigurationError, "The engine reservation the app asks for is missing."),
    4230: (PermissionDenied, "The tenant is not entitled to this."),
    4240: (Transient, "No engine is free at the moment. Wait."),
}

Outcome = Literal["waiting", "created", "attached"]


def read(method: str, params: Mapping[str, Any]) -> Outcome | QlikError:
    """What one notification means for a socket that waits for its greeting."""
    if method == "OnConnected":
        state = str(params.get("qSessionState") or "")
        if state == SESSION_CREATED:
            return "created"
        if state == SESSION_ATTACHED:
            return "attached"
        kind, remedy = _STATES.get(state, (ProtocolError, ""))
        return kind(
            f"The engine refused the session: {state or 'no state given'}",
            code=state,
            remedy=remedy,
            retry_after=BACK_OFF_SESSIONS_S if kind is SiteBusy else None,
        )
    if method == "OnAuthenticationInformation" and params.get("mustAuthenticate"):
        return PermissionDenied(
            "The proxy asks for a login instead of opening the session",
            code=method,
            remedy="The sign-in was not accepted or has expired; check the token, ticket or virtual proxy.",
        )
    return fatal(method, params) or "waiting"


def fatal(method: str, params: Mapping[str, Any]) -> QlikError | None:
    """The error a notification stands for, at any time of a connection; None if it ends nothing."""
    known = _TOPICS.get(method)
    if known is None:
        if params.get("severity") == "fatal":
            return Transient(
                f"The site ended the session: {method}: {params.get('message') or ''}", code=method
            )
        return None
    kind, remedy = known
    return kind(
        f"The site ended the session: {method}: {params.get('message') or 'no message'}",
        code=method,
        remedy=remedy,
        retry_after=BACK_OFF_SESSIONS_S if kind is SiteBusy else None,
    )


def closed(code: int | None, reason: str, *, greeted: bool) -> QlikError:
    """What the end of a web socket means.

    Without a greeting before it, the proxy session has usually expired.
    """
    if code in _CLOSE:
        kind, remedy = _CLOSE[code]
        return kind(
            f"The engine closed the connection: {reason or 'no reason given'}",
            code=code,
            remedy=remedy,
            retry_after=BACK_OFF_SESSIONS_S if kind is SiteBusy else None,
        )
    if not greeted:
        return PermissionDenied(
            f"The connection was closed before any greeting: {reason or 'no reason given'}",
            code=code if code is not None else "closed",
            remedy="An expired proxy session looks like this; sign in again, and check the virtual proxy.",
        )
    return Transient(
        f"The connection to the engine was lost: {reason or 'no reason given'}",
        code=code if code is not None else "lost",
    )


def upgrade_refused(status: int, body: str) -> QlikError:
    """What a refused web socket upgrade means. Nothing of the answer is repeated."""
    if status in {301, 302, 303, 307, 308}:
        return PermissionDenied(
            "The site redirects to another page instead of opening the session",
            code=status,
            remedy="The sign-in has expired or the virtual proxy is wrong; check the prefix and the token.",
        )
    if status == 500 and "authentication error" in body.lower():  # noqa: PLR2004 - what Qlik answers
        return PermissionDenied("The proxy session has expired", code=status, remedy="Sign in again.")
    if status in {401, 403}:
        remedy = (
            "The key, token or certificate was rejected."
            if status == 401  # noqa: PLR2004 - Unauthorized
            else "Add the origin to the host allow-list of the virtual proxy, and check the user's rights."
        )
        return PermissionDenied("The site refused to open a session", code=status, remedy=remedy)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return SiteBusy("The site has too many requests", code=status, retry_after=BACK_OFF_SESSIONS_S)
    if status >= 500:  # noqa: PLR2004 - the server's own trouble
        return Transient("The site cannot open a session now", code=status)
    return ConfigurationError(
        "The site does not open a session at this address",
        code=status,
        remedy="Check engine_url, the virtual proxy prefix and its link to the central proxy.",
    )
