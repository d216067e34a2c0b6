"""Run a task now, and look at what ran."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from config_api.domain.errors import InvalidError, NotFoundError, Problem
from config_api.domain.kinds import GROUP, RECIPIENT, TASK
from config_api.domain.projection import DELIVERIES, NOTIFICATIONS, UNITS, Document
from config_api.domain.rights import Actor, Right, demand
from config_api.domain.runs import Known, RunRequest, check_run, request_run, same_request
from config_api.ports import ConfigurationStore, ExecutionQuery, Files, RunStore, Views
from contracts.base import Artifact, ObjectRef
from contracts.configuration import TaskHead, TaskRecipient
from contracts.runs import RunOptions
from runtime.clock import Clock

_LONGEST_KEY = 200


class Runs:
    """Executions: asked for, looked at, their files fetched."""

    def __init__(
        self,
        *,
        store: ConfigurationStore,
        runs: RunStore,
        views: Views,
        files: Files,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        """Take the ports."""
        self._store = store
        self._runs = runs
        self._views = views
        self._files = files
        self._clock = clock
        self._new_id = new_id

    async def run_now(
        self, task_id: str, key: str | None, actor: Actor, options: RunOptions | None = None
    ) -> RunRequest:
        """Ask for a run; the same key asks for the same one.

        Raises ConflictError for a disabled task, and InvalidError for options that do not fit the task or
        differ from those the key was used with before.
        """
        demand(actor, Right.RUN)
        if key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isprintable()):
            raise InvalidError(
                Problem("Idempotency-Key", "is empty, too long or not printable", "send a UUID, for example")
            )
        task = await self._store.get(TASK, task_id)
        if task is None:
            raise NotFoundError("task", task_id)
        head = TaskHead.model_validate(task.document)
        content = task.content or {}
        if options is not None and (problems := check_run(options, await self._known(content, options))):
            raise InvalidError(*problems)
        request, event = request_run(
            head,
            key or self._new_id(),
            actor,
            self._clock.now(),
            content.get("timezone", "UTC"),
            options=options,
        )
        return same_request(await self._runs.ask(request, event), request)

    async def _known(self, content: Mapping[str, Any], options: RunOptions) -> Known:
        """Return whom of a task the options may name; reads nothing when they name nobody."""
        if options.recipients is None:
            return Known(frozenset(), {})
        found = await self._store.many(RECIPIENT, options.recipients)
        enabled = {key: bool(each.get("enabled", True)) for key, each in found.items()}
        entries = [TaskRecipient.model_validate(each) for each in content.get("recipients", ())]
        groups = await self._store.many(GROUP, [each.group_id for each in entries if each.group_id])
        members = (each.get("members", ()) for each in groups.values())
        in_task = {each.recipient_id for each in entries if each.recipient_id}.union(*members)
        return Known(frozenset(in_task), enabled)

    async def executions(self, query: ExecutionQuery, actor: Actor) -> list[Document]:
        """Return executions, newest first."""
        demand(actor, Right.STATUS)
        return await self._views.executions(query)

    async def get(self, execution_id: str, actor: Actor) -> Document:
        """Return an execution. Raises NotFoundError."""
        demand(actor, Right.STATUS)
        document = await self._views.execution(execution_id)
        if document is None:
            raise NotFoundError("execution", execution_id)
        return document

    async def parts(
        self, view: str, execution_id: str, actor: Actor, *, skip: int = 0, limit: int = 1000
    ) -> list[Document]:
        """Return units, deliveries or notifications of an execution."""
        demand(actor, Right.STATUS)
        if view not in {UNITS, DELIVERIES, NOTIFICATIONS}:
            raise NotFoundError("part of an execution", view)
        return await self._views.parts(view, execution_id, skip=skip, limit=limit)

    async def last_runs(self, actor: Actor) -> dict[str, Document]:
        """Return what is known of the runs of each task."""
        demand(actor, Right.STATUS)
        return await self._views.task_runs()

    async def artifact(
        self, execution_id: str, unit_id: str, actor: Actor
    ) -> tuple[Artifact, AsyncIterator[bytes]]:
        """Return a file an execution made, as a stream."""
        demand(actor, Right.STATUS)
        unit = await self._views.part(UNITS, unit_id)
        if unit is None or unit.get("execution_id") != execution_id or not unit.get("artifact"):
            raise NotFoundError("file", unit_id)
        artifact = Artifact.model_validate(unit["artifact"])
        return artifact, self._files.stream(artifact)

    async def log(self, execution_id: str, actor: Actor) -> tuple[ObjectRef, AsyncIterator[bytes]]:
        """Return the log of an execution that is over, as a stream."""
        document = await self.get(execution_id, actor)
        if not document.get("log"):
            raise NotFoundError("log of execution", execution_id)
        ref = ObjectRef.model_validate(document["log"])
        return ref, self._files.stream(ref)
