"""What is wrong with triggers, in MongoDB: `scheduler_trigger_problems` (contracts.schedules)."""

from collections.abc import Sequence

from pymongo import ASCENDING, DeleteOne, IndexModel, UpdateOne

from contracts.schedules import TRIGGER_PROBLEMS, TriggerProblem
from runtime.store import Document, Store, store_errors


class MongoTriggerProblems:
    """Implements `ports.TriggerProblems`."""

    def __init__(self, store: Store) -> None:
        """Take an open store."""
        self._store = store
        self._problems = store.db[TRIGGER_PROBLEMS]

    async def ensure_indexes(self) -> None:
        """Create the indexes. Raises Transient."""
        await self._store.ensure_indexes(
            TRIGGER_PROBLEMS, [IndexModel([("source", ASCENDING)]), IndexModel([("task_id", ASCENDING)])]
        )

    async def replace(self, source: str, found: Sequence[TriggerProblem]) -> Sequence[TriggerProblem]:
        """Keep what a source has found now in place of what it found before; return what is new.

        Two processes with one source find the same, so it does not matter which of them writes.
        Raises Transient.
        """
        with store_errors():
            before = {each["_id"]: each async for each in self._problems.find({"source": source})}
            now = {_key(each): each for each in found}
            new = [each for key, each in now.items() if key not in before]
            changes: list[DeleteOne | UpdateOne] = [
                DeleteOne({"_id": key}) for key in before.keys() - now.keys()
            ]
            changes += [
                UpdateOne({"_id": key}, _update(each), upsert=True)
                for key, each in now.items()
                if key not in before or before[key]["reason"] != each.reason.model_dump(mode="json")
            ]
            if changes:
                await self._problems.bulk_write(changes, ordered=False)
        return new


def _key(problem: TriggerProblem) -> str:
    # No id of a task, a trigger or a connection has a slash in it.
    return f"{problem.source}/{problem.task_id}/{problem.trigger_id}"


def _update(problem: TriggerProblem) -> Document:
    document = problem.model_dump(mode="json", exclude={"since"})
    return {"$set": document, "$setOnInsert": {"since": problem.since}}
