"""Every stored object with secrets, whatever its kind."""

from collections.abc import AsyncIterator, Mapping

from pydantic import ValidationError

from config_api.domain.kinds import KINDS, TASK_VERSIONS
from config_api.ports import SealedObject
from contracts.base import Wire
from contracts.configuration import TaskVersion
from runtime.store import Store, store_errors


class MongoSealedStore:
    """config_api.ports.SealedStore over MongoDB."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store

    async def sealed_objects(self) -> AsyncIterator[SealedObject]:
        """Yield the objects of every kind whose model has secrets, by collection and id."""
        models: dict[str, type[Wire]] = {
            kind.collection: kind.model for kind in KINDS.values() if "sealed" in kind.model.model_fields
        }
        models[TASK_VERSIONS] = TaskVersion
        for name, model in models.items():
            with store_errors():
                async for document in self._store.collection(name).find({"sealed": {"$nin": [{}, None]}}):
                    holder: Wire | None
                    try:
                        holder = model.model_validate({"id": document["_id"], **document})
                    except ValidationError:
                        holder = None
                    yield SealedObject(name, document["_id"], holder, document["sealed"])

    @store_errors()
    async def replace_sealed(self, found: SealedObject, tokens: Mapping[str, str]) -> bool:
        """Write the tokens of an object, unless its secrets were changed since it was read."""
        result = await self._store.collection(found.collection).update_one(
            {"_id": found.id, "sealed": dict(found.sealed)}, {"$set": {"sealed": dict(tokens)}}
        )
        return bool(result.matched_count)
