"""The MongoDB client, the only place that knows which driver makes it (ADR-0003).

Motor is what was asked for and is past its end of life; PyMongo's own asyncio client is its successor. The
two spell almost everything alike. What they do not is wrapped here, so `Store.db` can be typed as PyMongo's,
and the contract tests of everything built on it run on both.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from pymongo import AsyncMongoClient
from pymongo.errors import (
    ConnectionFailure,
    CursorNotFound,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from runtime.errors import Permanent, Transient

if TYPE_CHECKING:
    from pymongo import IndexModel
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.database import AsyncDatabase

P = ParamSpec("P")
T = TypeVar("T")

Document = dict[str, Any]
Driver = Literal["motor", "pymongo"]

# Long enough for a replica set to elect a new primary in most cases, short enough that a handler that waits
# for it stays far below Kafka's poll interval.
_SERVER_SELECTION_MS = 5_000
_CONNECT_MS = 5_000
_SOCKET_MS = 30_000
_MAJORITY_WAIT_MS = 20_000

_TRANSIENT_LABELS = ("RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult")
_TRANSIENT_CODES = frozenset(
    {
        11,  # UserNotFound, 13 Unauthorized, 18 AuthenticationFailed: an operator is changing credentials
        13,
        18,
        24,  # LockTimeout
        50,  # MaxTimeMSExpired
        91,  # ShutdownInProgress
        112,  # WriteConflict
        189,  # PrimarySteppedDown
        262,  # ExceededTimeLimit
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
    }
)

# BSONObjectTooLarge, and what an update answers that would make a document too large.
_TOO_LARGE_CODES = frozenset({10334, 17419, 17420})


class store_errors:  # noqa: N801 - reads as a statement: `with store_errors():`, `@store_errors()`
    """Map driver errors to the failure policy's; a context manager, and a decorator of coroutine functions.

    Network trouble, failover, timeouts and refused credentials become Transient; a document over 16 MiB
    becomes Permanent. `DuplicateKeyError` and faults of the program pass unchanged.
    """

    def __enter__(self) -> None:
        """Begin to map."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the mapped error in place of the driver's."""
        if isinstance(error, PyMongoError | DocumentTooLarge):
            mapped = _mapped(error)
            if mapped is not None:
                raise mapped from error

    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return the coroutine function with its driver errors mapped."""

        @functools.wraps(function)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            with self:
                return await function(*args, **kwargs)

        return wrapper


def _mapped(error: PyMongoError | DocumentTooLarge) -> Exception | None:
    if isinstance(error, DuplicateKeyError):
        return None
    if isinstance(error, DocumentTooLarge) or getattr(error, "code", None) in _TOO_LARGE_CODES:
        return Permanent(
            "document-too-large",
            "A record is larger than the 16 MiB MongoDB stores in one document.",
            "Split the task: fewer reports or recipients in one execution.",
        )
    transient = (
        isinstance(error, ConnectionFailure | ExecutionTimeout | CursorNotFound | WriteConcernError)
        or error.timeout
        or any(error.has_error_label(label) for label in _TRANSIENT_LABELS)
        or (isinstance(error, OperationFailure) and error.code in _TRANSIENT_CODES)
    )
    # The text of a driver error names hosts and codes; it never holds the credentials of the URI.
    return Transient(f"MongoDB: {str(error)[:500]}") if transient else None


class Store:
    """A connected database. Belongs to the event loop it was opened in."""

    def __init__(self, client: Any, database: str, *, driver: Driver) -> None:
        """Take a client of either driver; `open_store` makes it."""
        self._client = client
        self._driver = driver
        self.db: AsyncDatabase[Document] = client[database]

    def collection(self, name: str) -> "AsyncCollection[Document]":
        """Return a collection by name."""
        return self.db[name]

    @store_errors()
    async def ping(self) -> None:
        """Return when the primary answers. Raises Transient when it does not."""
        await self.db.command("ping")

    async def problems(self) -> list[str]:
        """Return why the store cannot be used; empty when it answers. For readiness checks."""
        try:
            await self.ping()
        except Transient as error:
            return [f"store: {error}"]
        return []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["AsyncClientSession"]:
        """Commit what was done with the yielded session when the body ends, abort when it raises.

        Every call inside has to be given `session=`. Raises Transient on a conflict: run the body again.
        """
        with store_errors():
            if self._driver == "motor":
                async with await self._client.start_session() as session, session.start_transaction():
                    yield cast("AsyncClientSession", session)
            else:
                async with self._client.start_session() as session, await session.start_transaction():
                    yield session

    async def aggregate(
        self, collection: str, pipeline: Sequence[Mapping[str, Any]], **options: Any
    ) -> AsyncIterator[Document]:
        """Yield the documents of an aggregation."""
        with store_errors():
            started: Any = self.db[collection].aggregate(pipeline, **options)
            cursor = started if self._driver == "motor" else await started
            async for document in cursor:
                yield document

    @store_errors()
    async def ensure_indexes(self, collection: str, indexes: Sequence["IndexModel"]) -> None:
        """Create the indexes that are missing; existing ones of the same definition are left alone."""
        await self.db[collection].create_indexes(list(indexes))


@asynccontextmanager
async def open_store(uri: str, database: str, *, driver: Driver = "motor") -> AsyncIterator[Store]:
    """Connect to a replica set and check that it answers.

    Writes are confirmed by a majority and journalled, datetimes are aware UTC, single reads and writes are
    retried once by the driver. Raises Transient when no primary answers.
    """
    options: dict[str, Any] = {
        "w": "majority",
        "journal": True,
        "wTimeoutMS": _MAJORITY_WAIT_MS,
        "readConcernLevel": "majority",
        "retryReads": True,
        "retryWrites": True,
        "tz_aware": True,
        "tzinfo": UTC,
        "serverSelectionTimeoutMS": _SERVER_SELECTION_MS,
        "connectTimeoutMS": _CONNECT_MS,
        "socketTimeoutMS": _SOCKET_MS,
        "appname": "broadsheet",
    }
    if driver == "motor":
        client: Any = _motor_client(uri, options)
    else:
        client = AsyncMongoClient(uri, **options)
    try:
        store = Store(client, database, driver=driver)
        await store.ping()
        yield store
    finally:
        if driver == "motor":
            client.close()
        else:
            await client.close()


def _motor_client(uri: str, options: Mapping[str, Any]) -> Any:
    # Imported where it is wanted, so that leaving Motor is deleting this function.
    from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415, TID251 - this is the one place

    return AsyncIOMotorClient(uri, **options)
