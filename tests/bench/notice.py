"""How long after a reload `TaskTriggered` is on the bus: told by the site, or found by polling.

A reload of a simulated site, the listener, MongoDB and the broker, all on this machine. What is measured is
the time from the end of the reload, by the site's clock, to the arrival of the event at a consumer; and, for
sites that call, from their call.

Polling is measured with a period of one second and reloads at random moments. Its figures at 10 s and 60 s
are computed: a reload waits for the next poll, evenly between nothing and the period, and then takes what a
poll takes, drawn from what was measured after calls. The row `computed at 1 s` shows how well that fits.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.configuration import Connection
from contracts.envelope import Received
from contracts.events import TaskTriggered
from runtime.bus import Bus, Subscription
from runtime.logs import configure_logging
from runtime.outbox import OutboxRelay
from runtime.settings import RuntimeSettings
from runtime.store import Store
from runtime.topics import apply
from scheduler.adapters.mongo import MongoOccurrences
from standalone.choose import choose_broker, preference_from_environment
from standalone.mongo import Mongo
from support.listening import client_managed, configure, listening, small_site, tenant
from support.qlik_site import FLIGHTS, SimulatedSite
from support.servers import running, unique
from support.stores import fresh_store
from support.waiting import until

_PERIOD_S = 1.0
_COMPUTED = 10_000


@dataclass
class Case:
    """Delays in seconds, of one way to notice reloads."""

    name: str
    from_end: list[float] = field(default_factory=list)
    from_call: list[float] = field(default_factory=list)


@dataclass
class Ears:
    """When events of a case arrived, by the machine's clock, with the end of their reload."""

    since: datetime = field(default_factory=lambda: datetime.now(tz=UTC))
    arrived: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    def heard(self, number: int) -> Callable[[], bool]:
        """Return whether so many arrived, as a condition to wait on."""
        return lambda: len(self.arrived) >= number

    async def hear(self, received: Received[TaskTriggered]) -> None:
        at, event = datetime.now(tz=UTC), received.event
        # The topic still holds the events of the cases before.
        if event.trigger.reload is not None and event.trigger.reload.finished_at >= self.since:
            self.arrived[event.execution_id] = (event.trigger.reload.finished_at, at)


@dataclass(frozen=True)
class Bench:
    """What every case runs on."""

    store_uri: str
    settings: RuntimeSettings
    folder: Path
    reloads: int

    async def case(self, name: str, connect: Callable[[SimulatedSite], Connection], *, push: bool) -> Case:
        """Let reloads happen at random moments, one after the other, and return how long each took."""
        made, ears = Case(name), Ears()
        draw = random.Random(name)
        async with (
            small_site(self.folder / unique("site")) as simulated,
            fresh_store(self.store_uri) as store,
            self._platform(store, ears) as nudge,
        ):
            await configure(store, [connect(simulated)])
            # Without an address the site does not call; with one it is not polled in between.
            rhythm: dict[str, Any] = (
                {"reload_poll_s": 3600} if push else {"reload_poll_s": _PERIOD_S, "listener_public_url": None}
            )
            async with listening(store, watch=True, nudge=nudge, **rhythm) as listener:
                await until(lambda: _watched(store, push=push), what="the site to be watched")
                for number in range(self.reloads):
                    await asyncio.sleep(draw.random() * _PERIOD_S)
                    await simulated.control("POST", "/_sim/reload", json={"app_id": FLIGHTS})
                    await until(ears.heard(number + 1), every=0.01, what="an event")
        for ended, at in ears.arrived.values():
            made.from_end.append((at - ended).total_seconds())
            calls = [call for call in listener.called if ended <= call <= at]
            if calls:
                made.from_call.append((at - min(calls)).total_seconds())
        return made

    @asynccontextmanager
    async def _platform(self, store: Store, ears: Ears) -> AsyncIterator[Callable[[], None]]:
        ear = Subscription(
            topic=TaskTriggered.TOPIC, group=unique("ears"), handler=ears.hear, events=(TaskTriggered,)
        )
        stopping = asyncio.Event()
        async with Bus(self.settings, service="bench", subscriptions=[ear]) as bus:
            relay = OutboxRelay(MongoOccurrences(store).collection, bus)
            await relay.ensure_indexes()
            publishing = asyncio.create_task(relay.run(stopping, every_s=0.2))
            try:
                yield relay.nudge
            finally:
                stopping.set()
                await publishing


async def _watched(store: Store, *, push: bool) -> bool:
    wanted = {"push.working": True} if push else {"read_at": {"$exists": True}}
    return await store.db["scheduler_sites"].count_documents(wanted) == 1


def computed(period_s: float, after_call: Sequence[float]) -> Case:
    """Return what polling every `period_s` would take: the wait for the next poll, and the poll."""
    draw = random.Random(0)
    waits = (draw.random() * period_s for _ in range(_COMPUTED))
    return Case(f"polling every {period_s:g} s, computed", [wait + draw.choice(after_call) for wait in waits])


def table(cases: Sequence[Case]) -> str:
    """Return the delays as a table, in milliseconds."""
    lines = [f"{'milliseconds':<40}{'n':>7}{'p50':>9}{'p95':>9}{'max':>9}   from"]
    for case in cases:
        for word, delays in (("the end of the reload", case.from_end), ("the site's call", case.from_call)):
            if delays:
                cuts = statistics.quantiles(delays, n=20, method="inclusive")
                shown = "".join(f"{each * 1000:>9.0f}" for each in (cuts[9], cuts[18], max(delays)))
                lines.append(f"{case.name:<40}{len(delays):>7}{shown}   {word}")
    return "\n".join(lines)


async def main(reloads: int) -> None:
    """Run every case on servers of its own and print one table."""
    configure_logging("bench", level="error", json=False)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="broadsheet-notice-"))
    async with AsyncExitStack() as stack:
        choice = choose_broker(folder / "broker", prefer=preference_from_environment())
        broker = await stack.enter_async_context(running(choice.server))
        mongo = await stack.enter_async_context(running(Mongo(folder / "mongo")))
        settings = RuntimeSettings(
            kafka_bootstrap=broker.bootstrap_servers,
            kafka_idempotent=broker.capabilities.idempotent_producer,
        )
        await apply(settings, replication=1, change_config=False)
        bench = Bench(mongo.uri, settings, folder, reloads)
        cases = [
            await bench.case("QRS callback", client_managed, push=True),
            await bench.case("Cloud webhook", tenant, push=True),
            await bench.case(f"polling every {_PERIOD_S:g} s, measured", client_managed, push=False),
        ]
        cases += [computed(period, cases[0].from_call) for period in (_PERIOD_S, 10, 60)]
        print(f"From a reload to TaskTriggered on the bus; broker: {choice}")
        print(table(cases))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reloads", type=int, default=50, help="measured, of each way")
    asyncio.run(main(parser.parse_args().reloads))
