"""Asks a Qlik app whether it has what a report names: fields, variables, expressions, objects."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from config_api.domain.bindings import columns_of
from config_api.domain.errors import Problem
from config_api.domain.findings import Finding, Severity
from config_api.domain.task_checks import AppQuestion
from contracts.configuration import (
    ChartItem,
    Connection,
    DataItem,
    ExpressionItem,
    FieldItem,
    ImageItem,
    ObjectItem,
    Report,
    TableItem,
    TemplateUses,
    VariableItem,
)
from contracts.naming import column_names
from qlik import AppSession, CalculationFailed, QlikClient, QlikError
from qlik.cube import field_expression
from runtime.egress import Egress
from runtime.errors import Permanent
from runtime.secrets import Sealer
from runtime.sites import reach_of, site_of

_AT_ONCE = 2


class QlikAppCheck:
    """config_api.ports.AppCheck through the Qlik client, bounded in time and in number."""

    def __init__(self, sealer: Sealer, *, egress: Egress, timeout_s: float) -> None:
        """Take what opens the secrets of connections, where they may lead, and a check's time in seconds."""
        self._sealer = sealer
        self._reach = reach_of(egress)
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(
        self, connection: Connection, report: Report, uses: TemplateUses | None
    ) -> list[Finding]:
        """Return what the app does not have; a site that does not answer is a warning."""
        look = _Look(report, uses or TemplateUses())
        return await self._looked(connection, report.app_id, look, look.at)

    async def questions(
        self, connection: Connection, app_id: str, asked: Sequence[AppQuestion]
    ) -> list[Finding]:
        """Return which of the questions the app refuses; a site that does not answer is a warning."""
        look = _Questions(asked)
        return await self._looked(connection, app_id, look, look.at)

    async def _looked(
        self,
        connection: Connection,
        app_id: str,
        look: "_Notes",
        at: Callable[[AppSession], Awaitable[None]],
    ) -> list[Finding]:
        try:
            async with (
                self._slots,
                asyncio.timeout(self._timeout_s),
                self._session(connection, app_id) as session,
            ):
                await at(session)
        except Permanent as error:
            look.note("connection_id", error.message, error.remedy)
        except QlikError as error:
            field = "connection_id" if error.transient else "app_id"
            look.note(field, error.message, error.remedy, Severity.WARNING if error.transient else None)
        except TimeoutError:
            message = f"Qlik did not answer everything within {self._timeout_s:g} seconds"
            look.note("connection_id", message, "check again later", Severity.WARNING)
        return look.findings

    @asynccontextmanager
    async def _session(self, connection: Connection, app_id: str) -> AsyncIterator[AppSession]:
        async with (
            QlikClient(site_of(connection, self._sealer), reach=self._reach) as client,
            client.session(app_id) as session,
        ):
            yield session


class _Notes:
    """What was found so far."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def note(self, field: str, message: str, remedy: str, severity: Severity | None = None) -> None:
        self.findings.append(Finding(severity or Severity.ERROR, Problem(field, message, remedy)))

    @contextmanager
    def noted(self, place: str) -> Iterator[None]:
        """Record a refusal as a finding; let a transient error pass, which ends the check."""
        try:
            yield
        except CalculationFailed as error:
            # Under other filters it may well have a result.
            self.note(place, error.message, error.remedy, Severity.WARNING)
        except QlikError as error:
            if error.transient:
                raise
            self.note(place, error.message, error.remedy)


class _Questions(_Notes):
    """Fields and expressions, asked one after the other."""

    def __init__(self, asked: Sequence[AppQuestion]) -> None:
        super().__init__()
        self._asked = asked

    async def at(self, session: AppSession) -> None:
        for each in self._asked:
            text = field_expression(each.text) if each.kind == "field" else each.text
            with self.noted(each.place):
                await session.check_expression(text)


class _Look(_Notes):
    """Whether an app has what a report names."""

    def __init__(self, report: Report, uses: TemplateUses) -> None:
        super().__init__()
        self._report = report
        self._uses = uses
        self._columns = {item.name: columns_of(item) for item in report.data}

    async def at(self, session: AppSession) -> None:
        for index, item in enumerate(self._report.data):
            await self._item(session, f"data.{index}", item)
        for index, item in enumerate(self._report.data):
            if isinstance(item, ChartItem):
                self._chart(f"data.{index}", item)
        if self._report.native is not None:
            await self._ask("native.id", session.children, self._report.native.id)
        for index, each in enumerate(self._report.filters):
            await self._field(session, f"filters.{index}.field", each.field)
        if self._report.iteration is not None:
            await self._field(session, "iteration.field", self._report.iteration.field)

    async def _item(self, session: AppSession, place: str, item: DataItem) -> None:
        match item:
            case ExpressionItem():
                await self._expression(session, f"{place}.expression", item.expression)
            case VariableItem():
                await self._ask(f"{place}.variable", session.variable, item.variable)
            case FieldItem():
                await self._field(session, f"{place}.field", item.field)
            case TableItem():
                for number, column in enumerate(item.dimensions):
                    text = field_expression(column.expression)
                    await self._expression(session, f"{place}.dimensions.{number}.expression", text)
                for number, column in enumerate(item.measures):
                    text = column.expression
                    await self._expression(session, f"{place}.measures.{number}.expression", text)
            case ObjectItem():
                await self._object(session, place, item)
            case ImageItem():
                await self._ask(f"{place}.object_id", session.children, item.object_id)

    async def _expression(self, session: AppSession, place: str, expression: str) -> None:
        await self._ask(place, session.check_expression, expression)

    async def _field(self, session: AppSession, place: str, name: str) -> None:
        await self._expression(session, place, field_expression(name))

    async def _ask(self, place: str, ask: Callable[[str], Awaitable[object]], what: str) -> None:
        with self.noted(place):
            await ask(what)

    async def _object(self, session: AppSession, place: str, item: ObjectItem) -> None:
        with self.noted(f"{place}.object_id"):
            # One row is enough to know the columns; an object may hold millions.
            table = await session.object_table(item.object_id, max_rows=1, truncate=True)
            known = column_names([column.name for column in table.columns])
            self._columns[item.name] = known
            for column in self._uses.tables.get(item.name, ()):
                if column not in known:
                    where = self._uses.places.get(f"{item.name}.{column}", "template")
                    message = (
                        f"the template shows the column {column!r} of {item.name!r} ({where}), "
                        f"which the object {item.object_id!r} does not have"
                    )
                    remedy = f"correct the tag, or the object in Qlik; it has: {', '.join(known)}"
                    self.note(f"{place}.object_id", message, remedy)

    def _chart(self, place: str, item: ChartItem) -> None:
        known = self._columns.get(item.table)
        for name in (item.category, *item.series):
            if known is not None and name not in known:
                message = f"the table {item.table!r} has no column {name!r}"
                self.note(place, message, f"name one it has: {', '.join(known)}")
