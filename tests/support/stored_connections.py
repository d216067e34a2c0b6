"""Connections as the generator reads them, in memory."""

import json
from typing import Any

from contracts.configuration import Connection, ConnectionKind
from support.qlik_site import SimulatedSite


class Connections:
    """config-api's connections."""

    def __init__(self, *found: Connection) -> None:
        self.found = {each.id: each for each in found}

    async def connection(self, connection_id: str) -> Connection | None:
        return self.found.get(connection_id)


def client_managed(site: SimulatedSite, **changes: Any) -> Connection:
    """Return a connection to the simulator as a client-managed site."""
    settings = json.loads(site.site().model_dump_json(exclude={"kind", "qrs_url"}))
    return Connection(
        id="site",
        name="Site",
        kind=ConnectionKind.CLIENT_MANAGED,
        **{"settings": settings, **changes},
    )
