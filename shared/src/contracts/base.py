"""What every wire model has in common."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError


def refused(message: str, remedy: str) -> PydanticCustomError:
    """Return what a validator raises: what is wrong and how to correct it, each a sentence.

    Both are kept in the context of the error, so that an API can answer them apart.
    """
    return PydanticCustomError("refused", "{message} {remedy}", {"message": message, "remedy": remedy})


EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The dates Broadsheet computes with, both inclusive; nearer to year 1 or 9999 date arithmetic overflows.

REST rejects other dates; documents and events that hold them are still read.
"""


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise refused(
            "In UTC this date is before the year 1 or after the year 9999.", "Choose another date."
        ) from None


def _no_number(value: Any) -> Any:
    # pydantic reads numbers, and text of digits, as seconds since 1970; the schemas say RFC 3339.
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise refused(
            "This is not a date and time.",
            "Send a date and time with its offset as RFC 3339 defines it, such as 2026-03-02T06:00:00Z.",
        )
    return value


_NUMBER = re.compile(r"\s*[-+]?[0-9]*\.?[0-9]*\s*")
Utc = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_in_utc)]
"""An aware datetime, always held in UTC."""

Id = Annotated[str, Field(min_length=1, max_length=200)]
ExecutionId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""A UUID in canonical text form; also the trace id of the execution."""


class Wire(BaseModel):
    """A frozen value that ignores what it does not know: a tolerant reader (ADR-0006)."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="float")


class Event(Wire):
    """A fact that other services and other teams read from the bus.

    A subclass names its CloudEvents type, its topic, the field that is the partition key, and the one
    that makes a fact itself among facts of its type. Its event id is derived from the type and
    `identity()`, so the same fact published twice has the same id and a consumer can drop the second copy.
    """

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    VERSION: ClassVar[int] = 1
    KEY: ClassVar[str] = "execution_id"
    IDENTITY: ClassVar[str] = "execution_id"

    def key(self) -> str:
        """Return the partition key: events with one key keep their order."""
        return str(getattr(self, self.KEY))

    def identity(self) -> str:
        """Return what makes this fact itself among facts of its type."""
        return str(getattr(self, self.IDENTITY))

    @classmethod
    def ce_type(cls) -> str:
        """Return the CloudEvents `type`, which carries the version."""
        return f"io.broadsheet.{cls.TYPE}.v{cls.VERSION}"


class ObjectRef(Wire):
    """A claim check: where bytes lie in the object store and how to know them again."""

    key: Annotated[str, Field(min_length=1, max_length=1024)]
    size: Annotated[int, Field(ge=0, description="bytes")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    content_type: str = "application/octet-stream"


class Artifact(ObjectRef):
    """A finished report file in the object store, under the name a person sees."""

    file_name: Annotated[str, Field(min_length=1, max_length=255)]


_LONGEST_TEXT = 4000


def _shortened(text: object) -> object:
    # Reasons quote servers, libraries and data; how long those are must not decide whether one can be told.
    if not isinstance(text, str) or len(text) <= _LONGEST_TEXT:
        return text
    return text[: _LONGEST_TEXT - 1] + "…"


ReasonText = Annotated[str, BeforeValidator(_shortened), Field(max_length=_LONGEST_TEXT)]
"""A text that is shortened to what a reason holds."""


class Reason(Wire):
    """Why something did not happen: a code for programs, a sentence and a remedy for people.

    Texts that are too long are shortened.
    """

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=80)]
    message: ReasonText
    remedy: ReasonText = ""

    def worded(self, message: str) -> "Reason":
        """Return the reason with another message."""
        return Reason(code=self.code, message=message, remedy=self.remedy)


class Selection(Wire):
    """Values selected in one field of a Qlik app."""

    field: Annotated[str, Field(min_length=1, max_length=500)]
    values: Annotated[tuple[str | float, ...], Field(min_length=1)]
    numbers: tuple[float | None, ...] = Field(
        default=(),
        description="the number behind each text where Qlik told it, null where not; empty if none is known",
    )
    forced: bool = Field(
        default=False,
        description="whether nobody asked for it: the app's author keeps one value of the field selected",
    )

    @model_validator(mode="after")
    def _one_number_for_each_value(self) -> Self:
        if self.numbers and len(self.numbers) != len(self.values):
            raise refused(
                f"The selection has {len(self.values)} values and {len(self.numbers)} numbers.",
                "Give one entry, which may be null, for each of the values, or leave the numbers out.",
            )
        return self
