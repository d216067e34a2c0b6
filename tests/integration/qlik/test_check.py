"""The check says for each step what works, what does not, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from qlik.__main__ import main
from qlik.check import check
from support.qlik_site import FLIGHTS, SimulatedSite

pytestmark = pytest.mark.integration


async def test_a_good_connection_passes_every_step(simulated: SimulatedSite) -> None:
    async with simulated.client() as client:
        steps = [step async for step in check(client)]
    assert [(s.name, s.outcome) for s in steps] == [
        ("list of apps", "ok"),
        ("repository", "ok"),
        ("open an app", "ok"),
        ("no foreign filters", "ok"),
    ]
    assert "Flights" in steps[2].detail


async def test_an_app_that_is_not_there_fails_its_step_with_a_remedy(simulated: SimulatedSite) -> None:
    async with simulated.client() as client:
        steps = [step async for step in check(client, app_id="nope")]
    failed = [s for s in steps if s.outcome == "failed"]
    assert [s.name for s in failed] == ["open an app", "no foreign filters"]
    assert all(s.remedy for s in failed)


async def test_without_the_repository_the_engine_lists_the_apps(simulated: SimulatedSite) -> None:
    site = simulated.site().model_copy(update={"qrs_url": None})
    from qlik import QlikClient  # noqa: PLC0415

    async with QlikClient(site) as client:
        assert [app.id for app in await client.apps()] == [FLIGHTS]
        steps = [step async for step in check(client)]
    assert [s.outcome for s in steps] == ["ok", "skipped", "ok", "ok"]


def test_a_site_file_that_is_not_right_is_refused_without_showing_its_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.json"
    file.write_text(
        '{"kind":"cloud","engine_url":"wss://t","auth":{"kind":"api-key","key":"SECRET","x":"SECRET"}}'
    )
    assert main(["check", str(file)]) == 2
    said = capsys.readouterr()
    assert "auth.api-key.x" in said.err
    assert "SECRET" not in said.err + said.out
    assert main(["check", str(tmp_path / "missing.json")]) == 2
