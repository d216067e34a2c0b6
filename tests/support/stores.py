"""A database of one's own on the shared MongoDB, gone at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

from runtime.store import Driver, Store, open_store
from support.servers import unique

DRIVERS: tuple[Driver, ...] = get_args(Driver)


@asynccontextmanager
async def fresh_store(uri: str, *, driver: Driver = "motor") -> AsyncIterator[Store]:
    """Open a store on a new database and drop the database afterwards."""
    async with open_store(uri, unique("db"), driver=driver) as store:
        try:
            yield store
        finally:
            await store.db.client.drop_database(store.db.name)
