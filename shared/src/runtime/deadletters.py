"""Look at dead letters and send them again: `python -m runtime.deadletters list|replay --topic T`.

What was replayed is written into the dead-letter topic itself, as a mark that names the offset, so that a
second replay does not send it again and the topic tells the whole story.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.catalog import topic as topic_spec
from contracts.catalog import topics
from runtime.bus import client_security
from runtime.errors import Transient
from runtime.settings import RuntimeSettings

_MARK = "x-replay-of"
_ABOUT = frozenset(
    {
        "x-error-kind",
        "x-error",
        "x-original-topic",
        "x-original-partition",
        "x-original-offset",
        "x-consumer-group",
        "x-attempts",
        "x-dead-lettered-at",
    }
)
_MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a dead-letter topic."""

    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    body: bytes

    def about(self, name: str) -> str:
        """Return one of the policy's headers, the last of that name; empty when there is none."""
        values = [value for key, value in self.headers if key == name]
        return values[-1].decode("utf-8", errors="replace") if values else ""

    def original_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers the message came with."""
        return [(key, value) for key, value in self.headers if key not in _ABOUT]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which dead letters are meant; empty means any."""

    kinds: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    offsets: frozenset[int] = frozenset()


def open_letters(records: Iterable[Record], wish: Wish) -> list[Record]:
    """Return the dead letters that match and were not replayed, one per original message.

    Several consumer groups may have given up the same message; sending it once reaches all of them.
    """
    records = list(records)
    replayed = {int(record.about(_MARK)) for record in records if record.about(_MARK)}
    originals_done = {_origin(record) for record in records if record.offset in replayed}
    found: dict[tuple[str, str], Record] = {}
    for record in records:
        if record.about(_MARK) or _origin(record) in originals_done:
            continue
        if _matches(record, wish):
            found.setdefault(_origin(record), record)
    return list(found.values())


def _origin(record: Record) -> tuple[str, str]:
    return record.about("x-original-partition"), record.about("x-original-offset")


def _matches(record: Record, wish: Wish) -> bool:
    return (
        (not wish.kinds or record.about("x-error-kind") in wish.kinds)
        and (not wish.groups or record.about("x-consumer-group") in wish.groups)
        and (not wish.offsets or record.offset in wish.offsets)
    )


async def read(settings: RuntimeSettings, topic: str) -> list[Record]:
    """Return everything in the dead-letter topic of `topic` at this moment. Raises Transient."""
    partition = TopicPartition(topic_spec(topic).dead_letter_topic, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap.split(","),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_MAX_BYTES,
        **client_security(settings),
    )
    records: list[Record] = []
    try:
        await consumer.start()
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        await consumer.seek_to_beginning(partition)
        while await consumer.position(partition) < end:
            batches = await consumer.getmany(partition, timeout_ms=1000)
            records += [
                Record(each.offset, each.key, tuple(each.headers), each.value or b"")
                for each in batches.get(partition, [])
            ]
    except (KafkaError, OSError) as error:
        raise Transient(f"Kafka at {settings.kafka_bootstrap}: {error!r}") from error
    finally:
        await consumer.stop()
    return records


async def replay(settings: RuntimeSettings, topic: str, letters: Sequence[Record]) -> int:
    """Send dead letters to their topic again and mark them; return how many. Raises Transient.

    A crash between the two sends one message twice at the next replay, which consumers drop by its id.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap.split(","),
        acks="all",
        enable_idempotence=settings.kafka_idempotent,
        max_request_size=_MAX_BYTES,
        **client_security(settings),
    )
    try:
        await producer.start()
        for letter in letters:
            await producer.send_and_wait(
                topic, value=letter.body, key=letter.key, headers=letter.original_headers()
            )
            mark = [
                (_MARK, str(letter.offset).encode()),
                ("x-replayed-at", datetime.now(tz=UTC).isoformat().encode()),
            ]
            await producer.send_and_wait(topic_spec(topic).dead_letter_topic, value=b"", headers=mark)
    except (KafkaError, OSError) as error:
        raise Transient(f"Kafka at {settings.kafka_bootstrap}: {error!r}") from error
    finally:
        await producer.stop()
    return len(letters)


def _line(letter: Record) -> str:
    return (
        f"{letter.offset:>8}  {letter.about('x-error-kind'):<10} {letter.about('x-consumer-group'):<20} "
        f"{letter.about('x-original-partition')}:{letter.about('x-original-offset'):<10} "
        f"{len(letter.body):>8} bytes  {letter.about('x-error')[:200]}\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0 when it did what was asked."""
    parser = argparse.ArgumentParser(prog="python -m runtime.deadletters", description=__doc__)
    parser.add_argument("command", choices=["list", "replay"])
    parser.add_argument("--topic", required=True, choices=[spec.name for spec in topics()])
    parser.add_argument("--kind", action="append", default=[], help="malformed, permanent or bug; repeatable")
    parser.add_argument("--group", action="append", default=[], help="only what this consumer group gave up")
    parser.add_argument("--offset", action="append", default=[], type=int, help="one dead letter; repeatable")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, send nothing")
    options = parser.parse_args(arguments)
    settings = RuntimeSettings()
    wish = Wish(frozenset(options.kind), frozenset(options.group), frozenset(options.offset))
    try:
        letters = open_letters(asyncio.run(read(settings, options.topic)), wish)
        sys.stdout.writelines(_line(letter) for letter in letters)
        if options.command == "list":
            sys.stdout.write(f"{len(letters)} dead letters of {options.topic}\n")
        elif options.dry_run:
            sys.stdout.write(f"{len(letters)} would be sent to {options.topic} again; nothing was sent\n")
        else:
            sent = asyncio.run(replay(settings, options.topic, letters))
            sys.stdout.write(f"{sent} sent to {options.topic} again\n")
    except Transient as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
