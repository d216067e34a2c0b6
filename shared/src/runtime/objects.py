"""The object store: bytes under keys, known again by size and SHA-256 (claim check).

boto3 blocks, so it runs in threads of its own. Works with any S3.
"""

import asyncio
import contextlib
import hashlib
import io
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import boto3
import stamina
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.parsers import ResponseParserError
from pydantic import SecretStr

from contracts.base import ObjectRef
from runtime.egress import Egress
from runtime.errors import Permanent, Transient
from runtime.settings import RuntimeSettings

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

IfExists = Literal["same", "keep", "replace"]
"""What `put` does when something lies under the key already.

same: fine if it has the same bytes, else Permanent; keep: leave it and return its reference; replace:
overwrite it.
"""

_THREADS = 16
_CHUNK = 1024 * 1024
_ATTEMPTS = 4
# Below the graceful stop of a service, so that a stop never waits for the last retry.
_RETRY_SECONDS = 15.0
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_DENIED = frozenset(
    {"AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
)
_BUSY = frozenset(
    {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "InternalError", "ServiceUnavailable"}
)
_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_FIRST_SERVER_ERROR = 500
_CODE = re.compile(r"[A-Za-z0-9]{1,64}")


class ObjectStore:
    """One bucket.

    Every method raises Transient when the store cannot be used for now, after a few short attempts, and
    Permanent when it refuses (`storage-denied`, `bucket-missing`) or the object is not what was asked for
    (`object-missing`, `artifact-damaged`, `artifact-too-large`, `object-conflict`).
    """

    def __init__(self, client: "S3Client", bucket: str, threads: ThreadPoolExecutor) -> None:
        """Take a client and the threads to run it in; `open_objects` makes them."""
        self._s3 = client
        self._threads = threads
        self.bucket = bucket

    async def put(
        self, key: str, data: bytes | Path, *, content_type: str, if_exists: IfExists = "same"
    ) -> ObjectRef:
        """Store bytes, or those of a file, and return their reference once the store has confirmed them."""
        sha256, size = await self._in_thread(lambda: _measure(data))
        ref = ObjectRef(key=key, size=size, sha256=sha256, content_type=content_type)
        if if_exists == "replace":
            await self._call(lambda: self._put(ref, data, only_if_new=False))
            return ref
        if await self._call(lambda: self._put(ref, data, only_if_new=True)):
            return ref
        existing = await self.head(key)
        if existing is None:
            raise Transient(f"the object {key} came and went while it was being stored")
        if if_exists == "same" and existing.sha256 != sha256:
            raise Permanent(
                "object-conflict",
                f"Other bytes lie under {key} already ({existing.size} bytes); they are not overwritten.",
                "Use a key that holds the SHA-256 of its bytes.",
            )
        return existing

    def _put(self, ref: ObjectRef, data: bytes | Path, *, only_if_new: bool) -> bool:
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if only_if_new else {}
        with _opened(data) as body:
            try:
                self._s3.put_object(
                    Bucket=self.bucket,
                    Key=ref.key,
                    Body=body,
                    ContentType=ref.content_type,
                    Metadata={"sha256": ref.sha256},
                    **condition,
                )
            except ClientError as error:
                if only_if_new and _code(error) in _EXISTS:
                    return False
                raise
        return True

    async def head(self, key: str) -> ObjectRef | None:
        """Return the reference of what lies under a key, or None."""

        def look() -> ObjectRef | None:
            try:
                found = self._s3.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            # Only what others put under the key has to be read to be known.
            sha256 = found["Metadata"].get("sha256") or self._hash(key)
            return ObjectRef(
                key=key, size=found["ContentLength"], sha256=sha256, content_type=found["ContentType"]
            )

        return await self._call(look)

    def _hash(self, key: str) -> str:
        digest = hashlib.sha256()
        for chunk in self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].iter_chunks(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()

    async def exists(self, key: str) -> bool:
        """Return whether something lies under a key."""
        return await self.head(key) is not None

    async def get(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Return the bytes of a reference, proved by size and SHA-256; refuses more than `max_bytes`."""

        def read() -> bytes:
            into = io.BytesIO()
            self._copy_to(ref, into, max_bytes)
            return into.getvalue()

        return await self._call(read)

    async def fetch(self, ref: ObjectRef, path: Path, *, max_bytes: int) -> None:
        """Write the bytes of a reference to a file, which appears only when they are complete and proved."""

        def write() -> None:
            part = path.with_name(f"{path.name}.part")
            try:
                with part.open("wb") as into:
                    self._copy_to(ref, into, max_bytes)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

        await self._call(write)

    def _copy_to(self, ref: ObjectRef, into: BinaryIO, max_bytes: int) -> None:
        if ref.size > max_bytes:
            raise Permanent(
                "artifact-too-large",
                f"The object {ref.key} has {ref.size} bytes; at most {max_bytes} are taken here.",
                "Make the report smaller, or raise the limit in the settings.",
            )
        digest, size = hashlib.sha256(), 0
        for chunk in self._s3.get_object(Bucket=self.bucket, Key=ref.key)["Body"].iter_chunks(_CHUNK):
            size += len(chunk)
            if size > ref.size:
                raise _damaged(ref)
            digest.update(chunk)
            into.write(chunk)
        if size != ref.size or digest.hexdigest() != ref.sha256:
            raise _damaged(ref)

    async def stream(self, ref: ObjectRef) -> AsyncIterator[bytes]:
        """Yield the bytes of a reference in chunks.

        They are proved as they pass: Permanent is raised in place of the last chunk when they are others.
        """
        body = await self._call(lambda: self._s3.get_object(Bucket=self.bucket, Key=ref.key)["Body"])
        digest, size, held = hashlib.sha256(), 0, b""
        try:
            while chunk := await self._in_thread(lambda: body.read(_CHUNK)):
                if held:
                    yield held
                size, held = size + len(chunk), chunk
                digest.update(chunk)
            if size != ref.size or digest.hexdigest() != ref.sha256:
                raise _damaged(ref)
            if held:
                yield held
        finally:
            await self._in_thread(body.close)

    async def copy(self, ref: ObjectRef, key: str) -> ObjectRef:
        """Copy an object to another key inside the store and return the new reference."""
        await self._call(
            lambda: self._s3.copy_object(
                Bucket=self.bucket, Key=key, CopySource={"Bucket": self.bucket, "Key": ref.key}
            )
        )
        return ref.model_copy(update={"key": key})

    async def delete(self, key: str) -> None:
        """Remove what lies under a key; nothing there is fine."""
        await self._call(lambda: self._s3.delete_object(Bucket=self.bucket, Key=key))

    async def ensure_bucket(self) -> None:
        """Create the bucket if it is missing."""

        def ensure() -> None:
            try:
                self._s3.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _code(error) not in {*_MISSING, "NoSuchBucket"}:
                    raise
                with contextlib.suppress(self._s3.exceptions.BucketAlreadyOwnedByYou):
                    self._s3.create_bucket(Bucket=self.bucket, **self._location())

        await self._call(ensure)

    def _location(self) -> Any:
        # S3's first region is the default and may not be named.
        region = self._s3.meta.region_name
        if region == "us-east-1":
            return {}
        return {"CreateBucketConfiguration": {"LocationConstraint": region}}

    async def problems(self) -> list[str]:
        """Return why the store cannot be used; empty when it answers. For readiness checks."""
        try:
            await self._guarded(lambda: self._s3.head_bucket(Bucket=self.bucket))
        except (Transient, Permanent) as error:
            return [f"objects: {error}"]
        return []

    async def _call(self, work: Callable[[], T]) -> T:
        async for attempt in stamina.retry_context(
            on=Transient, attempts=_ATTEMPTS, timeout=_RETRY_SECONDS, wait_initial=0.2, wait_max=3.0
        ):
            with attempt:
                return await self._guarded(work)
        raise AssertionError("stamina returns or raises")

    async def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return await self._in_thread(work)
        except ClientError as error:
            raise _mapped(error, self.bucket) from error
        except ResponseParserError as error:
            # Its text repeats what the server said.
            raise Permanent(
                "storage-refused",
                f"What answers for the bucket {self.bucket!r} is not an S3 store.",
                "Check endpoint and region in the settings.",
            ) from error
        except (BotoCoreError, ConnectionError, TimeoutError) as error:
            raise Transient(f"object store: {_said(error)}") from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@asynccontextmanager
async def open_objects(settings: RuntimeSettings) -> AsyncIterator[ObjectStore]:
    """Open the bucket of the settings; nothing is sent before the first call."""
    async with open_bucket(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        bucket=settings.s3_bucket,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    ) as store:
        yield store


@asynccontextmanager
async def open_bucket(
    *,
    endpoint: str | None,
    region: str,
    bucket: str,
    access_key: SecretStr | None,
    secret_key: SecretStr | None,
    egress: Egress | None = None,
) -> AsyncIterator[ObjectStore]:
    """Open any bucket of any S3; without keys the SDK's own credential chain is used.

    `egress` is asked before every request; None for a store that the administrator's settings name. With it,
    raises Permanent (`storage-incomplete`) when a key is missing.
    """
    if egress is not None:
        _demand_keys(endpoint, access_key, secret_key)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")

    def build() -> "S3Client":
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key.get_secret_value() if access_key else None,
            aws_secret_access_key=secret_key.get_secret_value() if secret_key else None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if endpoint else "auto"},
                # One attempt: this module retries, with a limit of its own.
                retries={"mode": "standard", "total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=30,
                max_pool_connections=_THREADS,
                # The newer default sends checksum trailers, which not every S3 understands.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    # Building a client reads files for some hundred milliseconds, and boto3's sessions share no threads.
    client = await asyncio.get_running_loop().run_in_executor(threads, build)
    if egress is not None:
        client.meta.events.register("before-send.s3", _Guard(egress))
    try:
        yield ObjectStore(client, bucket, threads)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        client.close()


def _demand_keys(endpoint: str | None, access_key: SecretStr | None, secret_key: SecretStr | None) -> None:
    # Without keys the service's own credentials would be used, and they are for nobody else's server.
    if (access_key is None) is not (secret_key is None) or (endpoint and access_key is None):
        raise Permanent(
            "storage-incomplete",
            "The storage space does not have both an access key and its secret key.",
            "Enter access_key in its settings and secret_key in its secrets; a secret is cleared when the "
            "settings it was entered for change.",
        )


class _Guard:
    """Asks before each request, after it was signed, whether its host may be connected to."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def __call__(self, request: "AWSPreparedRequest", **_: Any) -> None:
        parts = urlsplit(request.url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = self._egress.addresses_now(host, port)
        if parts.scheme == "http" and addresses[0] != host:
            # A second look-up could return another address. With TLS the certificate would not fit it.
            request.headers["Host"] = parts.netloc
            literal = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
            request.url = urlunsplit(parts._replace(netloc=f"{literal}:{port}"))


def _measure(data: bytes | Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with _opened(data) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _opened(data: bytes | Path) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


def _said(error: Exception) -> str:
    # Only these texts are our own SDK's words; others may repeat an answer.
    known = isinstance(error, EndpointConnectionError | HTTPClientError | NoCredentialsError)
    return str(error)[:500] if known else type(error).__name__


def _code(error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    # It comes from whoever answers, and is repeated in messages.
    return code if _CODE.fullmatch(code) else ""


def _mapped(error: ClientError, bucket: str) -> Transient | Permanent:
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return Permanent(
            "bucket-missing",
            f"The object store has no bucket {bucket!r}.",
            "Create the bucket, or correct its name in the settings.",
        )
    if code in _MISSING:
        return Permanent(
            "object-missing",
            f"The object that was referred to is not in the bucket {bucket!r} any more.",
            "Run the task again; check the retention rules of the bucket.",
        )
    if code in _DENIED:
        return Permanent(
            "storage-denied",
            f"The object store refuses access to the bucket {bucket!r} ({code}).",
            "Check the access key, its secret and its rights on the bucket.",
        )
    if code in _BUSY or status >= _FIRST_SERVER_ERROR:
        return Transient(f"object store: {code} ({status})")
    return Permanent(
        "storage-refused",
        f"The object store refuses the request for the bucket {bucket!r} ({code or status}).",
        "Check endpoint, region and key in the settings.",
    )


def _damaged(ref: ObjectRef) -> Permanent:
    return Permanent(
        "artifact-damaged",
        f"The object {ref.key} is not what was stored: size or SHA-256 differ.",
        "Run the task again; check the object store for damage.",
    )
