"""Passwords hashed with argon2id, in a thread, a few at a time."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# argon2's own default takes 64 MiB a hash; this many side by side bound what a crowd at the door can take.
_AT_ONCE = 2


class Argon2Passwords:
    """config_api.ports.Passwords with argon2-cffi's recommended parameters (RFC 9106, low memory)."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Take another hasher only in tests, where time matters more than strength."""
        self._hasher = hasher or PasswordHasher()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        # Compared with when there is no account, so that the answer takes as long.
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Return the hash to store."""
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, stored: str | None) -> bool:
        """Return whether a password is the one."""
        async with self._slots:
            same = await asyncio.to_thread(self._verify, password, stored or self._nobody)
        return same and stored is not None

    def _verify(self, password: str, stored: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
