"""One app, open in a session of its own: filters, values and tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self, TypeVar

from qlik import cube, formats, objects, selecting
from qlik.contents import Contents, app_layout
from qlik.errors import (
    Aborted,
    ConfigurationError,
    LimitReached,
    QlikError,
    SelectionNotProved,
    Transient,
)
from qlik.model import (
    AppLayout,
    Column,
    Dimension,
    Measure,
    ProvedSelection,
    RowPage,
    Selection,
    Sort,
    Table,
    Value,
)
from qlik.objects import Bounds, Found, Part
from qlik.pivot import Pivot
from qlik.rpc import GLOBAL, EngineConnection, ObjectRef
from qlik.site import Limits

_T = TypeVar("_T")

_ALREADY_OPEN = 1002
_DEFAULT_STATE = "$"
_DEPTH = 6  # of objects in objects; a sheet with containers in containers has four
_TRIES = 3  # a cube that changes under us three times in a row is being reloaded
_POSSIBLE = {"L", "S", "O"}


class AppSession(Contents):
    """An open app. Nobody else shares its selections. Get one from `QlikClient.session`.

    Everything here raises `QlikError` by class; after any `Transient` start again with a new session.
    """

    def __init__(
        self, connection: EngineConnection, doc: ObjectRef, layout: AppLayout, limits: Limits
    ) -> None:
        super().__init__(connection, doc)
        self._limits = limits
        self.layout = layout
        self.selections: list[ProvedSelection] = []

    @classmethod
    async def open(cls, connection: EngineConnection, app_id: str, limits: Limits) -> Self:
        """Open the app in a fresh connection, with its data.

        Raises:
            ConfigurationError, PermissionDenied: the app is not there or not for this user.
            Transient: it is open without data, being reloaded, or does not open within `open_s` seconds.

        """
        missing = f"The app {app_id} did not open"
        try:
            doc = await connection.call_object(
                GLOBAL, "OpenDoc", app_id, "", "", "", False, missing=missing, within_s=limits.open_s
            )
        except QlikError as error:
            if error.code != _ALREADY_OPEN:
                raise
            doc = await connection.call_object(GLOBAL, "GetActiveDoc", missing=missing)
        connection.doc = doc
        return cls(connection, doc, await app_layout(connection, doc, app_id), limits)

    @property
    def connection(self) -> EngineConnection:
        """The connection below, for calls this class has no word for."""
        return self._connection

    @property
    def doc(self) -> ObjectRef:
        """The engine's handle of the open app."""
        return self._doc

    async def check_same_data(self) -> None:
        """Raise Transient if the data under this session changed since it was opened.

        To be called when everything is read. Engines mostly keep the old data for sessions that are open;
        whether newer data exists shows only the `layout` of a new session. The filters are compared once
        more with what was proved, too.

        Raises:
            Transient: the app was reloaded. SelectionNotProved: the filters are not what they were.

        """
        now = await app_layout(self._connection, self._doc, self.layout.app_id)
        if now.last_reload_time != self.layout.last_reload_time:
            raise Transient(
                f"The app {self.layout.app_id} was reloaded while it was read",
                code="reloaded",
                remedy="Run the report again; it then shows the new data.",
            )
        await selecting.still_active(self._connection, self._doc, self.selections, self._states())
        await selecting.check_forced(self._connection, self._doc, self.selections)

    async def select(self, selections: Sequence[Selection]) -> list[ProvedSelection]:
        """Make exactly these filters active and prove it; an empty list clears all filters and proves that.

        The answer has the filters in the order given, and then what the app itself keeps selected: fields
        in which its author wants one value to be selected always, marked as `forced`.

        Raises:
            SelectionNotProved: names the field and values that are not active as asked.

        """
        self.selections = []
        self.selections = await selecting.apply(self._connection, self._doc, selections, self._states())
        return self.selections

    async def check_expression(self, expression: str) -> None:
        """Raise ConfigurationError if the expression is not valid or names unknown fields.

        The engine itself gives 0 or null for an unknown field, without an error.
        """
        result = await self._connection.call(self._doc.handle, "CheckExpression", expression)
        message = str(result.get("qErrorMsg") or "")
        # Beside these the engine names `qDangerousFieldNames`. No source says what that means, and the fields
        # exist, so it decides nothing.
        bad = [
            _cut(expression, span) for span in result.get("qBadFieldNames") or [] if isinstance(span, Mapping)
        ]
        if message or bad:
            why = message or "it names fields the app does not have: " + ", ".join(bad)
            raise ConfigurationError(
                f"The expression {expression!r} is not valid: {why}",
                code="expression",
                remedy="Correct the expression, or the field names in it, in the template or task.",
            )

    async def evaluate(self, expression: str) -> Value:
        """The value of an expression under the current filters, checked first."""
        await self.check_expression(expression)
        result = await self._connection.call(self._doc.handle, "EvaluateEx", expression)
        answer = result.get("qValue", result.get("qReturn"))  # schema and documentation disagree: both
        if isinstance(answer, Mapping):
            return formats.value(answer)
        return Value("" if answer is None else str(answer))

    async def variable(self, name: str) -> Value:
        """The value of a variable. Raises ConfigurationError if the app has none of this name."""
        found = await self._connection.call_object(
            self._doc.handle, "GetVariableByName", name, missing=f"The app has no variable {name!r}"
        )
        layout = (await self._connection.call(found.handle, "GetLayout")).get("qLayout") or {}
        return Value(str(layout.get("qText") or ""), formats.number(layout.get("qNum")))

    async def field_values(self, field: str, *, limit: int, truncate: bool = False) -> list[Value]:
        """The possible values of a field under the current filters.

        Raises:
            LimitReached: when there are more than `limit`, unless `truncate` allows to cut them off.

        """
        return (await self.field_column(field, limit=limit, truncate=truncate))[1]

    async def field_column(
        self, field: str, *, limit: int, truncate: bool = False
    ) -> tuple[Column, list[Value]]:
        """The same with the field's kind and format, as a column of a table has them."""
        found = await self._restarting(
            lambda: selecting.listed(self._connection, self._doc, field, states=_POSSIBLE, limit=limit)
        )
        possible = sum(int(found.counts.get(key) or 0) for key in ("qLocked", "qSelected", "qOption"))
        if possible > limit and not truncate:
            raise LimitReached(
                f"The field {field!r} has {possible} possible values, allowed are {limit}",
                code="max-values",
                remedy="Narrow it with a filter, or choose a field with fewer values.",
            )
        return found.column, found.values

    async def table(
        self,
        dimensions: Sequence[Dimension | str],
        measures: Sequence[Measure | str],
        *,
        sort: Sequence[Sort] = (),
        max_rows: int | None = None,
        truncate: bool = False,
    ) -> Table:
        """A table made on the spot from fields and expressions, under the current filters.

        Raises:
            ConfigurationError: an expression is not valid or names unknown fields.
            LimitReached: more rows than `max_rows` (default `max_rows_per_object`), unless `truncate`.

        """
        bounds = self._bounds(max_rows, truncate=truncate)

        async def read() -> Table:
            async with self._ad_hoc(dimensions, measures, sort) as (made, part):
                return await objects.table(self._connection, made, part, bounds)

        return await self._restarting(read)

    async def check_reached(self, object_id: str) -> None:
        """Refuse an object, or a sheet or container with one in it, that the active filters do not reach.

        For whoever lets Qlik draw or export it: what is read here is checked anyway. Costs nothing in an app
        without alternate states.

        Raises:
            SelectionNotProved: naming a filter, the object and its state.

        """
        if self.selections and self._states():
            await self._check_reached(object_id, _DEPTH)

    async def _check_reached(self, object_id: str, depth: int) -> None:
        found = await objects.find(self._connection, self._doc, object_id)
        try:
            for part in found.parts or (None,):
                self._reached(found, part)
            inside = await objects.children(self._connection, found) if depth else []
        finally:
            await objects.free(self._connection, self._doc, found)
        for child in inside:
            await self._check_reached(child.id, depth - 1)

    async def object_table(
        self, object_id: str, *, part: int = 0, max_rows: int | None = None, truncate: bool = False
    ) -> Table:
        """The data of any object with a cube or list, under the current filters.

        Charts give their rows, pivots their header levels as columns in front, lists their possible values,
        and a container its only child. `part` counts the tables of an object that has several (layers of a
        map).

        Raises:
            CalculationFailed: the object has no result; the text says what Qlik shows in its place.
            ConfigurationError: no such object, or one without data.
            LimitReached: larger than allowed, unless `truncate`.

        """
        bounds = self._bounds(max_rows, truncate=truncate)
        return await self._object(object_id, part, lambda f, p: objects.table(self._connection, f, p, bounds))

    async def object_pivot(self, object_id: str, *, part: int = 0, max_rows: int | None = None) -> Pivot:
        """A pivot table as Qlik shows it, with header paths for rows and columns."""
        bounds = self._bounds(max_rows)
        return await self._object(object_id, part, lambda f, p: objects.pivot(self._connection, f, p, bounds))

    @asynccontextmanager
    async def stream(
        self,
        dimensions: Sequence[Dimension | str],
        measures: Sequence[Measure | str],
        *,
        sort: Sequence[Sort] = (),
        max_rows: int | None = None,
    ) -> AsyncIterator[tuple[tuple[Column, ...], AsyncIterator[RowPage]]]:
        """The columns and the pages of such a table, with only a few pages in memory at a time.

        Raises:
            Aborted: while iterating, when the data changed. What was taken before must be thrown away.

        """
        async with (
            self._ad_hoc(dimensions, measures, sort) as (made, part),
            self._pages(made, part, max_rows) as opened,
        ):
            yield opened

    @asynccontextmanager
    async def stream_object(
        self, object_id: str, *, part: int = 0, max_rows: int | None = None
    ) -> AsyncIterator[tuple[tuple[Column, ...], AsyncIterator[RowPage]]]:
        """As `stream`, for an object whose cube is a plain table."""
        found, chosen = await objects.with_data(self._connection, self._doc, object_id, part=part)
        try:
            self._reached(found, chosen)
            async with self._pages(found, chosen, max_rows) as opened:
                yield opened
        finally:
            await objects.free(self._connection, self._doc, found)

    # --- inside -------------------------------------------------------------------------------------------

    def _states(self) -> list[str]:
        return [name for name in self.layout.state_names if name != _DEFAULT_STATE]

    def _reached(self, found: Found, part: Part | None) -> None:
        """Refuse an object that our filters do not reach, while there are any."""
        own = part.data.get("qStateName") if part else None
        state = own or found.layout.get("qStateName") or _DEFAULT_STATE
        own_filters = [selection for selection in self.selections if not selection.forced]
        if own_filters and state != _DEFAULT_STATE:
            filter_ = own_filters[0]
            raise SelectionNotProved(
                filter_.field,
                tuple(value.text for value in filter_.values),
                f"it does not reach the object {found.id}, which is in the alternate state {state!r}",
                code="alternate-state",
            )

    def _bounds(self, max_rows: int | None, *, truncate: bool = False) -> Bounds:
        rows = self._limits.max_rows_per_object if max_rows is None else max_rows
        return Bounds(rows, self._limits.max_cells_in_memory, self._limits.pages_in_flight, truncate)

    async def _object(self, object_id: str, part: int, read: Callable[[Found, Part], Awaitable[_T]]) -> _T:
        async def once() -> _T:
            found, chosen = await objects.with_data(self._connection, self._doc, object_id, part=part)
            try:
                self._reached(found, chosen)
                return await read(found, chosen)
            finally:
                await objects.free(self._connection, self._doc, found)

        return await self._restarting(once)

    @asynccontextmanager
    async def _pages(
        self, found: Found, part: Part, max_rows: int | None
    ) -> AsyncIterator[tuple[tuple[Column, ...], AsyncIterator[RowPage]]]:
        form = cube.shape(part.data, what="The table", title=found.title)
        if form.mode != "S":
            raise ConfigurationError(
                "Only plain tables can be streamed",
                code="mode",
                remedy="Read pivots and stacked charts whole.",
            )
        cube.allow(form.height, self._bounds(max_rows).rows, what="The table")
        rows = cube.straight_rows(
            self._connection,
            cube.Source(found.ref.handle, part.path, "The table"),
            form.columns,
            form.height,
            pages_in_flight=self._limits.pages_in_flight,
        )
        async with aclosing(rows):
            yield form.columns, rows

    @asynccontextmanager
    async def _ad_hoc(
        self, dimensions: Sequence[Dimension | str], measures: Sequence[Measure | str], sort: Sequence[Sort]
    ) -> AsyncIterator[tuple[Found, Part]]:
        dims = [Dimension(d) if isinstance(d, str) else d for d in dimensions]
        meas = [Measure(m) if isinstance(m, str) else m for m in measures]
        _columns_exist(sort, len(dims) + len(meas))
        expressions = [cube.field_expression(d.field) for d in dims if not d.library_id]
        expressions += [m.expression for m in meas if not m.library_id]
        await asyncio.gather(*(self.check_expression(e) for e in expressions))
        properties = {
            "qInfo": {"qType": "broadsheet-table"},
            "qHyperCubeDef": cube.cube_def(dims, meas, sort),
        }
        made = await self._connection.call_object(
            self._doc.handle, "CreateSessionObject", properties, missing="The table could not be made"
        )
        try:
            layout = (await self._connection.call(made.handle, "GetLayout")).get("qLayout") or {}
            part = Part("/qHyperCubeDef", "cube", layout.get("qHyperCube") or {})
            yield Found(made, made.id, "broadsheet-table", "", layout, (part,)), part
        finally:
            await selecting.discard(self._connection, self._doc, made)

    async def _restarting(self, read: Callable[[], Awaitable[_T]]) -> _T:
        """Read again from the first row when the cube changed meanwhile.

        Pages of two states must never mix.
        """
        for _ in range(_TRIES - 1):
            try:
                return await read()
            except Aborted:
                continue
        return await read()


def _columns_exist(sort: Sequence[Sort], columns: int) -> None:
    for wish in sort:
        if not 0 <= wish.column < columns:
            raise ConfigurationError(
                f"Cannot sort by column {wish.column}: there are {columns}, counted from 0", code="sort"
            )


def _cut(expression: str, span: Mapping[str, Any]) -> str:
    start, count = int(span.get("qFrom") or 0), int(span.get("qCount") or 0)
    return expression[start : start + count] or expression
