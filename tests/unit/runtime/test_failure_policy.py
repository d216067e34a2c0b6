"""The failure policy: nothing is lost, nobody is stopped by a neighbour's bad message, a bad deploy halts."""

import asyncio
from dataclasses import dataclass, field

import pytest
from faststream.exceptions import NackMessage

from contracts.envelope import MalformedEventError
from runtime.errors import Permanent, Transient
from runtime.failure import DeadLetter, Guard, Limits, consume

QUICK = Limits(transient_pause_s=0.001, bug_attempts=3, stop_after_failures=4, stop_after_malformed=50)


@dataclass
class FakeRecord:
    offset: int = 0
    partition: int = 0
    topic: str = "task-triggered"
    key: bytes | None = b"key"
    value: bytes | None = b"body"
    headers: tuple[tuple[str, bytes], ...] = (("h", b"\xff"),)


@dataclass
class FakeSink:
    letters: list[DeadLetter] = field(default_factory=list)
    broken: bool = False

    async def write(self, letter: DeadLetter) -> None:
        if self.broken:
            raise Transient("the broker is away")
        self.letters.append(letter)


def guard() -> Guard:
    return Guard(topic="task-triggered", group="group", limits=QUICK)


async def run(
    error: Exception | None, watching: Guard, sink: FakeSink, record: FakeRecord | None = None
) -> None:
    async def handler() -> None:
        if error is not None:
            raise error

    await consume(handler, record=record or FakeRecord(), guard=watching, sink=sink)


async def test_a_message_that_was_handled_is_done_with() -> None:
    sink = FakeSink()

    await run(None, guard(), sink)

    assert [] == sink.letters


async def test_a_transient_failure_brings_the_same_message_again_for_as_long_as_it_takes() -> None:
    sink, watching = FakeSink(), guard()

    for _ in range(20):
        with pytest.raises(NackMessage):
            await run(Transient("later"), watching, sink)

    assert [] == sink.letters
    assert watching.halted is None


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (Permanent("no-task", "task x is gone"), "permanent", "no-task: task x is gone"),
        (MalformedEventError("no CloudEvents attributes"), "malformed", "no CloudEvents attributes"),
    ],
)
async def test_what_cannot_succeed_is_dead_lettered_as_it_came(
    error: Exception, kind: str, words: str
) -> None:
    sink = FakeSink()

    await run(error, guard(), sink, FakeRecord(offset=7))

    (letter,) = sink.letters
    assert (kind, words, 1) == (letter.kind, letter.error, letter.attempts)
    assert (b"body", b"key", (("h", b"\xff"),)) == (letter.body, letter.key, letter.headers)
    assert ("task-triggered", 0, 7) == (letter.topic, letter.partition, letter.offset)


async def test_a_bug_is_tried_a_few_times_and_then_dead_lettered() -> None:
    sink, watching = FakeSink(), guard()

    for _ in range(2):
        with pytest.raises(NackMessage):
            await run(KeyError("oops"), watching, sink)
    await run(KeyError("oops"), watching, sink)

    (letter,) = sink.letters
    assert ("bug", 3) == (letter.kind, letter.attempts)
    assert "KeyError" in letter.error


async def test_a_dead_letter_that_cannot_be_written_leaves_the_message_where_it_is() -> None:
    sink, watching = FakeSink(broken=True), guard()

    with pytest.raises(NackMessage):
        await run(Permanent("x", "y"), watching, sink)
    sink.broken = False
    await run(Permanent("x", "y"), watching, sink)

    assert 1 == len(sink.letters)


async def test_too_many_dead_letters_in_a_row_halt_the_subscription() -> None:
    sink, watching = FakeSink(), guard()

    for offset in range(4):
        await run(Permanent("x", "bad deploy"), watching, sink, FakeRecord(offset=offset))

    assert watching.halted is not None
    assert "bad deploy" in watching.halted


async def test_a_success_ends_the_row() -> None:
    sink, watching = FakeSink(), guard()

    for offset in range(12):
        error = None if offset % 4 == 3 else Permanent("x", "y")
        await run(error, watching, sink, FakeRecord(offset=offset))

    assert watching.halted is None


async def test_a_flood_of_messages_that_are_no_events_is_borne_longer_than_failures() -> None:
    sink, watching = FakeSink(), guard()

    for offset in range(49):
        await run(MalformedEventError("no"), watching, sink, FakeRecord(offset=offset))
    assert watching.halted is None
    await run(MalformedEventError("no"), watching, sink, FakeRecord(offset=49))

    assert watching.halted is not None


async def test_a_stop_does_not_wait_for_the_pause() -> None:
    watching = Guard(topic="t", group="g", limits=Limits(transient_pause_s=15))
    watching.stopping.set()

    with pytest.raises(NackMessage):
        await asyncio.wait_for(run(Transient("later"), watching, FakeSink()), timeout=2)


async def test_a_cancelled_handler_is_neither_done_nor_dead_lettered() -> None:
    sink = FakeSink()

    async def handler() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await consume(handler, record=FakeRecord(), guard=guard(), sink=sink)

    assert [] == sink.letters
