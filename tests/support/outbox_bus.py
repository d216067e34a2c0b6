"""A MessagePublisher that keeps what it gets and fails when told to."""

from contracts.base import Event
from contracts.envelope import Message, decode
from runtime.errors import Permanent, Transient


class OutboxBus:
    """`fail_next` publishes fail; `poisoned` event ids always do, `refused` ones as too large."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.fail_next = 0
        self.poisoned: set[str] = set()
        self.refused: set[str] = set()

    async def publish_message(self, message: Message) -> None:
        if self.fail_next > 0:
            self.fail_next -= 1
            raise Transient("the broker is down")
        if message.headers["ce_id"] in self.poisoned:
            raise Transient("the broker refuses this one")
        if message.headers["ce_id"] in self.refused:
            raise Permanent("event-too-large", "it is larger than the topic takes")
        self.messages.append(message)

    def events(self) -> list[Event]:
        return [decode(message.headers, message.body).event for message in self.messages]
