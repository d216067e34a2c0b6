"""Storage spaces as they are configured: S3 buckets and folders."""

import asyncio
from collections import OrderedDict
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from contracts.configuration import StorageKind, StorageSpace
from distributor.adapters.folder import FolderSpace
from distributor.domain.naming import object_key
from distributor.ports import Space, SpaceError
from runtime.configuration import ConfigurationReader
from runtime.egress import Egress
from runtime.errors import Permanent, Transient
from runtime.objects import ObjectStore, open_bucket
from runtime.secrets import Sealer

# A client holds threads and connections; installations have a handful of spaces.
_MOST_CLIENTS = 20


class S3Space:
    """A bucket, or what lies under a prefix in one."""

    def __init__(self, bucket: ObjectStore, prefix: str) -> None:
        """Take the opened bucket and where in it files go."""
        self._bucket = bucket
        self._prefix = prefix

    async def put(self, source: Path, path: str, *, content_type: str, tag: str) -> str:
        """Save a file at a relative path, replacing what is there, and verify it. Return where it lies.

        Raises SpaceError when it did not work, PathRefusedError for a bad path.
        """
        del tag  # an S3 put replaces the object as a whole, so attempts cannot mix
        key = object_key(self._prefix, path)
        try:
            stored = await self._bucket.put(key, source, content_type=content_type, if_exists="replace")
            found = await self._bucket.head(key)
        except Transient as error:
            raise SpaceError("storage-unavailable", str(error), lasting=False, unreachable=True) from error
        except Permanent as error:
            raise SpaceError(error.code, error.message, remedy=error.remedy, lasting=True) from error
        if found is None or (found.size, found.sha256) != (stored.size, stored.sha256):
            raise SpaceError(
                "storage-unverified",
                f"{key!r} is not what was written; somebody else may write there",
                lasting=False,
            )
        return key


class ConfiguredSpaces:
    """Opens spaces by id, reading the configuration each time, so that a change counts at once.

    Clients of S3 are kept while the settings of their space stay the same.
    """

    def __init__(self, configuration: ConfigurationReader, sealer: Sealer | None, *, egress: Egress) -> None:
        """Take the configuration, what opens its secrets, and where spaces may lie."""
        self._configuration = configuration
        self._sealer = sealer
        self._egress = egress
        self._clients: OrderedDict[str, tuple[ObjectStore, AsyncExitStack]] = OrderedDict()
        self._opening = asyncio.Lock()

    async def open(self, storage_id: str) -> Space:
        """Return a space. Raises SpaceError when it is not configured, or not so that it could work."""
        try:
            space = await self._configuration.storage_space(storage_id)
            if space is None:
                raise SpaceError(
                    "storage-missing",
                    f"there is no storage space {storage_id!r} any more",
                    remedy="choose another storage space in the task",
                    lasting=True,
                )
            if space.kind is StorageKind.FOLDER:
                return self._folder(space)
            return await self._s3(space)
        except Permanent as error:
            raise SpaceError(error.code, error.message, remedy=error.remedy, lasting=True) from error

    def _folder(self, space: StorageSpace) -> FolderSpace:
        root = Path(_setting(space, "root"))
        if not root.is_absolute():
            raise SpaceError(
                "storage-incomplete",
                f"the folder of storage space {space.name!r} is not an absolute path",
                remedy="give the folder as an absolute path",
                lasting=True,
            )
        return FolderSpace(self._egress.folder(str(root)))

    async def _s3(self, space: StorageSpace) -> S3Space:
        identity = f"{space.id}\n{space.model_dump_json(include={'settings', 'sealed'})}"
        secret_key, access_key = self._unsealed(space), _secret(space.settings.get("access_key"))
        endpoint = space.settings.get("endpoint") or None
        async with self._opening:
            if identity not in self._clients:
                stack = AsyncExitStack()
                bucket = await stack.enter_async_context(
                    open_bucket(
                        endpoint=endpoint,
                        region=space.settings.get("region") or "us-east-1",
                        bucket=_setting(space, "bucket"),
                        access_key=access_key,
                        secret_key=secret_key,
                        egress=self._egress,
                    )
                )
                self._clients[identity] = (bucket, stack)
            self._clients.move_to_end(identity)
            while len(self._clients) > _MOST_CLIENTS:
                _, (_, oldest) = self._clients.popitem(last=False)
                await oldest.aclose()
            return S3Space(self._clients[identity][0], space.settings.get("prefix", ""))

    def _unsealed(self, space: StorageSpace) -> SecretStr | None:
        if not space.sealed:
            return None
        if self._sealer is None:
            raise SpaceError(
                "secret-unreadable",
                "the storage space has a secret key and this service has no key to open it",
                remedy="set BROADSHEET_SECRET_KEY to the key config-api uses",
                lasting=True,
            )
        return self._sealer.secrets_of(space, space.sealed).get("secret_key")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every client."""
        while self._clients:
            _, (_, stack) = self._clients.popitem()
            await stack.aclose()


def _setting(space: StorageSpace, name: str) -> str:
    value = space.settings.get(name, "")
    if not value:
        raise SpaceError(
            "storage-incomplete",
            f"storage space {space.name!r} has no setting {name!r}",
            remedy=f"enter {name} in the settings of the storage space",
            lasting=True,
        )
    return value


def _secret(text: str | None) -> SecretStr | None:
    return SecretStr(text) if text else None
