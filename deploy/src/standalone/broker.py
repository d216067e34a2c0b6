"""What callers may expect of a broker that speaks the Kafka protocol, and how its readiness is asked."""

import logging
from dataclasses import dataclass
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from standalone.server import Server


@dataclass(frozen=True)
class Capabilities:
    """Which of Kafka's promises a broker keeps; a test that needs one skips, with a reason, without it."""

    durable: bool
    """Acknowledged records survive `kill -9` and a restart."""

    idempotent_producer: bool
    """`enable_idempotence=True` works (InitProducerId)."""

    reliable_latest: bool
    """`ListOffsets latest` is right, so lag can be read from it."""


class BrokerServer(Server, Protocol):
    """A `Server` that speaks the Kafka protocol."""

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients."""

    @property
    def capabilities(self) -> Capabilities:
        """Which of Kafka's promises it keeps."""


async def broker_answers(bootstrap_servers: str) -> bool:
    """Whether the broker answers a metadata request and knows itself as a member of its cluster."""
    # the client logs an error for each try that comes too early, which is what we are here to find out
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=3000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError, TimeoutError):
        return False
    else:
        return bool(cluster["brokers"])
    finally:
        await admin.close()
        logger.setLevel(before)
