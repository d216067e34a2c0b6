"""Create the topics of the catalogue: `python -m runtime.topics apply`, or look: `... check`."""

import argparse
import asyncio
import sys
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from contracts.catalog import TopicSpec, topics
from runtime.bus import client_security, topics_present
from runtime.errors import Transient
from runtime.settings import RuntimeSettings

_DAY_MS = 24 * 3600 * 1000
# A dead letter carries its message and some more headers, so its topic takes a little more.
_DEAD_LETTER_SLACK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it has to be in the cluster."""

    name: str
    partitions: int
    config: dict[str, str]


def wanted(specs: tuple[TopicSpec, ...]) -> list[Wanted]:
    """Return every topic and dead-letter topic of the catalogue."""
    found: list[Wanted] = []
    for spec in specs:
        found.append(Wanted(spec.name, spec.partitions, _config(spec.retention_days, spec.max_message_bytes)))
        found.append(
            Wanted(
                spec.dead_letter_topic,
                1,
                _config(spec.dead_letter_retention_days, spec.max_message_bytes + _DEAD_LETTER_SLACK_BYTES),
            )
        )
    return found


def _config(retention_days: int, max_bytes: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_days * _DAY_MS),
        "max.message.bytes": str(max_bytes),
    }


async def apply(settings: RuntimeSettings, *, replication: int, change_config: bool = True) -> list[str]:
    """Create what is missing, set retention and size of what is there; return what was done.

    Partitions of an existing topic are left alone: more of them would move keys. Raises Transient when the
    broker cannot be reached, ValueError when it refuses a topic.
    """
    done: list[str] = []
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap.split(","), **client_security(settings)
    )
    try:
        await admin.start()
        present = set(await admin.list_topics())
        for topic in wanted(topics()):
            if topic.name not in present:
                await _create(admin, topic, replication)
                done.append(f"created {topic.name} with {topic.partitions} partitions")
            elif change_config:
                await admin.alter_configs(
                    [ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=topic.config)]
                )
                done.append(f"configured {topic.name}")
    except (KafkaError, OSError) as error:
        raise Transient(f"Kafka at {settings.kafka_bootstrap}: {error!r}") from error
    finally:
        await admin.close()
    return done


async def _create(admin: AIOKafkaAdminClient, topic: Wanted, replication: int) -> None:
    answer = await admin.create_topics(
        [NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config)]
    )
    for name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise ValueError(f"the broker refused topic {name}: {message[0] if message else error.__name__}")


async def missing(settings: RuntimeSettings) -> list[str]:
    """Return the topics of the catalogue that the cluster does not have. Raises Transient."""
    present = await topics_present(settings)
    return [topic.name for topic in wanted(topics()) if topic.name not in present]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0 when the topics are there."""
    parser = argparse.ArgumentParser(prog="python -m runtime.topics", description=__doc__)
    parser.add_argument("command", choices=["apply", "check"])
    parser.add_argument("--replication", type=int, default=1, help="copies of each partition (production: 3)")
    parser.add_argument("--no-config", action="store_true", help="leave settings of existing topics alone")
    options = parser.parse_args(arguments)
    settings = RuntimeSettings()
    try:
        if options.command == "apply":
            lines = asyncio.run(
                apply(settings, replication=options.replication, change_config=not options.no_config)
            )
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            return 0
        absent = asyncio.run(missing(settings))
    except (Transient, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"missing {name}\n" for name in absent) or "all topics are there\n")
    return 1 if absent else 0


if __name__ == "__main__":
    raise SystemExit(main())
