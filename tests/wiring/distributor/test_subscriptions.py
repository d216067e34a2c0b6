"""What the distributor listens to, and what each message leads to."""

from contracts.base import Event
from contracts.catalog import topics
from contracts.envelope import decode, encode
from contracts.events import EVENT_TYPES, ExecutionPlanned, ReportFailed, ReportGenerated, ReportSkipped
from distributor.handlers import subscriptions
from support import deliveries as make


class Calls:
    """Use cases that note what they are asked for."""

    def __init__(self) -> None:
        self.planned: list[Event] = []
        self.settled: list[Event] = []

    async def plan(self, event: ExecutionPlanned) -> None:
        self.planned.append(event)

    async def settle(self, event: Event) -> None:
        self.settled.append(event)


def test_it_reads_what_the_catalogue_says_it_reads_in_one_group() -> None:
    calls = Calls()
    made = subscriptions(plan=calls.plan, settle=calls.settle, consumers=3)
    assert {each.topic for each in made} == {
        spec.name for spec in topics() if "distributor" in spec.consumers
    }
    assert {each.group for each in made} == {"distributor"}
    assert {each.topic: each.concurrency for each in made} == {"execution-planned": 1, "report-settled": 3}


def test_it_takes_every_event_of_its_topics() -> None:
    calls = Calls()
    for each in subscriptions(plan=calls.plan, settle=calls.settle):
        assert set(each.events) == {cls for cls in EVENT_TYPES if each.topic == cls.TOPIC}


async def test_every_event_reaches_its_use_case() -> None:
    calls = Calls()
    plan, settle = subscriptions(plan=calls.plan, settle=calls.settle)
    events = [make.generated("a"), make.skipped("b"), make.failed("c")]
    for subscription, event in [(plan, make.planned()), *((settle, event) for event in events)]:
        message = encode(event, source="test", time=make.START)
        assert subscription.handler is not None
        await subscription.handler(decode(message.headers, message.body))
    assert [type(event) for event in calls.planned] == [ExecutionPlanned]
    assert [type(event) for event in calls.settled] == [ReportGenerated, ReportSkipped, ReportFailed]


def test_everything_it_publishes_is_its_own() -> None:
    owned = {spec.name for spec in topics() if "distributor" in spec.producers}
    assert owned == {"delivery-settled"}
