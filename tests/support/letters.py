"""A task that delivers a letter to each customer in every way: by mail, into a folder, into the Hub."""

import asyncio
from collections.abc import Iterable
from typing import Any

from support.platforms import Stage
from support.servers import unique


async def letters(stage: Stage, customers: Iterable[str], **changes: Any) -> str:
    """Create recipients at `<task>.example.com` and the task for them; return its id.

    Each customer is one unit and three deliveries; `owner@<task>.com` is told how a run ended.
    """
    names, tag = sorted(customers), unique("letters")
    await asyncio.gather(
        *(
            stage.create(
                "recipients",
                id=f"{tag}-{name}",
                name=name,
                email=f"{name.lower()}@{tag}.example.com",
                attributes={"customer": name},
            )
            for name in names
        )
    )
    await stage.create("groups", id=tag, name=tag, members=[f"{tag}-{name}" for name in names])
    body: dict[str, Any] = {
        "id": tag,
        "name": "Letters",
        "reports": [
            {
                "id": "letter",
                "report_id": "per-customer",
                "format": "html",
                "storage": [{"storage_id": "customers-archive", "path": tag}],
                "hub": {"publish": True},
            }
        ],
        "recipients": [{"group_id": tag, "scope": "own", "scope_attribute": "customer"}],
        "notification": {
            "on_success": True,
            "on_warning": True,
            "on_error": True,
            "to": [f"owner@{tag}.com"],
        },
        "deadline": 300,
    }
    await stage.create("tasks", **(body | changes))
    return tag
