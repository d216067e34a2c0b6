"""The offsets of consumer groups, as an operator sees and sets them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from runtime.bus import client_security
from runtime.settings import RuntimeSettings


async def committed(settings: RuntimeSettings) -> dict[str, dict[TopicPartition, int]]:
    """Return what groups have committed: the offset of each partition, by group."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap.split(","), **client_security(settings)
    )
    try:
        await admin.start()
        found: dict[str, dict[TopicPartition, int]] = {}
        for group, *_ in await admin.list_consumer_groups():
            offsets = await admin.list_consumer_group_offsets(group)
            if offsets:
                found[group] = {partition: each.offset for partition, each in offsets.items()}
        return found
    finally:
        await admin.close()


async def lag(settings: RuntimeSettings) -> int:
    """Return how many messages the groups have not committed yet, all groups together."""
    by_group = await committed(settings)
    partitions = {each for offsets in by_group.values() for each in offsets}
    async with _consumer(settings, group=None) as consumer:
        ends = await consumer.end_offsets(list(partitions))
    return sum(
        ends[partition] - offset for offsets in by_group.values() for partition, offset in offsets.items()
    )


async def rewind(settings: RuntimeSettings) -> dict[str, int]:
    """Set the offsets of every group to the start; return how many messages each will read again.

    Groups must have no members, or the broker refuses. Raises KafkaError.
    """
    again: dict[str, int] = {}
    for group, offsets in (await committed(settings)).items():
        async with _consumer(settings, group=group) as consumer:
            starts = await consumer.beginning_offsets(list(offsets))
            consumer.assign(list(offsets))
            await consumer.commit(starts)
        again[group] = sum(offsets[each] - starts[each] for each in offsets)
    return again


@asynccontextmanager
async def _consumer(settings: RuntimeSettings, *, group: str | None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap.split(","),
        group_id=group,
        enable_auto_commit=False,
        **client_security(settings),
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
