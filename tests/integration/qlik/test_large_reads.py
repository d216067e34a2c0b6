"""Large reads from the simulator. Judging every cell by the schema takes minutes, so here nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from qlik import Aborted, Selection
from support.qlik_site import FLIGHTS, SimulatedSite

pytestmark = pytest.mark.integration


async def fault(site: SimulatedSite, **given: Any) -> None:
    await site.control("POST", "/_sim/fault", json={"place": "engine", "fault": given})


async def test_a_table_of_many_pages_is_read_without_gap_or_repeat(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await session.select([Selection(field="month", values=(1,))])
        table = await session.table(["day", "flight", "tailnum"], ["Count(flight)"])
        keys = [tuple(cell.text for cell in row[:3]) for row in table.rows]
        assert len(keys) == len(set(keys)) > 20_000
        assert sum(row[3].value for row in table.rows) == table.totals[0].value  # type: ignore[misc]


async def test_a_stream_gives_pages_in_order(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await session.select([Selection(field="month", values=(2,))])
        at = 0
        async with session.stream(["flight", "day"], ["Count(flight)"]) as (columns, pages):
            assert len(columns) == 3
            async for page in pages:
                assert page.first_row == at
                at += len(page.rows)
        assert at > 10_000


async def test_an_abort_between_pages_restarts_from_the_first_row(simulated: SimulatedSite) -> None:
    async with simulated.client(pages_in_flight=1) as client, client.session(FLIGHTS) as session:
        await session.select([Selection(field="month", values=(3,))])
        whole = await session.table(["flight", "day"], ["Count(flight)"])
        await fault(simulated, kind="error", code=15, method="GetHyperCubeData", after=1)
        again = await session.table(["flight", "day"], ["Count(flight)"])
        assert again.rows == whole.rows


async def test_an_abort_while_streaming_is_raised_because_rows_are_already_out(
    simulated: SimulatedSite,
) -> None:
    async with simulated.client(pages_in_flight=1) as client, client.session(FLIGHTS) as session:
        await session.select([Selection(field="month", values=(3,))])
        await fault(simulated, kind="error", code=15, method="GetHyperCubeData", after=1)
        async with session.stream(["flight", "day"], ["Count(flight)"]) as (_, pages):
            with pytest.raises(Aborted):
                assert [page async for page in pages]
