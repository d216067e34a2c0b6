"""The topics of the catalogue on a broker of the tests."""

from runtime import topics
from runtime.settings import RuntimeSettings
from standalone.broker import BrokerServer
from support.waiting import until


def bus_settings(broker: BrokerServer, **changes: object) -> RuntimeSettings:
    """Return settings that fit the broker that runs, whichever it is."""
    return RuntimeSettings.model_validate(
        {
            "kafka_bootstrap": broker.bootstrap_servers,
            "kafka_idempotent": broker.capabilities.idempotent_producer,
            **changes,
        }
    )


async def create_topics(broker: BrokerServer) -> None:
    """Create the catalogue's topics; nothing else ever does."""
    settings = bus_settings(broker)
    await topics.apply(settings, replication=1, change_config=False)

    async def all_there() -> bool:
        return not await topics.missing(settings)

    # A broker may confirm a topic a moment before it lists it.
    await until(all_there, what="the topics in the broker's metadata")
