"""What the inbox can be told to do wrong, for tests of whoever sends mail."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

MAX_SECONDS = 3600.0
_Times = Annotated[
    int | None, Field(ge=1, description="how often it happens; null: until faults are deleted")
]


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Refuse(_Fault):
    """Stop listening, so that connections are refused, and listen again after some seconds."""

    kind: Literal["refuse"] = "refuse"
    seconds: float = Field(gt=0, le=MAX_SECONDS)


class RejectRecipient(_Fault):
    """Answer RCPT TO with an error where the address matches, in any case, a pattern with `*` and `?`."""

    kind: Literal["reject_rcpt"] = "reject_rcpt"
    pattern: str = "*"
    code: int = Field(550, ge=400, le=599)
    text: str = Field("mailbox unavailable", pattern=r"^[\x20-\x7e]{1,200}$")
    times: _Times = None


class RejectData(_Fault):
    """Answer the end of DATA with an error; the message is not kept."""

    kind: Literal["reject_data"] = "reject_data"
    code: int = Field(451, ge=400, le=599)
    text: str = Field("try again later", pattern=r"^[\x20-\x7e]{1,200}$")
    times: _Times = 1


class DropAfterData(_Fault):
    """Cut the connection after DATA, before the reply; `keep`: whether the message was accepted."""

    kind: Literal["drop_after_data"] = "drop_after_data"
    keep: bool = True
    times: _Times = 1


class SlowReply(_Fault):
    """Wait before the reply to RCPT TO or to the end of DATA (a message is kept before the wait)."""

    kind: Literal["slow_reply"] = "slow_reply"
    at: Literal["rcpt", "data"] = "data"
    seconds: float = Field(gt=0, le=MAX_SECONDS)
    times: _Times = 1


Fault = Annotated[
    Refuse | RejectRecipient | RejectData | DropAfterData | SlowReply, Field(discriminator="kind")
]
_F = TypeVar("_F", RejectRecipient, RejectData, DropAfterData, SlowReply)


class Faults:
    """The faults in force, oldest first; each asked for is counted and used up."""

    def __init__(self) -> None:
        self.active: list[RejectRecipient | RejectData | DropAfterData | SlowReply] = []

    def add(self, fault: RejectRecipient | RejectData | DropAfterData | SlowReply) -> None:
        """Put a fault in force, after those that are."""
        self.active.append(fault)

    def clear(self) -> None:
        """Behave again."""
        self.active.clear()

    def for_recipient(self, address: str) -> RejectRecipient | None:
        """Use up the first rejection that matches the address."""
        for fault in self.active:
            if isinstance(fault, RejectRecipient) and fnmatchcase(
                address.casefold(), fault.pattern.casefold()
            ):
                return self._use(fault)
        return None

    def delay_s(self, at: Literal["rcpt", "data"]) -> float:
        """Use up the first delay at this point of the conversation; seconds, 0 when there is none."""
        for fault in self.active:
            if isinstance(fault, SlowReply) and fault.at == at:
                return self._use(fault).seconds
        return 0.0

    def reject_data(self) -> RejectData | None:
        """Use up the first rejection of content."""
        return next((self._use(fault) for fault in self.active if isinstance(fault, RejectData)), None)

    def drop(self) -> DropAfterData | None:
        """Use up the first dropped connection."""
        return next((self._use(fault) for fault in self.active if isinstance(fault, DropAfterData)), None)

    def _use(self, fault: _F) -> _F:
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self.active = [other for other in self.active if other is not fault]
        return fault
