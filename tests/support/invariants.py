"""What holds after every execution, whatever happened during it."""

import asyncio
from collections import Counter
from typing import Any

from contracts.catalog import topics
from runtime import deadletters
from support.platforms import ARCHIVE, Stage
from support.waiting import until

QUIET = 3
_SETTLED_UNITS = ("report-generated", "report-skipped", "report-failed")
_SETTLED_DELIVERIES = ("delivery-succeeded", "delivery-failed", "delivery-unknown", "delivery-skipped")


async def check_execution(stage: Stage, execution_id: str, *, units: int) -> None:
    """Fail unless every unit was generated and each delivery settled, all of them once and none as failed."""
    by_type = await trail(stage, execution_id)
    assert 1 == len(by_type["execution-planned"])
    assert 1 == len(by_type["task-completed"])
    planned = by_type["execution-planned"][0]

    settled = Counter(each["unit_id"] for kind in _SETTLED_UNITS for each in by_type.get(kind, []))
    assert units == planned["unit_count"] == len(settled)
    assert {1} == set(settled.values()), "a unit settles once"
    assert units == len(by_type["report-generated"]), by_type.get("report-failed", [])[:3]

    deliveries = {
        each["delivery_id"]: (kind, each) for kind in _SETTLED_DELIVERIES for each in by_type.get(kind, [])
    }
    assert planned["delivery_count"] == len(deliveries) == count(by_type, "delivery-"), (
        "a delivery settles once"
    )
    assert [] == by_type.get("delivery-failed", []), "the outages were shorter than the deadline"

    accepted = await accepted_once(stage)
    for kind, each in deliveries.values():
        if each["channel"] == "email" and kind == "delivery-succeeded":
            assert each["message_id"] in accepted, "what counts as delivered was accepted"
    verdict = await stage.rest.call("GET", "/api/v1/audit/verify")
    assert verdict["intact"], verdict

    async def shown() -> bool:
        execution = await stage.execution(execution_id)
        return execution is not None and execution["units"]["generated"] == units

    await until(shown, what="the status to show every report")


async def accepted_once(stage: Stage) -> set[str]:
    """Return the Message-IDs that the mail server accepted; fail when it accepted one of them twice."""
    copies = Counter(each["message_id"] for each in await stage.inbox.messages())
    assert {} == {key: number for key, number in copies.items() if number > 1}, "nothing is sent again"
    return set(copies)


async def check_no_dead_letters(stage: Stage) -> None:
    """Fail when any dead-letter topic holds something, with what it is."""
    settings = stage.platform.settings()
    for spec in topics():
        found = await deadletters.read(settings, spec.name)
        assert [] == [(spec.name, each.about("x-consumer-group"), each.about("x-error")) for each in found]


async def trail(stage: Stage, execution_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return what was recorded, by type of event, once the trail has caught up and grows no more.

    Topics are recorded side by side: the end of an execution may stand there before all it ended.
    """
    sizes: list[int] = []
    found: dict[str, list[dict[str, Any]]] = {}

    async def caught_up() -> bool:
        found.clear()
        for record in await stage.audit(execution_id=execution_id):
            name = record["type"].removeprefix("io.broadsheet.").removesuffix(".v1")
            found.setdefault(name, []).append(record["data"])
        sizes.append(sum(map(len, found.values())))
        if "execution-planned" not in found:
            return False
        planned = found["execution-planned"][0]
        return (
            count(found, "delivery-") >= planned["delivery_count"]
            and count(found, "report-") >= planned["unit_count"]
            and len(set(sizes[-QUIET:])) == 1
        )

    await until(caught_up, seconds=180, every=1, what="an audit trail that holds every report and delivery")
    return found


def count(found: dict[str, list[dict[str, Any]]], prefix: str) -> int:
    """Return how many events of a kind settled something."""
    return sum(
        len(rows) for name, rows in found.items() if name.startswith(prefix) and name != "report-requested"
    )


async def archived(stage: Stage) -> dict[str, str]:
    """Return the files in the storage space, each with the time it was last written."""

    def listed() -> dict[str, str]:
        pages = stage.platform.objects.client().get_paginator("list_objects_v2")
        return {
            each["Key"]: each["LastModified"].isoformat()
            for page in pages.paginate(Bucket=ARCHIVE)
            for each in page.get("Contents", [])
        }

    return await asyncio.to_thread(listed)
