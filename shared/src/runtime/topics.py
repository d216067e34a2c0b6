"""Create the topics of the catalogue: `python -m runtime.topics apply`.

`plan` shows what `apply` would do, `check` whether all topics are there. The catalogue owns a few settings of
a topic (`OWNED`); every other setting, and the partitions of an existing topic, are the operator's.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from contracts.catalog import TopicSpec, topics
from runtime.bus import client_security, topics_present
from runtime.errors import Transient
from runtime.settings import RuntimeSettings
from runtime.topic_configs import Setting, read_settings, set_settings

_DAY_MS = 24 * 3600 * 1000
# A dead letter carries its message and some more headers, so its topic takes a little more.
_DEAD_LETTER_SLACK_BYTES = 65_536
_LISTED_WITHIN_S = 15

OWNED = ("cleanup.policy", "retention.ms", "max.message.bytes")
"""The settings that have to be as in the catalogue; `apply` sets them back."""

MIN_IN_SYNC = "min.insync.replicas"
"""Set where the topic has no value of its own; an operator's value is kept and reported."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it has to be in the cluster."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Present:
    """A topic as it is in the cluster."""

    partitions: int
    replication: int
    settings: Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class Change:
    """What has to be done to one topic.

    `settings` maps a setting to what it was and what it will be; `replication` is set when the topic is to be
    created. `notes` say what differs from the catalogue and is left alone.
    """

    topic: Wanted
    replication: int | None
    settings: Mapping[str, tuple[str, str]]
    notes: tuple[str, ...] = ()

    def lines(self, *, done: bool) -> list[str]:
        """Return the change in words: what is going to be done, or what was done."""
        name, found = self.topic.name, []
        if self.replication is not None:
            verb = "created" if done else "create"
            found.append(
                f"{verb} {name}: {self.topic.partitions} partitions, {self.replication} replicas, "
                + ", ".join(f"{key}={new}" for key, (_, new) in self.settings.items())
            )
        elif self.settings:
            verb = "configured" if done else "configure"
            changes = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in self.settings.items())
            found.append(f"{verb} {name}: {changes}")
        return found + [f"note on {name}: {note}" for note in self.notes]


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


def min_in_sync(replication: int) -> int:
    """Return how many replicas must have a message before it counts as written.

    One fewer than there are, so that nothing confirmed is lost with one broker, and one broker may be down
    without publishing coming to a halt.
    """
    return max(replication - 1, 1)


def difference(
    wanted_topics: list[Wanted], present: Mapping[str, Present], *, replication: int, change_config: bool
) -> list[Change]:
    """Return what has to be done to get from what is there to what is wanted, by topic.

    `replication` is for topics that are to be created; without `change_config` settings of existing ones are
    left alone.
    """
    changes: list[Change] = []
    for topic in wanted_topics:
        there = present.get(topic.name)
        if there is None:
            config = {**topic.config, MIN_IN_SYNC: str(min_in_sync(replication))}
            created = {key: ("unset", new) for key, new in config.items()}
            changes.append(Change(topic, replication, created))
            continue
        notes: list[str] = []
        settings: dict[str, tuple[str, str]] = {}
        if there.partitions != topic.partitions:
            notes.append(
                f"has {there.partitions} partitions, the catalogue {topic.partitions}; they are left alone, "
                "because more of them would move keys"
            )
        if change_config:
            settings |= {
                key: (_in_words(there.settings.get(key)), topic.config[key])
                for key in OWNED
                # What is inherited changes with the broker's defaults, even if it fits today.
                if there.settings.get(key) != Setting(topic.config[key], own=True)
            }
            in_sync, right = there.settings.get(MIN_IN_SYNC), str(min_in_sync(there.replication))
            if in_sync is None or not in_sync.own:
                settings[MIN_IN_SYNC] = (_in_words(in_sync), right)
            elif in_sync.value != right:
                notes.append(
                    f"keeps {MIN_IN_SYNC}={in_sync.value}, which was set on it; for {there.replication} "
                    f"replicas {right} is recommended"
                )
        changes.append(Change(topic, None, settings, tuple(notes)))
    return changes


def _in_words(setting: Setting | None) -> str:
    if setting is None:
        return "unset"
    return f"{setting.value}" if setting.own else f"{setting.value} (inherited)"


async def plan(settings: RuntimeSettings, *, replication: int, change_config: bool = True) -> list[str]:
    """Return what `apply` would do, in words; empty when there is nothing to do.

    Raises Transient when the broker cannot be reached, ValueError when it refuses an answer.
    """
    async with _admin(settings) as admin:
        changes = await _changes(admin, replication=replication, change_config=change_config)
    return [line for change in changes for line in change.lines(done=False)]


async def apply(settings: RuntimeSettings, *, replication: int, change_config: bool = True) -> list[str]:
    """Create what is missing, and set the settings the catalogue owns; return what was done, in words.

    Other settings, and the partitions of an existing topic, are left alone. Raises Transient when the broker
    cannot be reached, ValueError when it refuses a topic or a setting.
    """
    done: list[str] = []
    async with _admin(settings) as admin:
        for change in await _changes(admin, replication=replication, change_config=change_config):
            if change.replication is not None:
                await _create(admin, change, change.replication)
            elif change.settings:
                await set_settings(
                    admin, change.topic.name, {key: new for key, (_, new) in change.settings.items()}
                )
            done += change.lines(done=True)
        await _listed(admin)
    return done


async def _listed(admin: AIOKafkaAdminClient) -> None:
    """Return once all topics are in the metadata: a broker confirms a new one a moment before it lists it."""
    names = {topic.name for topic in wanted(topics())}
    for _ in range(_LISTED_WITHIN_S * 10):
        if names <= set(await admin.list_topics()):
            return
        await asyncio.sleep(0.1)
    raise Transient(
        f"the broker confirmed its topics, but does not list all of them after {_LISTED_WITHIN_S} s"
    )


@asynccontextmanager
async def _admin(settings: RuntimeSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap.split(","), **client_security(settings)
    )
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        raise Transient(f"Kafka at {settings.kafka_bootstrap}: {error!r}") from error
    finally:
        await admin.close()


async def _changes(admin: AIOKafkaAdminClient, *, replication: int, change_config: bool) -> list[Change]:
    everything = wanted(topics())
    known = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
    names = [topic.name for topic in everything if topic.name in known]
    settings = await read_settings(admin, names) if change_config else {}
    present = {
        name: Present(
            partitions=len(known[name]),
            replication=min((len(each["replicas"]) for each in known[name]), default=1),
            settings=settings.get(name, {}),
        )
        for name in names
    }
    return difference(everything, present, replication=replication, change_config=change_config)


async def _create(admin: AIOKafkaAdminClient, change: Change, replication: int) -> None:
    topic = change.topic
    config = {key: new for key, (_, new) in change.settings.items()}
    answer = await admin.create_topics(
        [NewTopic(topic.name, topic.partitions, replication, topic_configs=config)]
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
    """Run the command; exit status 0 when the topics are there, or when the plan could be made."""
    parser = argparse.ArgumentParser(prog="python -m runtime.topics", description=__doc__)
    parser.add_argument("command", choices=["plan", "apply", "check"])
    parser.add_argument(
        "--replication", type=_replicas, default=1, help="replicas of each new topic (production: 3)"
    )
    parser.add_argument("--no-config", action="store_true", help="leave settings of existing topics alone")
    options = parser.parse_args(arguments)
    settings = RuntimeSettings()
    try:
        if options.command == "check":
            absent = asyncio.run(missing(settings))
            sys.stdout.write("".join(f"missing {name}\n" for name in absent) or "all topics are there\n")
            return 1 if absent else 0
        command = apply if options.command == "apply" else plan
        lines = asyncio.run(
            command(settings, replication=options.replication, change_config=not options.no_config)
        )
    except (Transient, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines) or "nothing to change\n")
    return 0


def _replicas(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of replicas; give 1 or more")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
