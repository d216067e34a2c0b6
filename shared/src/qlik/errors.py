"""What can go wrong with Qlik, by class: one class, one meaning, one action.

The class is decided where the fact is known (an engine code, an HTTP status, a greeting topic, a close code)
and never from the text of a message: in Qlik's published list several entries share or misuse a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from qlik import engine_codes
from qlik.masking import mask

Code = int | str


class QlikError(Exception):
    """Anything that went wrong while talking to Qlik.

    Attributes:
        code: the number Qlik gave, or a short word of ours when Qlik gave none.
        remedy: what a person can do about it.
        transient: whether the same job, started again from a clean session, may succeed.
        retry_after: seconds to wait before trying again, where Qlik or experience says so.

    """

    transient: ClassVar[bool] = False
    default_remedy: ClassVar[str] = "Look at the log of the Qlik site for the same moment."

    def __init__(
        self, message: str, *, code: Code = "", remedy: str = "", retry_after: float | None = None
    ) -> None:
        self.message = mask(message)
        self.code = code
        self.remedy = mask(remedy) or self.default_remedy
        self.retry_after = retry_after
        super().__init__(self.message)

    def __str__(self) -> str:
        code = f" [{self.code}]" if self.code != "" else ""
        return f"{self.message}{code} - {self.remedy}"


class ConfigurationError(QlikError):
    """Something named in the task, the template or the settings is not there or not right.

    Trying again is no use.
    """

    default_remedy = "Check the name or id in the task or template against the app."


class PermissionDenied(QlikError):  # noqa: N818 - says what happened
    """The user we sign in as may not do this, or could not be signed in."""

    default_remedy = "Check the credentials of the connection and the rights of its user on this app."


class Transient(QlikError):  # noqa: N818 - says what happened
    """The site is away, busy or forgetful at the moment. The same job may succeed later, in a new session."""

    transient = True
    default_remedy = (
        "Wait and try again; if it lasts, check that the Qlik site is up and reachable from here."
    )


class Aborted(Transient):
    """A calculation was thrown away because the session's state changed. Everything read so far is void."""

    default_remedy = "Read again from the first row; nothing read before may be used."


class LimitReached(QlikError):  # noqa: N818 - says what happened
    """More was asked for than a limit allows: rows, cells, export size.

    The limit and the amount are in the text.
    """

    default_remedy = "Narrow the report with filters, or raise the limit if the site can bear it."


class SiteBusy(Transient, LimitReached):
    """The site refuses for now: too many sessions of this user, too many requests, licence units in use."""

    default_remedy = "Lower the number of parallel sessions for this site, and wait before trying again."


class ProtocolError(QlikError):
    """Qlik, or something in between, said what the protocol does not allow; or we did."""

    default_remedy = (
        "Check that the address is a Qlik engine or proxy and that nothing in between rewrites traffic."
    )


class CalculationFailed(QlikError):  # noqa: N818 - says what happened
    """A chart or expression has no result: condition not met, all expressions invalid, calculation stopped.

    A report shows this text in place of the chart, never an empty table.
    """

    default_remedy = "Open the chart in Qlik Sense with the same selections; it shows the same message there."


class SelectionNotProved(QlikError):  # noqa: N818 - says what happened
    """A filter could not be shown to be active exactly as asked.

    Using the session would show somebody else's data.
    """

    default_remedy = (
        "Check that the values exist in the field and are possible together with the other filters."
    )

    def __init__(self, field: str, asked: tuple[str | float, ...], found: str, *, code: Code = "") -> None:
        self.field = field
        self.asked = asked
        shown = ", ".join(str(value) for value in asked[:10]) + (" ..." if len(asked) > 10 else "")  # noqa: PLR2004 - enough to recognise the filter
        super().__init__(f"Filter on {field!r} with values ({shown}) is not proved: {found}", code=code)


_CLASSES: Mapping[engine_codes.Kind, type[QlikError]] = {
    "transient": Transient,
    "denied": PermissionDenied,
    "wrong": ConfigurationError,
    "calculation": CalculationFailed,
    "limit": LimitReached,
    "aborted": Aborted,
    "request": ProtocolError,
}


def engine_error(error: Mapping[str, Any], *, doing: str) -> QlikError:
    """The exception for an `error` member of an engine reply, decided by its code.

    `doing` names the call, for the person who reads the message.
    """
    code = error.get("code")
    if not isinstance(code, int):
        return ProtocolError(f"{doing}: the engine sent an error without a code")
    text = str(error.get("message") or "no message")
    detail = str(error.get("parameter") or "")
    return engine_code_error(code, f"{doing}: {text}" + (f" ({detail})" if detail else ""))


def engine_code_error(code: int, message: str) -> QlikError:
    """The exception for an engine error code, as `qlik.engine_codes` classes it."""
    if 400 <= code <= 509 and not engine_codes.known(code):  # noqa: PLR2004 - the engine passes on HTTP codes
        return http_error(code, message)
    found = engine_codes.meaning(code)
    return _CLASSES[found.kind](message, code=code, remedy=found.remedy)


def http_error(status: int, message: str, *, retry_after: float | None = None) -> QlikError:
    """The exception for an HTTP status from a proxy, QRS or Qlik Cloud."""
    if status in {401, 403}:
        return PermissionDenied(message, code=status)
    if status in {404, 410, 400, 405, 409, 412, 415, 422}:
        return ConfigurationError(message, code=status)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return SiteBusy(message, code=status, retry_after=retry_after)
    if status == 408 or status >= 500:  # noqa: PLR2004 - the server's own trouble
        return Transient(message, code=status, retry_after=retry_after)
    return ProtocolError(message, code=status)
