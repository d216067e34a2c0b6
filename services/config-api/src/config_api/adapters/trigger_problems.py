"""What scheduler and listener wrote about triggers; they are the only writers (contracts.schedules)."""

from collections.abc import Sequence

import structlog
from pydantic import ValidationError

from contracts.schedules import TRIGGER_PROBLEMS, TriggerProblem
from runtime.store import Document, Store, store_errors

log = structlog.get_logger(__name__)

_SHOWN_AT_MOST = 1_000


class MongoTriggerProblems:
    """config_api.ports.TriggerProblems over MongoDB."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._problems = store.db[TRIGGER_PROBLEMS]

    async def of(self, task_ids: Sequence[str]) -> list[TriggerProblem]:
        """Return what is wrong with triggers of tasks, oldest first, at most 1,000. Raises Transient."""
        query = {"task_id": {"$in": list(task_ids)}}
        with store_errors():
            found = [each async for each in self._problems.find(query).sort("since").limit(_SHOWN_AT_MOST)]
        return [problem for each in found if (problem := _problem(each)) is not None]


def _problem(document: Document) -> TriggerProblem | None:
    try:
        return TriggerProblem.model_validate(document)
    except ValidationError:
        # Written by a scheduler of another version; the others are shown.
        log.warning("trigger problem left out", id=str(document["_id"])[:200])
        return None
