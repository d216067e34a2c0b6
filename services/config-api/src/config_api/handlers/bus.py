"""What config-api listens to: everything, to keep it."""

from config_api.domain.audit import describe
from config_api.use_cases.audit import Recorder
from contracts.catalog import topics
from runtime.bus import RawMessage, Subscription

GROUP = "config-api-audit"


def subscriptions(recorder: Recorder, *, consumers: int = 1) -> list[Subscription]:
    """Return one subscription for each topic of the catalogue, with up to `consumers` side by side."""

    async def on_message(message: RawMessage) -> None:
        await recorder.record(
            describe(
                message.topic,
                message.key,
                message.headers,
                message.body,
                partition=message.partition,
                offset=message.offset,
            )
        )

    return [
        Subscription(
            topic=spec.name,
            group=GROUP,
            raw_handler=on_message,
            # A consumer more than there are partitions would have nothing to do.
            concurrency=min(consumers, spec.partitions),
        )
        for spec in topics()
    ]
