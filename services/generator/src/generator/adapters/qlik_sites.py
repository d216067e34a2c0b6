"""Qlik clients by connection, and Qlik's errors in the words of the failure policy."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from contracts.configuration import Connection
from qlik import (
    AppSession,
    CalculationFailed,
    ConfigurationError,
    LimitReached,
    PermissionDenied,
    QlikClient,
    QlikError,
    SelectionNotProved,
    SiteBreaker,
    SiteGate,
)
from runtime.configuration import ConfigurationReader
from runtime.egress import Egress
from runtime.errors import Permanent, Transient
from runtime.secrets import Sealer
from runtime.sites import reach_of, site_of

_CODES: tuple[tuple[type[QlikError], str], ...] = (
    (SelectionNotProved, "selection-not-proved"),
    (CalculationFailed, "qlik-calculation-failed"),
    (LimitReached, "qlik-limit"),
    (PermissionDenied, "qlik-denied"),
    (ConfigurationError, "qlik-not-as-configured"),
)


@contextmanager
def qlik_errors() -> Iterator[None]:
    """Raise Transient or Permanent in place of what the Qlik client raises."""
    try:
        yield
    except QlikError as error:
        raise translated(error) from error


def translated(error: QlikError) -> Transient | Permanent:
    """Return an error of the Qlik client as the failure policy knows it."""
    if error.transient:
        return Transient(str(error))
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "qlik-protocol")
    shown = f" [{error.code}]" if error.code != "" else ""
    return Permanent(code, f"{error.message}{shown}", error.remedy)


@dataclass(slots=True)
class _Held:
    connection: Connection
    client: QlikClient
    uses: int = 0


class QlikSites:
    """One client per connection, so that it signs in once.

    A connection that was changed gets a new client at its next use; the old one is closed after its last.
    Secrets are opened in memory only.
    """

    def __init__(
        self,
        reader: ConfigurationReader,
        sealer: Sealer | None,
        *,
        egress: Egress,
        gate: SiteGate | None = None,
        breaker: SiteBreaker | None = None,
    ) -> None:
        """Take the reader of connections, what opens their secrets (None if there is no key), and limits.

        `egress` decides which addresses may be connected to.

        Without `gate` and `breaker` each client counts for itself.
        """
        self._reader = reader
        self._sealer = sealer
        self._reach = reach_of(egress)
        self._gate, self._breaker = gate, breaker
        self._held: dict[str, _Held] = {}

    @asynccontextmanager
    async def session(self, connection_id: str, app_id: str) -> AsyncIterator[AppSession]:
        """Open an app in a session of its own. Raises Transient or Permanent, also for errors in the body."""
        async with self.opened(connection_id, app_id) as (_, session):
            yield session

    @asynccontextmanager
    async def opened(self, connection_id: str, app_id: str) -> AsyncIterator[tuple[QlikClient, AppSession]]:
        """The same with the client of the site, for what is asked beside the session."""
        held = await self._hold(connection_id)
        try:
            with qlik_errors():
                async with held.client.session(app_id) as session:
                    yield held.client, session
        finally:
            held.uses -= 1
            if not held.uses and self._held.get(connection_id) is not held:
                await held.client.aclose()

    async def aclose(self) -> None:
        """Close every client."""
        while self._held:
            _, held = self._held.popitem()
            with suppress(QlikError):
                await held.client.aclose()

    async def _hold(self, connection_id: str) -> _Held:
        connection = await self._reader.connection(connection_id)
        if connection is None:
            raise Permanent(
                "connection-unknown",
                f"the report uses the Qlik connection {connection_id!r}, which does not exist",
                "choose another connection for the report, or create it again",
            )
        held = self._held.get(connection_id)
        if held is None or held.connection != connection:
            client = QlikClient(
                site_of(connection, self._sealer),
                gate=self._gate,
                breaker=self._breaker,
                reach=self._reach,
            )
            old, held = held, _Held(connection, client)
            self._held[connection_id] = held
            if old is not None and not old.uses:
                await old.client.aclose()
        held.uses += 1
        return held
