"""A report is looked at before anybody gets it: real Qlik session, proved filters, real file, no delivery."""

from typing import Any

import httpx
import pytest

from support.platforms import Stage
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def previewed(stage: Stage, report: str, **wish: Any) -> tuple[dict[str, Any], str]:
    """Return a preview once it is settled, and its file's address."""
    asked = await stage.rest.call("POST", f"/api/v1/reports/{report}/preview", json=wish)
    found: dict[str, Any] = {}

    async def settled() -> bool:
        found.update(await stage.rest.call("GET", asked["status_url"]))
        return found["state"] in {"made", "failed"}

    await until(settled, seconds=60, every=0.25, what="the preview")
    return found, asked["file_url"]


async def text_of(stage: Stage, path: str) -> str:
    headers = {"Authorization": f"Bearer {stage.rest.key}"}
    async with httpx.AsyncClient(base_url=stage.rest.base_url, headers=headers, trust_env=False) as http:
        answer = await http.get(path)
    answer.raise_for_status()
    return answer.text


async def test_a_preview_shows_the_chosen_data_and_is_delivered_to_nobody(stage: Stage) -> None:
    mails = len(await stage.inbox.messages())

    found, file = await previewed(stage, "per-customer", format="html", iteration_value="C0003")

    assert "made" == found["state"], found
    assert f'<p id="total">{stage.totals["C0003"]}</p>' in await text_of(stage, file)
    assert [("customer", ["C0003"])] == [(each["field"], each["values"]) for each in found["selections"]]
    assert mails == len(await stage.inbox.messages())
    records = await stage.audit(type="io.broadsheet.preview-settled.v1")
    assert found["id"] in {each["data"]["preview_id"] for each in records}, "every preview is in the trail"


async def test_a_preview_under_filters_of_ones_own_shows_only_what_they_leave(stage: Stage) -> None:
    chosen = [{"field": "customer", "values": ["C0001", "C0002"]}]

    found, file = await previewed(stage, "all-customers", format="html", selections=chosen)

    assert "made" == found["state"], found
    total = stage.totals["C0001"] + stage.totals["C0002"]
    assert f'<p id="total">{total}</p>' in await text_of(stage, file)


async def test_a_filter_the_app_does_not_know_is_told_and_nothing_is_shown(stage: Stage) -> None:
    chosen = [{"field": "customer", "values": ["nobody"]}]

    found, _ = await previewed(stage, "all-customers", format="html", selections=chosen)

    assert ("failed", "selection-not-proved") == (found["state"], found["reason"]["code"])
