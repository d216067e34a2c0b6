"""`runtime.topics` against Apache Kafka: it changes what the catalogue owns, and nothing else."""

from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts import catalog
from runtime import topics
from runtime.settings import RuntimeSettings
from runtime.topic_configs import Setting, read_settings, set_settings
from standalone.kafka import ApacheKafka, missing_for_kafka
from support.servers import running
from support.waiting import until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        missing_for_kafka() is not None, reason=f"Apache Kafka cannot run here: {missing_for_kafka()}"
    ),
]
TOPIC, OLD = "report-settled", "task-completed"


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApacheKafka]:
    async with running(ApacheKafka(tmp_path_factory.mktemp("kafka"))) as server:
        yield server


@pytest.fixture
async def admin(kafka: ApacheKafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.start()
    yield client
    await client.close()


async def own(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str | None]:
    settings: dict[str, Setting] = (await read_settings(admin, [topic]))[topic]
    return {name: setting.value for name, setting in settings.items() if setting.own}


async def test_apply_creates_keeps_what_operators_set_and_sets_back_what_the_catalogue_owns(
    kafka: ApacheKafka, admin: AIOKafkaAdminClient
) -> None:
    settings = RuntimeSettings(kafka_bootstrap=kafka.bootstrap_servers)
    # From before the catalogue set how many replicas confirm.
    await admin.create_topics([NewTopic(OLD, 6, 1)])
    planned = await topics.plan(settings, replication=1)
    assert any(line.startswith(f"create {TOPIC}: ") for line in planned)
    assert TOPIC not in await admin.list_topics(), "a plan changes nothing"

    await topics.apply(settings, replication=1)
    assert [] == await topics.missing(settings)
    catalogue = {topic.name: topic for topic in topics.wanted(catalog.topics())}
    for name in (TOPIC, OLD, f"{TOPIC}-dlq"):
        assert {**catalogue[name].config, "min.insync.replicas": "1"} == await own(admin, name)
    assert [] == await topics.plan(settings, replication=1)

    operator = {"segment.ms": "3600000", "compression.type": "zstd", "min.insync.replicas": "1"}
    await set_settings(admin, TOPIC, {**operator, "retention.ms": "1000"})
    right = catalogue[TOPIC].config["retention.ms"]
    assert [f"configure {TOPIC}: retention.ms 1000 -> {right}"] == await topics.plan(settings, replication=1)
    done = await topics.apply(settings, replication=1)
    assert [f"configured {TOPIC}: retention.ms 1000 -> {right}"] == done
    assert {**catalogue[TOPIC].config, **operator} == await own(admin, TOPIC)


async def test_a_setting_that_the_broker_refuses_is_an_error_that_names_the_topic(
    kafka: ApacheKafka, admin: AIOKafkaAdminClient
) -> None:
    await topics.apply(RuntimeSettings(kafka_bootstrap=kafka.bootstrap_servers), replication=1)
    with pytest.raises(ValueError, match=f"the broker refused settings of topic {TOPIC}: .*retention.ms"):
        await set_settings(admin, TOPIC, {"retention.ms": "soon"})


async def test_more_replicas_than_brokers_are_refused_in_words(
    kafka: ApacheKafka, admin: AIOKafkaAdminClient
) -> None:
    settings = RuntimeSettings(kafka_bootstrap=kafka.bootstrap_servers)
    await topics.apply(settings, replication=1)
    await admin.delete_topics(["preview-settled"])

    async def is_gone() -> bool:
        return "preview-settled" not in await admin.list_topics()

    await until(is_gone, what="the topic gone")
    with pytest.raises(ValueError, match=r"the broker refused topic preview-settled: .*replication factor"):
        await topics.apply(settings, replication=3)
    await topics.apply(settings, replication=1)
