"""Reloads of a Qlik site, read through the Qlik client."""

from collections.abc import Sequence
from datetime import datetime

from qlik import QlikClient, QlikError
from runtime.errors import Transient
from scheduler.domain.reloads import Reload, ReloadStatus


class QlikReloads:
    """Implements `ports.ReloadSource` for one connection, and asks the site to push."""

    def __init__(self, connection_id: str, client: QlikClient) -> None:
        """Take the connection's id and an open client."""
        self._connection_id = connection_id
        self._client = client
        self._handle: str | None = None

    async def since(self, mark: datetime) -> Sequence[Reload]:
        """Return the reloads that ended at or after `mark`, oldest first. Raises Transient."""
        try:
            if self._client.site.kind == "cloud":
                seen = await self._client.tenant.reloads_since(mark)
            else:
                seen = await self._client.repository.executions_since(mark)
        except QlikError as error:
            raise _transient(self._client, error) from error
        return [
            Reload(
                connection_id=self._connection_id,
                app_id=each.app_id,
                reload_id=each.reload_id,
                status=ReloadStatus(each.status),
                finished_at=each.finished_at,
            )
            for each in seen
            if each.finished_at is not None and each.over
        ]

    async def subscribe(self, callback_url: str) -> None:
        """Ask a client-managed site to call back on changes of executions; forget the last request.

        Made anew each time, because a repository that was restarted forgets without a word. Raises Transient.
        """
        if self._client.site.kind == "cloud":
            return
        before, self._handle = self._handle, None
        try:
            self._handle = await self._client.repository.subscribe("ExecutionResult", callback_url)
            if before is not None:
                await self._client.repository.unsubscribe(before)
        except QlikError as error:
            raise _transient(self._client, error) from error

    async def aclose(self) -> None:
        """End the subscription if the site still answers, and the client."""
        if self._handle is not None:
            try:
                await self._client.repository.unsubscribe(self._handle)
            except QlikError:
                # The site drops a subscription whose address does not answer any more.
                self._handle = None
        await self._client.aclose()


def _transient(client: QlikClient, error: QlikError) -> Transient:
    # Whatever is wrong with the site, the listener keeps asking: it may be mended there.
    return Transient(f"Qlik site {client.site.name}: {error} {error.remedy}".strip())
