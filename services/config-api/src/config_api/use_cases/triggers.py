"""See what keeps triggers from starting their tasks."""

from collections.abc import Sequence

from config_api.domain.errors import NotFoundError
from config_api.domain.kinds import TASK
from config_api.domain.rights import Actor, Right, demand
from config_api.ports import ConfigurationStore, TriggerProblems
from contracts.schedules import TriggerProblem


class Triggers:
    """What scheduler and listener found wrong with triggers."""

    def __init__(self, *, store: ConfigurationStore, problems: TriggerProblems) -> None:
        """Take the ports."""
        self._store = store
        self._problems = problems

    async def problems_of(self, task_id: str, actor: Actor) -> list[TriggerProblem]:
        """Return what is wrong with the triggers of a task, oldest first. Raises NotFoundError."""
        demand(actor, Right.CONFIGURATION)
        if await self._store.get(TASK, task_id) is None:
            raise NotFoundError(TASK.name, task_id)
        return await self._problems.of([task_id])

    async def problems(self, task_ids: Sequence[str], actor: Actor) -> dict[str, list[TriggerProblem]]:
        """Return what is wrong with the triggers of several tasks, by task."""
        demand(actor, Right.CONFIGURATION)
        found: dict[str, list[TriggerProblem]] = {}
        for each in await self._problems.of(task_ids):
            found.setdefault(each.task_id, []).append(each)
        return found
