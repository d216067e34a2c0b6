"""The read models, and how to see that nothing is on its way into them."""

import json

from runtime.store import Store
from support.platforms import Stage
from support.waiting import until


async def quiet(stage: Stage) -> None:
    """Return once no new record has come for a second and all are projected."""
    counts: list[int] = []

    async def still() -> bool:
        counts.append((await stage.rest.call("GET", "/api/v1/audit/verify"))["records"])
        return len(counts) > 4 and len(set(counts[-4:])) == 1

    await until(still, every=0.5, what="a quiet audit trail")


async def views(store: Store) -> dict[str, list[str]]:
    """Return every read model as sorted JSON texts."""
    found: dict[str, list[str]] = {}
    for name in sorted(await store.db.list_collection_names()):
        # The checkpoint counts the projector's own rounds; it is not a view.
        if name.startswith("view_") and name != "view_checkpoint":
            documents = [document async for document in store.db[name].find({})]
            found[name] = sorted(json.dumps(each, sort_keys=True, default=str) for each in documents)
    return found
