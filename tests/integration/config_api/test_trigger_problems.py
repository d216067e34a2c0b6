"""What scheduler and listener found wrong with triggers, at the task over REST and in the console."""

import re
from datetime import UTC, datetime

import httpx
import pytest

from contracts.base import Reason
from contracts.schedules import TriggerProblem
from scheduler.adapters.problems import MongoTriggerProblems
from support.config_api_kit import ADMIN, PASSWORD, Kit, configure

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def problem(message: str, trigger_id: str = "daily-delays.reload") -> TriggerProblem:
    return TriggerProblem(
        task_id="daily-delays",
        trigger_id=trigger_id,
        source="site:qlik",
        reason=Reason(code="app-not-found", message=message, remedy="Change the trigger."),
        since=NOW,
    )


async def test_a_task_says_what_keeps_its_triggers_from_starting_it(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    assert {"items": []} == (await admin.get("/api/v1/tasks/daily-delays/problems")).json()

    await MongoTriggerProblems(kit.store).replace("site:qlik", [problem("The app is gone.")])

    (found,) = (await admin.get("/api/v1/tasks/daily-delays/problems")).json()["items"]
    assert {
        "trigger_id": "daily-delays.reload",
        "code": "app-not-found",
        "message": "The app is gone.",
        "remedy": "Change the trigger.",
        "since": NOW,
        "found_by": "site:qlik",
    } == {**found, "since": datetime.fromisoformat(found["since"])}
    async with kit.client() as browser:
        page = await browser.get("/sign-in")
        nonce = re.search(r'name="nonce" value="([^"]+)"', page.text)
        assert nonce is not None
        await browser.post("/sign-in", data={"nonce": nonce.group(1), "email": ADMIN, "password": PASSWORD})
        assert "The app is gone." in (await browser.get("/tasks")).text
    assert 404 == (await admin.get("/api/v1/tasks/nothing/problems")).status_code


async def test_a_problem_keeps_since_when_and_ends_with_what_its_source_finds(kit: Kit) -> None:
    problems = MongoTriggerProblems(kit.store)
    first = problem("The app is gone.")
    later = problem("The app is still gone.").model_copy(update={"since": datetime(2027, 1, 1, tzinfo=UTC)})

    assert [first] == await problems.replace("site:qlik", [first])
    assert [] == await problems.replace("site:qlik", [later])
    assert [] == await problems.replace("site:other", [])
    stored = [each async for each in kit.store.db["scheduler_trigger_problems"].find()]
    assert [(NOW, "The app is still gone.")] == [
        (each["since"], each["reason"]["message"]) for each in stored
    ]

    await problems.replace("site:qlik", [])
    assert 0 == await kit.store.db["scheduler_trigger_problems"].count_documents({})
