"""What the object store promises: the fake and the real one on an S3 server."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts.base import ObjectRef
from runtime.errors import Permanent, Transient
from runtime.objects import ObjectStore, open_bucket
from standalone.s3 import SeaweedFS
from support.fake_objects import FakeObjects
from support.servers import unique

MIB = 1024 * 1024


class ObjectStoreContract:
    """Run against every implementation."""

    async def test_what_was_put_comes_back(self, objects: ObjectStore) -> None:
        ref = await objects.put("plans/a b/ü.json", b"hello", content_type="application/json")
        assert ref == ObjectRef(
            key="plans/a b/ü.json",
            size=5,
            sha256=hashlib.sha256(b"hello").hexdigest(),
            content_type="application/json",
        )
        assert await objects.get(ref, max_bytes=5) == b"hello"
        assert await objects.head(ref.key) == ref
        assert await objects.exists(ref.key)

    async def test_file_is_put_and_fetched(self, objects: ObjectStore, tmp_path: Path) -> None:
        source, target = tmp_path / "in", tmp_path / "out"
        source.write_bytes(b"x" * (2 * MIB + 1))
        ref = await objects.put("f", source, content_type="text/plain")
        assert ref.size == 2 * MIB + 1
        await objects.fetch(ref, target, max_bytes=3 * MIB)
        assert target.read_bytes() == source.read_bytes()
        assert names_in(tmp_path) == ["in", "out"]

    async def test_empty_object(self, objects: ObjectStore) -> None:
        ref = await objects.put("empty", b"", content_type="text/plain")
        assert await objects.get(ref, max_bytes=0) == b""
        assert [chunk async for chunk in objects.stream(ref)] == []

    async def test_stream_gives_all_of_it(self, objects: ObjectStore) -> None:
        content = bytes(range(256)) * 12_000
        ref = await objects.put("s", content, content_type="application/octet-stream")
        assert b"".join([chunk async for chunk in objects.stream(ref)]) == content

    async def test_same_bytes_may_be_put_again(self, objects: ObjectStore) -> None:
        first = await objects.put("k", b"1", content_type="text/plain")
        assert await objects.put("k", b"1", content_type="text/plain") == first

    async def test_other_bytes_never_overwrite(self, objects: ObjectStore) -> None:
        first = await objects.put("k", b"1", content_type="text/plain")
        with pytest.raises(Permanent) as raised:
            await objects.put("k", b"2", content_type="text/plain")
        assert raised.value.code == "object-conflict"
        assert await objects.get(first, max_bytes=1) == b"1"

    async def test_keep_returns_what_was_first(self, objects: ObjectStore) -> None:
        first = await objects.put("k", b"1", content_type="text/plain")
        assert await objects.put("k", b"22", content_type="text/plain", if_exists="keep") == first

    async def test_of_many_who_put_at_once_all_get_the_reference_of_the_first(
        self, objects: ObjectStore
    ) -> None:
        refs = await asyncio.gather(
            *(objects.put("k", b"%d" % n, content_type="text/plain", if_exists="keep") for n in range(8))
        )
        assert len({ref.sha256 for ref in refs}) == 1
        assert hashlib.sha256(await objects.get(refs[0], max_bytes=1)).hexdigest() == refs[0].sha256

    async def test_replace_overwrites(self, objects: ObjectStore) -> None:
        old = await objects.put("k", b"1", content_type="text/plain")
        new = await objects.put("k", b"2", content_type="text/plain", if_exists="replace")
        assert await objects.get(new, max_bytes=1) == b"2"
        with pytest.raises(Permanent) as raised:
            await objects.get(old, max_bytes=1)
        assert raised.value.code == "artifact-damaged"

    async def test_nothing_under_the_key(self, objects: ObjectStore, tmp_path: Path) -> None:
        ghost = ObjectRef(key="ghost", size=1, sha256="0" * 64)
        assert await objects.head("ghost") is None
        assert not await objects.exists("ghost")
        with pytest.raises(Permanent) as raised:
            await objects.get(ghost, max_bytes=1)
        assert raised.value.code == "object-missing"
        with pytest.raises(Permanent):
            await objects.fetch(ghost, tmp_path / "out", max_bytes=1)
        assert names_in(tmp_path) == []
        await objects.delete("ghost")

    async def test_more_than_wanted_is_refused_before_it_is_read(self, objects: ObjectStore) -> None:
        ref = await objects.put("k", b"12345", content_type="text/plain")
        with pytest.raises(Permanent) as raised:
            await objects.get(ref, max_bytes=4)
        assert raised.value.code == "artifact-too-large"

    async def test_reference_with_another_hash_or_size_is_refused(
        self, objects: ObjectStore, tmp_path: Path
    ) -> None:
        ref = await objects.put("k", b"12345", content_type="text/plain")
        for wrong in (
            ref.model_copy(update={"sha256": "0" * 64}),
            ref.model_copy(update={"size": 4}),
            ref.model_copy(update={"size": 6}),
        ):
            with pytest.raises(Permanent) as raised:
                await objects.get(wrong, max_bytes=10)
            assert raised.value.code == "artifact-damaged"
            with pytest.raises(Permanent):
                await objects.fetch(wrong, tmp_path / "out", max_bytes=10)
            with pytest.raises(Permanent):
                _ = [chunk async for chunk in objects.stream(wrong)]
        assert names_in(tmp_path) == []

    async def test_copy_and_delete(self, objects: ObjectStore) -> None:
        ref = await objects.put("a", b"1", content_type="text/plain")
        copied = await objects.copy(ref, "b")
        await objects.delete("a")
        assert not await objects.exists("a")
        assert await objects.get(copied, max_bytes=1) == b"1"
        assert await objects.head("b") == copied


class TestFakeObjects(ObjectStoreContract):
    @pytest.fixture
    def objects(self) -> FakeObjects:
        return FakeObjects()

    async def test_broken_fake_is_transient(self) -> None:
        objects = FakeObjects()
        objects.broken = True
        with pytest.raises(Transient):
            await objects.put("k", b"", content_type="text/plain")
        assert await objects.problems()


@pytest.mark.integration
class TestS3ObjectStore(ObjectStoreContract):
    @pytest.fixture
    async def objects(self, object_store_server: SeaweedFS) -> AsyncIterator[ObjectStore]:
        async with opened(object_store_server, unique("bucket")) as objects:
            await objects.ensure_bucket()
            await objects.ensure_bucket()
            yield objects

    async def test_ready_when_the_bucket_answers(
        self, objects: ObjectStore, object_store_server: SeaweedFS
    ) -> None:
        assert await objects.problems() == []
        async with opened(object_store_server, unique("missing")) as missing:
            assert await missing.problems()

    async def test_missing_bucket_says_what_to_do(self, object_store_server: SeaweedFS) -> None:
        async with opened(object_store_server, unique("missing")) as missing:
            with pytest.raises(Permanent) as raised:
                await missing.get(ObjectRef(key="k", size=1, sha256="0" * 64), max_bytes=1)
            assert raised.value.code == "bucket-missing"

    async def test_wrong_key_is_permanent_and_keeps_the_secret(self, object_store_server: SeaweedFS) -> None:
        async with open_bucket(
            endpoint=object_store_server.endpoint,
            region=object_store_server.region,
            bucket="whatever",
            access_key=SecretStr(object_store_server.access_key),
            secret_key=SecretStr("hunter2hunter2"),
        ) as objects:
            with pytest.raises(Permanent) as raised:
                await objects.put("k", b"1", content_type="text/plain")
        assert raised.value.code == "storage-denied"
        assert "hunter2" not in raised.value.message + raised.value.remedy

    async def test_server_that_is_not_there_is_transient(self, unused_tcp_port: int) -> None:
        async with open_bucket(
            endpoint=f"http://127.0.0.1:{unused_tcp_port}",
            region="us-east-1",
            bucket="b",
            access_key=SecretStr("a"),
            secret_key=SecretStr("s"),
        ) as objects:
            with pytest.raises(Transient):
                await objects.head("k")

    async def test_object_that_others_put_is_hashed(
        self, objects: ObjectStore, object_store_server: SeaweedFS
    ) -> None:
        client = object_store_server.client()
        await asyncio.to_thread(client.put_object, Bucket=objects.bucket, Key="k", Body=b"abc")
        ref = await objects.head("k")
        assert ref is not None
        assert ref.sha256 == hashlib.sha256(b"abc").hexdigest()
        assert await objects.get(ref, max_bytes=3) == b"abc"


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def opened(server: SeaweedFS, bucket: str) -> AbstractAsyncContextManager[ObjectStore]:
    return open_bucket(
        endpoint=server.endpoint,
        region=server.region,
        bucket=bucket,
        access_key=SecretStr(server.access_key),
        secret_key=SecretStr(server.secret_key),
    )
