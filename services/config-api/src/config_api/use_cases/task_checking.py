"""Check a task as a whole: when it is saved, and when somebody asks."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeVar

from config_api.domain.drafts import Draft, TaskDraft
from config_api.domain.errors import InvalidError, NotFoundError, Problem
from config_api.domain.findings import Finding, Severity
from config_api.domain.kinds import CONNECTION, GROUP, RECIPIENT, REPORT, STORAGE, TASK, Kind
from config_api.domain.rights import Actor, Right, demand
from config_api.domain.tags import report_tags, task_tags
from config_api.domain.task_checks import (
    MOST_FINDINGS,
    AppQuestion,
    CheckedSpace,
    CheckedTask,
    of_report,
    people,
    questions,
)
from config_api.ports import AppCheck, ConfigurationStore, StorageCheck
from config_api.use_cases.checking import Checking
from config_api.use_cases.sites import KnownApps
from contracts.base import Wire
from contracts.configuration import (
    Connection,
    Group,
    Recipient,
    Report,
    StorageSpace,
    TaskReport,
    TaskVersion,
)

M = TypeVar("M", bound=Wire)
_CHUNK = 500
App = tuple[str, str]


class TaskChecking:
    """Says what would go wrong with a task, before its recipients miss something."""

    def __init__(
        self, *, store: ConfigurationStore, app: AppCheck, storage: StorageCheck, reports: Checking
    ) -> None:
        """Keep the ports and the check of single reports."""
        self._store = store
        self._app = app
        self._storage = storage
        self._reports = reports

    async def task(self, key: str, actor: Actor) -> CheckedTask:
        """Return everything that is wrong with a task now. Raises NotFoundError."""
        demand(actor, Right.CONFIGURATION)
        stored = await self._store.get(TASK, key)
        if stored is None or stored.content is None:
            raise NotFoundError(TASK.name, key)
        task = TaskVersion.model_validate(stored.content)
        tags = [Finding(Severity.ERROR, problem) for problem in task_tags(task)]
        found = await asyncio.gather(
            self._of_reports(task.reports, actor),
            self._of_apps(task.reports),
            self._of_spaces(_spaces(task.reports)),
            self._of_people(task),
        )
        findings = [*tags, *(each for part in found for each in part)]
        return CheckedTask(task.task_id, task.version, tuple(findings[:MOST_FINDINGS]))

    async def space(self, key: str, actor: Actor) -> CheckedSpace:
        """Write, read and delete a file in a storage space. Raises NotFoundError."""
        demand(actor, Right.CONFIGURATION)
        stored = await self._store.get(STORAGE, key)
        if stored is None:
            raise NotFoundError(STORAGE.name, key)
        space = StorageSpace.model_validate(stored.document)
        return CheckedSpace(space, tuple(await self._storage(space)))

    async def screen(self, key: str | None, draft: TaskDraft, actor: Actor) -> tuple[Problem, ...]:
        """Return what to warn about in a draft of a task, which is new when `key` is None.

        A field of a filter or an expression of a condition that the app refuses fails every run, so it is
        refused here, unless the stored task has it already: then the app has changed since, and the task can
        still be edited. What cannot be known now, and a storage space that is newly named and does not work,
        are warnings. Raises InvalidError.
        """
        demand(actor, Right.CONFIGURATION)
        before = await self._before(key)
        known = {(each.report_id, each.format, one.text) for each in before for one in questions(each, 0)}
        asked = [
            (report, one)
            for index, report in enumerate(draft.reports)
            for one in questions(report, index)
            if (report.report_id, report.format, one.text) not in known
        ]
        spaces = _spaces(draft.reports)
        old = set(_spaces(before).values())
        findings, storage = await asyncio.gather(
            self._asked(asked),
            self._of_spaces({place: each for place, each in spaces.items() if each not in old}),
        )
        places = {one.place for _, one in asked}
        refused = [
            each.problem
            for each in findings
            if each.severity is Severity.ERROR and each.problem.field in places
        ]
        if refused:
            raise InvalidError(*refused)
        return tuple(each.problem for each in (*findings, *storage))

    async def _before(self, key: str | None) -> tuple[TaskReport, ...]:
        stored = await self._store.get(TASK, key) if key is not None else None
        if stored is None or stored.content is None:
            return ()
        return TaskVersion.model_validate(stored.content).reports

    async def _of_reports(self, reports: Sequence[TaskReport], actor: Actor) -> list[Finding]:
        first = {report.report_id: index for index, report in reversed(list(enumerate(reports)))}

        async def one(report_id: str, index: int) -> list[Finding]:
            try:
                checked = await self._reports.report(report_id, actor)
            except NotFoundError as missing:
                problem = Problem(f"reports.{index}.report_id", str(missing), "Choose another report.")
                return [Finding(Severity.ERROR, problem)]
            tags = [Finding(Severity.ERROR, problem) for problem in report_tags(checked.report)]
            return of_report(index, report_id, [*tags, *checked.findings])

        found = await asyncio.gather(*(one(report_id, index) for report_id, index in first.items()))
        return [each for part in found for each in part]

    async def _of_apps(self, reports: Sequence[TaskReport]) -> list[Finding]:
        return await self._asked(
            [(report, one) for index, report in enumerate(reports) for one in questions(report, index)]
        )

    async def _asked(self, asked: Sequence[tuple[TaskReport, AppQuestion]]) -> list[Finding]:
        """Ask each app once for everything; a report or connection that does not exist is found elsewhere."""
        documents = await self._store.many(REPORT, sorted({report.report_id for report, _ in asked}))
        by_app: dict[App, list[AppQuestion]] = {}
        for report, question in asked:
            document = documents.get(report.report_id)
            if document is not None:
                app = (document["connection_id"], document["app_id"])
                by_app.setdefault(app, []).append(question)
        connections = await self._store.many(CONNECTION, sorted({key for key, _ in by_app}))
        found = await asyncio.gather(
            *(
                self._app.questions(Connection.model_validate(connections[key]), app_id, some)
                for (key, app_id), some in by_app.items()
                if key in connections
            )
        )
        return [each for part in found for each in part]

    async def _of_spaces(self, spaces: Mapping[str, str]) -> list[Finding]:
        """Try each space once; `spaces` are ids by the place that names them."""
        documents = await self._store.many(STORAGE, sorted(set(spaces.values())))
        first = {key: place for place, key in reversed(list(spaces.items())) if key in documents}
        found = await asyncio.gather(
            *(self._storage(StorageSpace.model_validate(documents[key])) for key in first)
        )
        return [
            Finding(each.severity, Problem(place, each.problem.message, each.problem.remedy))
            for place, part in zip(first.values(), found, strict=True)
            for each in part
        ]

    async def _of_people(self, task: TaskVersion) -> list[Finding]:
        wanted = [each.group_id for each in task.recipients if each.group_id is not None]
        groups = await self._models(GROUP, Group, wanted)
        members = [each.recipient_id for each in task.recipients if each.recipient_id is not None]
        members += [member for group in groups.values() for member in group.members]
        recipients = await self._models(RECIPIENT, Recipient, members)
        reports = await self._models(REPORT, Report, [each.report_id for each in task.reports])
        filtered = [
            each.model_copy(update={"filters": each.filters + reports[each.report_id].filters})
            for each in task.reports
            if each.report_id in reports
        ]
        return list(people(task.recipients, filtered, recipients, groups))

    async def _models(self, kind: Kind, model: type[M], keys: Sequence[str]) -> dict[str, M]:
        wanted = sorted(set(keys))
        found: dict[str, M] = {}
        for start in range(0, len(wanted), _CHUNK):
            documents = await self._store.many(kind, wanted[start : start + _CHUNK])
            found |= {key: model.model_validate(document) for key, document in documents.items()}
        return found


class Screening:
    """What a draft is checked for, beyond itself and its references, when it is saved."""

    def __init__(self, *, apps: KnownApps, tasks: TaskChecking) -> None:
        """Keep the checks."""
        self._apps = apps
        self._tasks = tasks

    async def __call__(self, kind: Kind, key: str | None, draft: Draft, actor: Actor) -> list[Problem]:
        """Return what to warn about in a draft; `key` is None for a new object. Raises InvalidError."""
        warnings = [*await self._apps.screen(kind, key, draft, actor)]
        if isinstance(draft, TaskDraft):
            warnings += await self._tasks.screen(key, draft, actor)
        return warnings


def _spaces(reports: Sequence[TaskReport]) -> dict[str, str]:
    return {
        f"reports.{index}.storage.{number}.storage_id": target.storage_id
        for index, report in enumerate(reports)
        for number, target in enumerate(report.storage)
    }
