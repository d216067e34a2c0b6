"""The topics of the catalogue on a broker of the tests."""

from runtime import topics
from runtime.settings import RuntimeSettings
from standalone.broker import BrokerServer


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
    await topics.apply(bus_settings(broker), replication=1, change_config=False)
