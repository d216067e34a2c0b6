"""Every embedded server works over its own protocol, and goes on after `kill -9` where it promises to."""

import asyncio
import shutil
import socket
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from botocore.exceptions import ClientError
from pymongo import AsyncMongoClient

from standalone.broker import BrokerServer
from standalone.errors import MissingTool, PortTaken
from standalone.kafka import ApacheKafka, missing_for_kafka
from standalone.mongo import Mongo
from standalone.s3 import SeaweedFS
from standalone.tansu import Tansu
from support.servers import running, unique

pytestmark = pytest.mark.integration

needs_kafka = pytest.mark.skipif(
    missing_for_kafka() is not None, reason=f"Apache Kafka cannot run here: {missing_for_kafka()}"
)


async def create_topic(broker: BrokerServer, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(broker: BrokerServer, topic: str, *values: bytes) -> None:
    idempotent = broker.capabilities.idempotent_producer
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, acks="all", enable_idempotence=idempotent
    ) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(broker: BrokerServer, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap_servers,
        group_id=unique("group"),
        auto_offset_reset="earliest",
    ) as consumer:
        async with asyncio.timeout(20):
            return [(await consumer.getone()).value for _ in range(count)]


async def test_the_shared_broker_gives_back_what_was_sent(broker_server: BrokerServer) -> None:
    topic = unique("topic")
    await create_topic(broker_server, topic)
    await produce(broker_server, topic, b"one", b"two")
    assert await consume(broker_server, topic, 2) == [b"one", b"two"]


@needs_kafka
async def test_kafka_keeps_acknowledged_records_over_kill_9(tmp_path: Path) -> None:
    async with running(ApacheKafka(tmp_path / "kafka")) as kafka:
        await create_topic(kafka, "kept")
        await produce(kafka, "kept", b"before")
        await kafka.kill()
        assert not kafka.alive
        await kafka.start()
        await produce(kafka, "kept", b"after")
        assert await consume(kafka, "kept", 2) == [b"before", b"after"]


async def test_the_embedded_broker_starts_again_but_keeps_nothing(tmp_path: Path) -> None:
    async with running(Tansu(tmp_path / "tansu")) as tansu:
        await create_topic(tansu, "gone")
        await produce(tansu, "gone", b"x")
        assert await consume(tansu, "gone", 1) == [b"x"]
        await tansu.kill()
        await tansu.start()
        admin = AIOKafkaAdminClient(bootstrap_servers=tansu.bootstrap_servers)
        await admin.start()
        topics = await admin.list_topics()
        await admin.close()
        assert "gone" not in topics
        assert not tansu.capabilities.durable


async def test_mongo_runs_transactions_and_keeps_them_over_kill_9(tmp_path: Path) -> None:
    async with running(Mongo(tmp_path / "mongo")) as mongo:
        client: AsyncMongoClient[dict[str, int]] = AsyncMongoClient(mongo.uri)
        async with client:
            rows = client.bank.accounts
            await rows.insert_one({"_id": 0})
            async with client.start_session() as session, await session.start_transaction():
                await rows.insert_one({"_id": 1}, session=session)
                await rows.insert_one({"_id": 2}, session=session)
            await mongo.kill()
            await mongo.start()
            assert sorted([row["_id"] async for row in rows.find()]) == [0, 1, 2]


async def test_mongo_takes_its_data_along_to_another_port(tmp_path: Path) -> None:
    first = Mongo(tmp_path / "mongo")
    async with running(first), AsyncMongoClient[dict[str, int]](first.uri) as client:
        await client.bank.accounts.insert_one({"_id": 7})
    (tmp_path / "mongo" / "ports.json").unlink()
    second = Mongo(tmp_path / "mongo")
    assert second.port != first.port
    async with running(second), AsyncMongoClient[dict[str, int]](second.uri) as client:
        assert await client.bank.accounts.count_documents({}) == 1


async def test_s3_keeps_objects_and_its_keys_over_kill_9(tmp_path: Path) -> None:
    async with running(SeaweedFS(tmp_path / "s3", buckets=["made-at-start"])) as s3:
        client = s3.client()
        client.put_object(Bucket="made-at-start", Key="a/b.txt", Body=b"hello")
        await s3.kill()
        await s3.start()
        assert client.get_object(Bucket="made-at-start", Key="a/b.txt")["Body"].read() == b"hello"
        assert SeaweedFS(tmp_path / "s3").secret_key == s3.secret_key
        client.close()


async def test_s3_refuses_whoever_has_no_key(object_store_server: SeaweedFS) -> None:
    async with httpx.AsyncClient() as anonymous:
        assert (await anonymous.get(object_store_server.endpoint)).status_code == 403
    stranger = SeaweedFS(object_store_server.data.parent / "stranger")
    stranger.ports = object_store_server.ports
    wrong_keys = stranger.client()
    with pytest.raises(ClientError) as refused:
        wrong_keys.list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    wrong_keys.close()


@pytest.mark.parametrize("make", [Mongo, Tansu, SeaweedFS])
async def test_a_taken_port_is_named_with_its_owner_and_the_way_out(
    tmp_path: Path, make: type[Mongo] | type[Tansu] | type[SeaweedFS]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        server = make(tmp_path, port=port)
        with pytest.raises(PortTaken) as error:
            await server.start()
    text = str(error.value)
    assert str(port) in text
    assert "(pid " in text
    assert server.port_option in text
    assert not server.alive


async def test_a_missing_program_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "java" else real(name))
    with pytest.raises(MissingTool, match="openjdk-17"):
        await ApacheKafka(tmp_path).start()
