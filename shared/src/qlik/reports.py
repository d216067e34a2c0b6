"""Qlik Cloud's reports API: pictures of charts and sheets, and native exports.

A request is taken with 202, works for a while, and leaves outputs that expire within the hour: they are
fetched at once. Only `failOnErrors` is ever asked for: the other strategies print unfiltered data when a
filter fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

from qlik.errors import (
    Aborted,
    CalculationFailed,
    ConfigurationError,
    LimitReached,
    PermissionDenied,
    ProtocolError,
    QlikError,
    SelectionNotProved,
    SiteBusy,
    Transient,
)
from qlik.model import FieldValue, Selection
from qlik.rest import RestClient

MAX_FIELDS, MAX_VALUES = 125, 150_000  # per request, as published
_OVER = {"done", "failed", "aborted"}
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 15.0  # a chart takes seconds, a long composition minutes

Format = Literal["png", "pdf", "pptx", "xlsx"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart or sheet as picture or document. Sizes are CSS pixels."""

    object_id: str
    kind: Literal["visualization", "sheet"] = "visualization"
    format: Format = "png"
    width: int = 1280
    height: int = 720
    zoom: float = 2.0  # pictures in documents are printed; 1 looks coarse on paper


@dataclass(frozen=True, slots=True)
class Output:
    """What came of a request: the file, and its content type as the tenant names it."""

    content: bytes
    content_type: str


def picture_request(app_id: str, wish: Picture, selections: Sequence[Selection]) -> dict[str, Any]:
    """The body for a picture of a chart or sheet.

    Raises:
        LimitReached: more fields or values than the tenant takes.
        ConfigurationError: a format this kind does not have.

    """
    chosen = {
        "selectionsByState": {"$": selections_by_state(selections)},
        "selectionStrategy": "failOnErrors",
    }
    if wish.format == "xlsx" or (wish.kind == "sheet" and wish.format == "png"):
        raise ConfigurationError(
            f"A {wish.kind} cannot be made as {wish.format}",
            code="format",
            remedy="Use pdf or pptx, or png for a chart.",
        )
    size = {"widthPx": wish.width, "heightPx": wish.height}
    if wish.kind == "sheet":
        body: dict[str, Any] = {
            "type": "sense-sheet-1.0",
            "senseSheetTemplate": {"appId": app_id, "sheet": {"id": wish.object_id, **size}, **chosen},
        }
    else:
        target = {"id": wish.object_id, "type": "visualization", **size}
        body = {
            "type": "sense-image-1.0",
            "senseImageTemplate": {"appId": app_id, "visualization": target, **chosen},
        }
    return {**body, "output": _output(wish)}


def data_request(app_id: str, object_id: str, selections: Sequence[Selection]) -> dict[str, Any]:
    """The body for the data of a chart as a workbook, as Qlik itself exports it."""
    return {
        "type": "sense-data-1.0",
        "senseDataTemplate": {
            "appId": app_id,
            "id": object_id,
            "selectionsByState": {"$": selections_by_state(selections)},
            "selectionStrategy": "failOnErrors",
        },
        "output": {"outputId": "out", "type": "xlsx"},
    }


def selections_by_state(selections: Sequence[Selection]) -> list[dict[str, Any]]:
    """Filters in the form of the reports API."""
    values = sum(len(selection.values) for selection in selections)
    if len(selections) > MAX_FIELDS or values > MAX_VALUES:
        raise LimitReached(
            f"{len(selections)} filtered fields with {values} values; "
            f"Qlik Cloud takes {MAX_FIELDS} and {MAX_VALUES}",
            code="selections",
        )
    return [
        {
            "fieldName": selection.field,
            "defaultIsNumeric": False,
            "values": [_value(item) for item in selection.values],
        }
        for selection in selections
    ]


# first match counts, so exceptions stand before their families
_ERRORS: tuple[tuple[str, type[QlikError], str], ...] = (
    ("400009", LimitReached, "Fewer columns: a workbook holds 16,384."),
    ("400010", LimitReached, "Fewer rows: a workbook holds 1,048,566."),
    ("400011", LimitReached, "Narrow it with filters: a workbook may have 100 MB."),
    ("403002", CalculationFailed, "Qlik Cloud cannot export this chart type."),
    ("403", PermissionDenied, ""),
    ("401", PermissionDenied, ""),
    ("429016", LimitReached, "The tenant's daily quota is used up. Wait until tomorrow."),
    ("429022", Aborted, ""),
    ("429", SiteBusy, ""),
    ("409", Transient, "The app was reloaded meanwhile. Make the report again."),
    ("5", Transient, ""),
    ("4", ConfigurationError, ""),
)


def report_error(code: str, message: str) -> QlikError:
    """The class of a REP-... error code."""
    digits = code.removeprefix("REP-")
    if digits.startswith("400008"):
        return SelectionNotProved("filters of the report", (), message, code=code)
    for prefix, kind, remedy in _ERRORS:
        if digits.startswith(prefix):
            return kind(message, code=code, remedy=remedy, retry_after=60 if kind is SiteBusy else None)
    return ProtocolError(message, code=code)


class CloudReports:
    """Asks the tenant for reports and fetches them. `sleep` waits so many seconds."""

    def __init__(
        self, rest: RestClient, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._rest, self._sleep = rest, sleep

    async def make(self, body: Mapping[str, Any], *, within_s: float = 600) -> list[Output]:
        """Send a request, wait for it, and fetch its outputs.

        Raises:
            SelectionNotProved: a filter failed. LimitReached, PermissionDenied, ConfigurationError,
            CalculationFailed: it will not work next time either. Transient: it may.

        """
        answer = await self._rest.send("POST", "/api/v1/reports", json=dict(body))
        status_url = self._same_host(answer.headers.get("location", ""))
        status = await self._wait(status_url, within_s)
        if status.get("status") != "done":
            raise _failure(status)
        return [await self._fetch(location) for location in await self._locations(status_url, status)]

    async def _wait(self, url: str, within_s: float) -> Mapping[str, Any]:
        waited, pause = 0.0, _FIRST_WAIT_S
        while True:
            status = await self._rest.json("GET", url)
            if not isinstance(status, dict):
                raise ProtocolError("The status of a report is no object", code="report-status")
            if status.get("status") in _OVER:
                return status
            if waited >= within_s:
                raise Transient(f"The report is not ready after {within_s:g} s", code="report-timeout")
            await self._sleep(pause)
            waited, pause = waited + pause, min(pause * 1.5, _LONGEST_WAIT_S)

    async def _locations(self, status_url: str, status: Mapping[str, Any]) -> list[str]:
        """Where the files are: from `/outputs`, or from the older `results` of the status."""
        outputs = [item async for item in self._rest.pages(status_url.removesuffix("/status") + "/outputs")]
        for item in outputs:
            if item.get("exportErrors"):
                raise _failure({"reasons": item["exportErrors"]})
        found = [
            str(item["location"]) for item in outputs or status.get("results") or [] if item.get("location")
        ]
        if not found:
            raise ProtocolError("The report is done but names no files", code="report-outputs")
        return found

    async def _fetch(self, location: str) -> Output:
        try:
            answer = await self._rest.send("GET", self._same_host(location))
        except ConfigurationError as error:
            if error.code == 410:  # noqa: PLR2004 - Gone
                raise Transient(
                    "The file of the report has expired before it was fetched", code=410
                ) from None
            raise
        return Output(answer.content, answer.headers.get("content-type", "application/octet-stream"))

    def _same_host(self, location: str) -> str:
        """The path of an address on our tenant: our token must not follow an address to anywhere else."""
        target = urljoin(self._rest.base_url, location)
        if not location or urlsplit(target).netloc != urlsplit(self._rest.base_url).netloc:
            raise ProtocolError("The tenant names an address on another host", code="report-location")
        parts = urlsplit(target)
        return parts.path + (f"?{parts.query}" if parts.query else "")


def _failure(status: Mapping[str, Any]) -> QlikError:
    found = [
        item
        for item in (*_list(status, "reasons"), *_list(status, "requestErrors"))
        if isinstance(item, dict)
    ]
    nested = [error for item in found for error in _list(item, "errors") if isinstance(error, dict)]
    for item in (*nested, *found):
        code = str(item.get("code") or "")
        if code:
            words = ". ".join(str(item[key]) for key in ("title", "detail", "message") if item.get(key))
            return report_error(code, f"The report failed: {words or code}")
    return Transient("The report failed without a reason", code=str(status.get("status") or "failed"))


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    return value if isinstance(value, list) else []


def _output(wish: Picture) -> dict[str, Any]:
    base: dict[str, Any] = {"outputId": "out"}
    if wish.format == "png":
        return {
            **base,
            "type": "image",
            "imageOutput": {"outFormat": "png", "outDpi": 96, "outZoom": min(wish.zoom, 5)},
        }
    if wish.format == "pptx":
        return {**base, "type": "pptx", "pptxOutput": {"size": "Widescreen"}}
    return {**base, "type": "pdf", "pdfOutput": {"size": "A4", "orientation": "A", "resizeType": "fit"}}


def _value(item: FieldValue) -> dict[str, Any]:
    if isinstance(item, str):
        return {"text": item, "isNumeric": False}
    number = int(item) if float(item).is_integer() else item
    return {"text": str(number), "number": number, "isNumeric": True}
