"""Accounts, sessions, API keys and failed sign-ins in MongoDB. No token, key or password in clear."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from config_api.adapters.configuration_store import ACCOUNTS, CHANGES, change_document
from config_api.domain.errors import ConflictError
from config_api.domain.identity import WINDOW, Account, ApiKey, Session
from config_api.domain.kinds import RECIPIENT
from config_api.domain.rights import Role
from contracts.events import ConfigurationChanged
from runtime.store import Document, Store, store_errors

SESSIONS = "config_sessions"
API_KEYS = "config_api_keys"
ATTEMPTS = "config_sign_in_failures"
DEVICES = "config_known_devices"


class MongoAccounts:
    """config_api.ports.Accounts over MongoDB."""

    def __init__(self, store: Store, *, nudge: Callable[[], None]) -> None:
        """Take the store, and what to call when there is an event to publish."""
        self._store = store
        self._nudge = nudge
        self._accounts = store.collection(ACCOUNTS)

    async def ensure_indexes(self) -> None:
        """Create the index that makes addresses unique."""
        await self._store.ensure_indexes(ACCOUNTS, [IndexModel([("email", ASCENDING)], unique=True)])

    @store_errors()
    async def by_email(self, email: str) -> Account | None:
        """Return the account with a normalised address."""
        return _account(await self._accounts.find_one({"email": email}))

    @store_errors()
    async def by_id(self, account_id: str) -> Account | None:
        """Return an account."""
        return _account(await self._accounts.find_one({"_id": account_id}))

    @store_errors()
    async def all(self) -> list[Account]:
        """Return every account, by address."""
        cursor = self._accounts.find({}).sort("email", ASCENDING)
        return [account async for document in cursor if (account := _account(document))]

    @store_errors()
    async def save(self, account: Account, event: ConfigurationChanged, *, new: bool) -> None:
        """Store an account with the event of the change, in one transaction."""
        document = {
            "email": account.email,
            "password_hash": account.password_hash,
            "role": account.role.value,
            "recipient_id": account.recipient_id,
            "enabled": account.enabled,
            "created_at": account.created_at,
            "password_changed_at": account.password_changed_at,
        }
        try:
            async with self._store.transaction() as session:
                if account.recipient_id is not None:
                    # Touched, so that this and a deletion of the recipient, side by side, are a conflict.
                    linked = await self._store.collection(RECIPIENT.collection).update_one(
                        {"_id": account.recipient_id}, {"$inc": {"touched": 1}}, session=session
                    )
                    if linked.matched_count != 1:
                        raise ConflictError(
                            f"The recipient {account.recipient_id!r} has been deleted.", "Link another one."
                        )
                if new:
                    await self._accounts.insert_one({"_id": account.id, **document}, session=session)
                else:
                    await self._accounts.update_one({"_id": account.id}, {"$set": document}, session=session)
                await self._store.collection(CHANGES).insert_one(change_document(event), session=session)
        except DuplicateKeyError as error:
            raise ConflictError(
                f"There is an account for {account.email} already.", "Change that one."
            ) from error
        self._nudge()


class MongoSessions:
    """config_api.ports.Sessions over MongoDB; the server deletes those that have ended."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store
        self._sessions = store.collection(SESSIONS)

    async def ensure_indexes(self) -> None:
        """Create the index that deletes ended sessions."""
        await self._store.ensure_indexes(
            SESSIONS,
            [
                IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
                IndexModel([("account_id", ASCENDING)]),
            ],
        )

    @store_errors()
    async def open(self, session: Session) -> None:
        """Store a session."""
        await self._sessions.insert_one(
            {
                "_id": session.token_hash,
                "account_id": session.account_id,
                "csrf": session.csrf,
                "created_at": session.created_at,
                "expires_at": session.expires_at,
                "seen_at": session.seen_at,
            }
        )

    @store_errors()
    async def find(self, token_hash: str) -> Session | None:
        """Return a session."""
        found = await self._sessions.find_one({"_id": token_hash})
        if found is None:
            return None
        # Sessions from before it was noted when they were used.
        seen_at: datetime = found["seen_at"] if "seen_at" in found else found["created_at"]
        return Session(
            found["_id"],
            found["account_id"],
            found["csrf"],
            found["created_at"],
            found["expires_at"],
            seen_at,
        )

    @store_errors()
    async def seen(self, token_hash: str, at: datetime) -> None:
        """Note when a session was used."""
        await self._sessions.update_one({"_id": token_hash}, {"$max": {"seen_at": at}})

    @store_errors()
    async def close(self, token_hash: str) -> None:
        """Forget a session."""
        await self._sessions.delete_one({"_id": token_hash})

    @store_errors()
    async def close_all(self, account_id: str) -> None:
        """Forget every session of an account."""
        await self._sessions.delete_many({"account_id": account_id})


class MongoApiKeys:
    """config_api.ports.ApiKeys over MongoDB."""

    def __init__(self, store: Store, *, nudge: Callable[[], None]) -> None:
        """Take the store, and what to call when there is an event to publish."""
        self._store = store
        self._nudge = nudge
        self._keys = store.collection(API_KEYS)

    @store_errors()
    async def save(self, key: ApiKey, event: ConfigurationChanged) -> None:
        """Store a key with the event of the change, in one transaction."""
        document = {
            "name": key.name,
            "account_id": key.account_id,
            "role": key.role.value,
            "secret_hash": key.secret_hash,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked": key.revoked,
        }
        async with self._store.transaction() as session:
            await self._keys.update_one({"_id": key.id}, {"$set": document}, upsert=True, session=session)
            await self._store.collection(CHANGES).insert_one(change_document(event), session=session)
        self._nudge()

    @store_errors()
    async def find(self, key_id: str) -> ApiKey | None:
        """Return a key."""
        found = await self._keys.find_one({"_id": key_id})
        return None if found is None else _key(found)

    @store_errors()
    async def all(self, account_id: str | None) -> list[ApiKey]:
        """Return the keys of an account, or of all, the newest first."""
        query = {} if account_id is None else {"account_id": account_id}
        cursor = self._keys.find(query).sort("created_at", -1)
        return [_key(document) async for document in cursor]


class MongoAttempts:
    """config_api.ports.Attempts over MongoDB, so that all replicas count together."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store
        self._failures = store.collection(ATTEMPTS)

    async def ensure_indexes(self) -> None:
        """Create the index to find failures, and the one that forgets them."""
        forget = WINDOW + timedelta(minutes=5)
        await self._store.ensure_indexes(
            ATTEMPTS,
            [
                IndexModel([("who", ASCENDING), ("at", ASCENDING)]),
                IndexModel([("at", ASCENDING)], expireAfterSeconds=int(forget.total_seconds())),
            ],
        )

    @store_errors()
    async def failures(self, who: str, since: datetime) -> list[datetime]:
        """Return when sign-ins as, or from, `who` failed."""
        cursor = self._failures.find({"who": who, "at": {"$gt": since}}).limit(1000)
        return [document["at"] async for document in cursor]

    @store_errors()
    async def failed(self, who: str, at: datetime) -> None:
        """Remember a failed sign-in."""
        await self._failures.insert_one({"who": who, "at": at})

    @store_errors()
    async def withdraw(self, who: str, at: datetime) -> None:
        """Take back one failure: the attempt went well."""
        await self._failures.delete_one({"who": who, "at": at})

    @store_errors()
    async def forget(self, who: str) -> None:
        """Forget the failures of somebody who signed in."""
        await self._failures.delete_many({"who": who})


class MongoDevices:
    """config_api.ports.Devices over MongoDB; the server deletes those that have not signed in for long."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store
        self._devices = store.collection(DEVICES)

    async def ensure_indexes(self) -> None:
        """Create the index that forgets devices."""
        await self._store.ensure_indexes(
            DEVICES,
            [
                IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0),
                IndexModel([("account_id", ASCENDING)]),
            ],
        )

    @store_errors()
    async def remember(self, token_hash: str, account_id: str, until: datetime) -> None:
        """Store that a device signed in."""
        await self._devices.update_one(
            {"_id": token_hash}, {"$set": {"account_id": account_id, "expires_at": until}}, upsert=True
        )

    @store_errors()
    async def owner(self, token_hash: str) -> str | None:
        """Return whose device it is."""
        found = await self._devices.find_one({"_id": token_hash})
        return None if found is None else str(found["account_id"])

    @store_errors()
    async def forget_all(self, account_id: str) -> None:
        """Forget every device of an account."""
        await self._devices.delete_many({"account_id": account_id})


def _account(document: Document | None) -> Account | None:
    if document is None:
        return None
    return Account(
        id=document["_id"],
        email=document["email"],
        password_hash=document["password_hash"],
        role=Role(document["role"]),
        recipient_id=document["recipient_id"],
        enabled=document["enabled"],
        created_at=document["created_at"],
        password_changed_at=document.get("password_changed_at"),
    )


def _key(document: Document) -> ApiKey:
    return ApiKey(
        id=document["_id"],
        name=document["name"],
        account_id=document["account_id"],
        role=Role(document["role"]),
        secret_hash=document["secret_hash"],
        created_at=document["created_at"],
        expires_at=document["expires_at"],
        revoked=document["revoked"],
    )
