"""Writes, reads and deletes a small file in a storage space, as the distributor would."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from pydantic import SecretStr

from config_api.domain.errors import Problem
from config_api.domain.findings import Finding, Severity
from contracts.configuration import StorageKind, StorageSpace
from runtime.egress import Egress
from runtime.errors import Permanent, Transient
from runtime.objects import open_bucket
from runtime.secrets import Sealer

_CONTENT = b"Broadsheet wrote this file to test the storage space. It can be deleted.\n"
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class SpaceCheck:
    """config_api.ports.StorageCheck on the real storage, bounded in time."""

    def __init__(self, sealer: Sealer, *, egress: Egress, timeout_s: float) -> None:
        """Keep what opens secrets, where spaces may lead, and the time one test may take, in seconds."""
        self._sealer = sealer
        self._egress = egress
        self._timeout_s = timeout_s

    async def __call__(self, space: StorageSpace) -> list[Finding]:
        """Return why a file cannot be written, read and deleted; nothing when all three worked."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._tried(space)
        except Permanent as error:
            return [_found(error.message, error.remedy)]
        except Transient as error:
            return [_found(f"The storage is unavailable: {error}.", "Check its address, then test it again.")]
        except TimeoutError:
            return [
                _found(
                    f"The storage did not answer within {self._timeout_s:g} seconds.",
                    "Check its address and the network, then test it again.",
                )
            ]
        except OSError as error:
            return [_folder_failed(error)]
        return []

    async def _tried(self, space: StorageSpace) -> None:
        match space.kind:
            case StorageKind.S3:
                await self._bucket(space)
            case StorageKind.FOLDER:
                root = self._egress.folder(space.settings.get("root", ""))
                await asyncio.to_thread(_write_read_delete, root, _name())
            case _:
                assert_never(space.kind)

    async def _bucket(self, space: StorageSpace) -> None:
        settings = space.settings
        key = "/".join((*filter(None, settings.get("prefix", "").split("/")), _name()))
        async with open_bucket(
            endpoint=settings.get("endpoint") or None,
            region=settings.get("region") or "us-east-1",
            bucket=settings.get("bucket", ""),
            access_key=_secret(settings.get("access_key")),
            secret_key=self._sealer.secrets_of(space, space.sealed).get("secret_key"),
            egress=self._egress,
        ) as bucket:
            ref = await bucket.put(key, _CONTENT, content_type="text/plain")
            try:
                await bucket.get(ref, max_bytes=len(_CONTENT))
            finally:
                await bucket.delete(key)


def _write_read_delete(root: Path, name: str) -> None:
    folder = os.open(root, _FOLDER)
    try:
        file = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
        try:
            os.write(file, _CONTENT)
            os.fsync(file)
            if os.pread(file, len(_CONTENT) + 1, 0) != _CONTENT:
                raise Permanent(
                    "storage-unverified",
                    "The file that was read is not the file that was written.",
                    "Check the file system of the folder.",
                )
        finally:
            os.close(file)
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)


def _folder_failed(error: OSError) -> Finding:
    why = error.strerror or type(error).__name__
    remedies: Mapping[type[OSError], str] = {
        FileNotFoundError: (
            "Create or mount the folder, for the distributor and for config-api. "
            "Broadsheet does not create it."
        ),
        PermissionError: "Give the user of the services the right to write into the folder.",
    }
    remedy = next(
        (text for kind, text in remedies.items() if isinstance(error, kind)),
        "Check free space and the mount of the folder.",
    )
    return _found(f"The folder cannot be used: {why}.", remedy)


def _found(message: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, Problem("settings", message, remedy))


def _name() -> str:
    return f".broadsheet-test-{secrets.token_hex(8)}"


def _secret(text: str | None) -> SecretStr | None:
    return SecretStr(text) if text else None
