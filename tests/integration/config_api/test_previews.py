"""Previews over REST and in the console: for whoever asked, bounded, and for nobody else."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from config_api.domain.rights import Role
from contracts.base import Artifact, Reason, Selection
from contracts.events import PreviewSettled
from support.config_api_kit import ADMIN, PASSWORD, REPORT, Kit, configure

pytestmark = pytest.mark.integration
WISH = {"format": "html"}


@pytest.fixture(autouse=True)
def now(kit: Kit) -> None:
    """Let the clock begin now: MongoDB removes old requests by its own."""
    kit.clock.set(datetime.now(tz=UTC).replace(microsecond=0))


async def asked(client: httpx.AsyncClient, report: str = "delays", /, **changes: object) -> httpx.Response:
    return await client.post(f"/api/v1/reports/{report}/preview", json={**WISH, **changes})


async def settle(kit: Kit, preview_id: str, content: bytes | None = b"<p>12</p>") -> None:
    artifact = None
    if content is not None:
        ref = await kit.objects.put(f"previews/{preview_id}/x", content, content_type="text/html")
        artifact = Artifact(**ref.model_dump(), file_name="Delays AA.html")
    reason = None if content is not None else Reason(code="out-of-order", message="Qlik is away")
    await kit.record(
        PreviewSettled(
            preview_id=preview_id,
            report_id="delays",
            report_name="Delays",
            iteration_value="AA",
            artifact=artifact,
            reason=reason,
            selections=(Selection(field="carrier", values=("AA",)),),
        )
    )


async def test_a_preview_is_asked_for_made_and_fetched(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)

    answer = await asked(admin, selections=[{"field": "dest", "values": ["BOS"]}], iteration_value="AA")
    assert 202 == answer.status_code, answer.text
    preview_id = answer.json()["preview_id"]
    before = (await admin.get(f"/api/v1/previews/{preview_id}")).json()
    early = await admin.get(f"/api/v1/previews/{preview_id}/file")
    await settle(kit, preview_id)
    after = (await admin.get(f"/api/v1/previews/{preview_id}")).json()
    file = await admin.get(f"/api/v1/previews/{preview_id}/file")

    assert "requested" == before["state"]
    assert 409 == early.status_code
    assert ("made", "AA") == (after["state"], after["shown_value"])
    assert b"<p>12</p>" == file.content
    assert file.headers["content-disposition"].startswith("attachment")
    stored = await kit.store.collection("config_preview_requests").find_one({"_id": preview_id})
    assert stored is not None
    assert 1 == len(stored["outbox"]), "the request carries the event that starts it"


async def test_nobody_else_sees_a_preview_but_administrators(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    async with (
        kit.client(await kit.key(Role.DEVELOPER, "one@example.com")) as one,
        kit.client(await kit.key(Role.DEVELOPER, "two@example.com")) as two,
        kit.client() as nobody,
    ):
        preview_id = (await asked(one)).json()["preview_id"]
        await settle(kit, preview_id)
        path = f"/api/v1/previews/{preview_id}"
        statuses = [(await client.get(path)).status_code for client in (one, two, admin, nobody)]
        files = [(await client.get(f"{path}/file")).status_code for client in (one, two, admin, nobody)]
        refused = await asked(nobody)
    assert [200, 404, 200, 401] == statuses == files
    assert 401 == refused.status_code


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"format": "xlsx"}, "format"),
        ({"recipient_id": "nobody"}, "recipient_id"),
    ],
)
async def test_what_cannot_be_shown_is_refused_at_once(
    admin: httpx.AsyncClient, changes: dict[str, object], field: str
) -> None:
    await configure(admin)
    answer = await asked(admin, **changes)
    assert 422 == answer.status_code
    (problem,) = answer.json()["problems"]
    assert (field, True) == (problem["field"], bool(problem["remedy"]))


async def test_a_filter_by_attribute_needs_a_recipient(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    by_airline = {"field": "carrier", "source": "recipient-attribute", "attribute": "airline"}
    await admin.post("/api/v1/reports", json={**REPORT, "id": "own", "filters": [by_airline]})

    without, with_ann = await asked(admin, "own"), await asked(admin, "own", recipient_id="ann")

    assert ["recipient_id"] == [each["field"] for each in without.json()["problems"]]
    assert 202 == with_ann.status_code


async def test_too_many_previews_within_a_minute_are_refused(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    answers = [(await asked(admin)).status_code for _ in range(11)]
    assert [202] * 10 + [429] == answers
    async with kit.client(await kit.key(Role.DEVELOPER, "one@example.com")) as one:
        assert 202 == (await asked(one)).status_code, "another account is not held up"


async def test_a_preview_no_generator_made_is_overdue(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    preview_id = (await asked(admin)).json()["preview_id"]
    kit.clock.advance(timedelta(minutes=4))
    assert "overdue" == (await admin.get(f"/api/v1/previews/{preview_id}")).json()["state"]


async def test_the_console_shows_checks_and_previews_without_scripts(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    async with kit.client() as browser:
        page = await browser.get("/sign-in")
        nonce = found(r'name="nonce" value="([^"]+)"', page.text)
        form = {"nonce": nonce, "email": ADMIN, "password": PASSWORD}
        assert 303 == (await browser.post("/sign-in", data=form)).status_code
        assert "/reports/delays" in (await browser.get("/reports")).text
        page = await browser.get("/reports/delays")
        csrf = found(r'name="csrf" value="([^"]+)"', page.text)
        assert "<script" not in page.text

        wrong = await browser.post(
            "/reports/delays/preview", data={"csrf": csrf, "format": "html", "filters": "no sign"}
        )
        sent = await browser.post(
            "/reports/delays/preview",
            data={"csrf": csrf, "format": "html", "filters": "dest = BOS; JFK\n\norigin = LGA"},
        )
        waiting = await browser.get(sent.headers["location"])
        preview_id = sent.headers["location"].rpartition("/")[2]
        await settle(kit, preview_id)
        made = await browser.get(sent.headers["location"])
        file = await browser.get(f"{sent.headers['location']}/file")
        forged = await browser.post("/reports/delays/preview", data={"csrf": "x", "format": "html"})

    assert (422, True) == (wrong.status_code, "line 1 of the filters" in wrong.text)
    assert 'http-equiv="refresh"' in waiting.text
    assert "Delays AA.html" in made.text
    assert 'http-equiv="refresh"' not in made.text
    assert b"<p>12</p>" == file.content
    assert 403 == forged.status_code


async def test_a_preview_that_failed_says_why(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    preview_id = (await asked(admin)).json()["preview_id"]
    await settle(kit, preview_id, None)
    shown = (await admin.get(f"/api/v1/previews/{preview_id}")).json()
    assert ("failed", "Qlik is away") == (shown["state"], shown["reason"]["message"])
    assert 409 == (await admin.get(f"/api/v1/previews/{preview_id}/file")).status_code


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text[:500]
    return match[1]
