"""Accounts, sessions and API keys: who is asking, and with what right."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import structlog
from prometheus_client import Counter

from config_api.domain import identity, validation
from config_api.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    Problem,
    SignInError,
    ThrottledError,
)
from config_api.domain.identity import Account, ApiKey, Session
from config_api.domain.kinds import RECIPIENT
from config_api.domain.rights import Actor, Right, Role, demand, lesser, may
from config_api.ports import (
    Accounts,
    ApiKeys,
    Attempts,
    ConfigurationStore,
    Devices,
    Passwords,
    Sessions,
)
from contracts.events import ConfigurationChanged
from runtime.clock import Clock

log = structlog.get_logger(__name__)

SIGN_INS = Counter("broadsheet_sign_ins_total", "Sign-ins by result.", ["result"])
MAX_KEY_DAYS = 365

COMMAND = Actor("command", "command line", Role.ADMIN, None, "command")
"""Who acts when the program is run by an operator."""


_SEEN_EVERY = timedelta(minutes=1)
"""A session's last use is written down no more often than this."""


class SignedIn(NamedTuple):
    """A browser that signed in; the tokens go into cookies and are stored as hashes only."""

    token: str
    session: Session
    device: str


class Identity:
    """Who may sign in, and who has."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        sessions: Sessions,
        keys: ApiKeys,
        attempts: Attempts,
        passwords: Passwords,
        configuration: ConfigurationStore,
        clock: Clock,
        new_id: Callable[[], str],
        new_token: Callable[[], str],
        devices: Devices,
        session_for: timedelta,
        idle_for: timedelta,
    ) -> None:
        """Take the ports, how long a session lasts in all, and how long without a request."""
        self._accounts = accounts
        self._sessions = sessions
        self._keys = keys
        self._attempts = attempts
        self._passwords = passwords
        self._configuration = configuration
        self._clock = clock
        self._new_id = new_id
        self._new_token = new_token
        self._devices = devices
        self._session_for = session_for
        self._idle_for = idle_for

    async def sign_in(self, email: str, password: str, address: str, device: str = "") -> SignedIn:
        """Return the cookie's token, the session, and the token that makes this browser a known device.

        `device` is that token from the last time, if there is one. Raises ThrottledError after too many
        failures, SignInError with one text for every other reason, so that nobody learns which addresses
        have an account.
        """
        who = identity.normal_email(email)[:254]
        account = await self._accounts.by_email(who)
        known = await self._known(device, account)
        counters = identity.counted(who, address, known)
        now = await self._attempt(counters)
        matches = await self._passwords.matches(
            password[: identity.MAX_PASSWORD], account.password_hash if account else None
        )
        if account is None or not matches or not account.enabled:
            SIGN_INS.labels("refused").inc()
            log.warning("sign-in refused", address=address)
            raise SignInError(
                "The e-mail address or the password is wrong.", "Try again, or ask an administrator."
            )
        await self._succeeded(counters, now)
        SIGN_INS.labels("accepted").inc()
        token, remembered = self._new_token(), device if known else self._new_token()
        session = Session(
            identity.token_hash(token), account.id, self._new_token(), now, now + self._session_for, now
        )
        await self._sessions.open(session)
        await self._devices.remember(identity.token_hash(remembered), account.id, now + identity.KNOWN_FOR)
        return SignedIn(token, session, remembered)

    async def sign_out(self, token: str) -> None:
        """End a session."""
        await self._sessions.close(identity.token_hash(token))

    async def session(self, token: str) -> tuple[Actor, Session] | None:
        """Return who a cookie stands for, or None when it stands for nobody any more."""
        found = await self._sessions.find(identity.token_hash(token))
        if found is None or found.expires_at <= self._clock.now():
            return None
        account = await self._accounts.by_id(found.account_id)
        if account is None or not account.enabled or _outdated(found.created_at, account):
            return None
        now = self._clock.now()
        if now - found.seen_at > self._idle_for:
            await self._sessions.close(found.token_hash)
            return None
        if now - found.seen_at > min(_SEEN_EVERY, self._idle_for / 4):
            await self._sessions.seen(found.token_hash, now)
        return _actor(account, account.role, "session"), found

    async def bearer(self, text: str) -> Actor:
        """Return who an API key stands for. Raises SignInError."""
        refusal = SignInError(
            "The API key is not valid.", "Make a new one, or check that it was copied whole."
        )
        parsed = identity.parse_key(text)
        key = await self._keys.find(parsed[0]) if parsed else None
        if parsed is None or key is None or not identity.same_token(parsed[1], key.secret_hash):
            raise refusal
        account = await self._accounts.by_id(key.account_id)
        if key.revoked or key.expires_at <= self._clock.now() or account is None or not account.enabled:
            raise refusal
        if _outdated(key.created_at, account):
            raise refusal
        return _actor(account, lesser(key.role, account.role), "api-key")

    async def create_account(
        self, email: str, password: str, role: Role, recipient_id: str | None, actor: Actor
    ) -> Account:
        """Store a new account. Raises InvalidError, ConflictError when the address has one."""
        demand(actor, Right.ACCOUNTS)
        problems = validation.email_problems("email", email)
        if problems:
            raise InvalidError(*problems)
        identity.check_password(password, email)
        await self._check_recipient(recipient_id)
        account = Account(
            id=self._new_id(),
            email=identity.normal_email(email),
            password_hash=await self._passwords.hash(password),
            role=role,
            recipient_id=recipient_id,
            enabled=True,
            created_at=self._clock.now(),
        )
        if await self._accounts.by_email(account.email) is not None:
            raise ConflictError(f"There is an account for {account.email} already.", "Change that one.")
        await self._accounts.save(account, self._changed(account, "created", (), actor), new=True)
        return account

    async def change_account(
        self,
        account_id: str,
        actor: Actor,
        *,
        role: Role | None = None,
        enabled: bool | None = None,
        password: str | None = None,
        recipient_id: str | None = None,
    ) -> Account:
        """Change what is given.

        A new password, a new role or disabling ends the account's sessions; a new password also revokes its
        API keys and forgets its devices.
        """
        demand(actor, Right.ACCOUNTS)
        before = await self._account(account_id)
        if before.id == actor.account_id and (enabled is False or role not in {None, before.role}):
            raise ConflictError("Nobody takes rights from oneself.", "Ask another administrator.")
        await self._check_recipient(recipient_id)
        after = replace(
            before,
            role=role or before.role,
            enabled=before.enabled if enabled is None else enabled,
            recipient_id=recipient_id or before.recipient_id,
        )
        if password is not None:
            after = await self._with_password(after, password)
        fields = tuple(
            name
            for name in ("enabled", "password_hash", "recipient_id", "role")
            if getattr(before, name) != getattr(after, name)
        )
        shown = tuple(name.removesuffix("_hash") for name in fields)
        await self._accounts.save(after, self._changed(after, "changed", shown, actor), new=False)
        if {"enabled", "password_hash", "role"} & set(fields):
            await self._sessions.close_all(account_id)
        if "password_hash" in fields:
            await self._revoke_all(account_id, actor)
        return after

    async def change_password(self, current: str, new: str, actor: Actor) -> None:
        """Change the actor's own password; every session, API key and known device of the account ends.

        Raises ConflictError for an API key, ThrottledError after too many wrong passwords, InvalidError.
        """
        if actor.via != "session":
            remedy = "Sign in with a browser, then change it."
            raise ConflictError("An API key cannot change a password.", remedy)
        account = await self._account(actor.account_id)
        counters = {f"password:{account.id}": identity.FAILURES_HERE}
        now = await self._attempt(counters)
        if not await self._passwords.matches(current[: identity.MAX_PASSWORD], account.password_hash):
            remedy = "Send the one you signed in with."
            raise InvalidError(Problem("current_password", "is not your password", remedy))
        await self._succeeded(counters, now)
        if current == new:
            raise InvalidError(Problem("new_password", "is the password you have", "Choose another one."))
        after = await self._with_password(account, new, field="new_password")
        await self._accounts.save(after, self._changed(after, "changed", ("password",), actor), new=False)
        await self._sessions.close_all(account.id)
        await self._revoke_all(account.id, actor)

    async def accounts(self, actor: Actor) -> list[Account]:
        """Return every account."""
        demand(actor, Right.ACCOUNTS)
        return await self._accounts.all()

    async def create_key(self, name: str, role: Role, days: int, actor: Actor) -> tuple[ApiKey, str]:
        """Return a new key of the actor's own account, and its text, which nobody sees again."""
        demand(actor, Right.STATUS)
        if actor.via == "api-key":
            raise ConflictError("A key makes no keys.", "Sign in, then make it.")
        if lesser(role, actor.role) is not role:
            raise InvalidError(
                Problem("role", f"{role.value!r} is more than you have", "choose a lesser role")
            )
        if not 1 <= days <= MAX_KEY_DAYS:
            raise InvalidError(Problem("days", f"{days} is out of bounds", f"between 1 and {MAX_KEY_DAYS}"))
        secret, now = self._new_token(), self._clock.now()
        # The key's id stands before its secret, divided by underscores; it must have none itself.
        key = ApiKey(
            id=self._new_id().replace("-", "")[:20],
            name=name,
            account_id=actor.account_id,
            role=role,
            secret_hash=identity.token_hash(secret),
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        await self._keys.save(key, self._key_event(key, "created", actor, now))
        return key, identity.compose_key(key.id, secret)

    async def keys(self, actor: Actor) -> list[ApiKey]:
        """Return the actor's keys; an administrator's answer has everybody's."""
        demand(actor, Right.STATUS)
        return await self._keys.all(None if may(actor.role, Right.ACCOUNTS) else actor.account_id)

    async def revoke_key(self, key_id: str, actor: Actor) -> None:
        """Make a key worthless. Raises NotFoundError for one that is not the actor's to revoke."""
        demand(actor, Right.STATUS)
        key = await self._keys.find(key_id)
        if key is None or (key.account_id != actor.account_id and not may(actor.role, Right.ACCOUNTS)):
            raise NotFoundError("API key", key_id)
        if not key.revoked:
            now = self._clock.now()
            await self._keys.save(replace(key, revoked=True), self._key_event(key, "disabled", actor, now))

    async def bootstrap(self, email: str, password: str) -> bool:
        """Make the first administrator, unless there is an account already. Return whether it was made."""
        if await self._accounts.all():
            return False
        try:
            await self.create_account(email, password, Role.ADMIN, None, COMMAND)
        except ConflictError:
            return False  # another replica was faster
        return True

    async def _known(self, device: str, account: Account | None) -> str | None:
        if not device or account is None:
            return None
        hashed = identity.token_hash(device)
        return hashed if await self._devices.owner(hashed) == account.id else None

    async def _attempt(self, counters: Mapping[str, int]) -> datetime:
        """Count an attempt as failed until it has succeeded, so that many at once count, too.

        Returns when. Raises ThrottledError.
        """
        now = self._clock.now()
        for name, limit in counters.items():
            await self._throttle(name, limit, now)
        for name in counters:
            await self._attempts.failed(name, now)
        for name, limit in counters.items():
            await self._throttle(name, limit + 1, now)
        return now

    async def _succeeded(self, counters: Mapping[str, int], at: datetime) -> None:
        for name, limit in counters.items():
            if limit == identity.FAILURES_HERE:
                await self._attempts.forget(name)
            else:
                # The failures of others still count.
                await self._attempts.withdraw(name, at)

    async def _throttle(self, name: str, limit: int, now: datetime) -> None:
        failures = await self._attempts.failures(name, now - identity.WINDOW)
        seconds = identity.wait_for(failures, limit, now)
        if seconds:
            SIGN_INS.labels("throttled").inc()
            raise ThrottledError(seconds)

    async def _with_password(self, account: Account, password: str, *, field: str = "password") -> Account:
        identity.check_password(password, account.email, field=field)
        hashed = await self._passwords.hash(password)
        return replace(account, password_hash=hashed, password_changed_at=self._clock.now())

    async def _revoke_all(self, account_id: str, actor: Actor) -> None:
        await self._devices.forget_all(account_id)
        for key in await self._keys.all(account_id):
            if not key.revoked:
                now = self._clock.now()
                event = self._key_event(key, "disabled", actor, now)
                await self._keys.save(replace(key, revoked=True), event)

    async def _account(self, account_id: str) -> Account:
        account = await self._accounts.by_id(account_id)
        if account is None:
            raise NotFoundError("account", account_id)
        return account

    async def _check_recipient(self, recipient_id: str | None) -> None:
        if recipient_id is not None and not await self._configuration.many(RECIPIENT, [recipient_id]):
            raise InvalidError(
                Problem("recipient_id", f"there is no recipient {recipient_id!r}", "create it first")
            )

    def _changed(
        self, account: Account, action: Literal["created", "changed"], fields: tuple[str, ...], actor: Actor
    ) -> ConfigurationChanged:
        now = self._clock.now()
        return ConfigurationChanged(
            change_id=self._new_id(),
            entity="account",
            entity_id=account.id,
            name=account.email,
            action=action,
            version=0,
            actor=actor.name,
            changed_at=now,
            changed_fields=fields,
        )

    def _key_event(
        self, key: ApiKey, action: Literal["created", "disabled"], actor: Actor, now: datetime
    ) -> ConfigurationChanged:
        return ConfigurationChanged(
            change_id=self._new_id(),
            entity="api-key",
            entity_id=key.id,
            name=key.name or key.id,
            action=action,
            version=0,
            actor=actor.name,
            changed_at=now,
        )


def _actor(account: Account, role: Role, via: str) -> Actor:
    return Actor(account.id, account.email, role, account.recipient_id, via)


def _outdated(made: datetime, account: Account) -> bool:
    """Return whether a session or key is from before the account's password."""
    return account.password_changed_at is not None and made < account.password_changed_at
