"""How the files of a report are made where no template says it: options, and exports of Qlik's own."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from contracts.base import Id, Wire, refused

PageSize = Literal["A4", "A3", "A5", "Letter", "Legal"]
OneCharacter = Annotated[str, Field(min_length=1, max_length=1)]


class OutputOptions(Wire):
    """How the files of a task report are written. What is None stays as the app, or the template, has it."""

    decimal: OneCharacter | None = None
    thousands: Annotated[str, Field(max_length=1, description="empty for none")] | None = None
    date_format: Annotated[str, Field(min_length=2, max_length=40, description="as for strftime")] | None = (
        None
    )
    datetime_format: Annotated[str, Field(min_length=2, max_length=60)] | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)] | None = (
        Field(default=None, description="of month names and of the document, such as de-CH")
    )
    page_size: PageSize = "A4"
    landscape: bool = False
    pdf_a: Literal["1b", "2b", "3b"] | None = Field(
        default=None, description="level of PDF/A (ISO 19005), for PDF that is archived"
    )
    image_dpi: Annotated[int, Field(ge=36, le=600)] | None = Field(
        default=None, description="most dots per inch of pictures in a PDF, and those of PNG"
    )
    image_quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="of JPEG pictures in a PDF"
    )
    csv_separator: OneCharacter = ","
    csv_bom: bool = False
    table: str = Field(default="", description="which table a plain export takes; empty: the only one")

    @model_validator(mode="after")
    def _readable(self) -> "OutputOptions":
        if self.decimal is not None and self.decimal == self.thousands:
            raise refused(
                "The decimal mark and the thousands separator are the same.",
                "Choose two different characters for 'decimal' and 'thousands'.",
            )
        return self


class NativeKind(StrEnum):
    """What of a Qlik app is exported as it is."""

    SHEET = "sheet"
    OBJECT = "object"
    OBJECT_DATA = "object-data"


class NativeExport(Wire):
    """A report that is what Qlik itself exports: a sheet, an object, or an object's data. Qlik Cloud only."""

    kind: NativeKind
    id: Id
    width: Annotated[int, Field(ge=100, le=4000, description="CSS pixels")] = 1280
    height: Annotated[int, Field(ge=100, le=4000, description="CSS pixels")] = 720
