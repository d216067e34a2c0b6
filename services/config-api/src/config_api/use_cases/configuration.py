"""Create, read, change, enable, disable and delete objects of every kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config_api.domain import changes, validation
from config_api.domain.bindings import unbound
from config_api.domain.changes import Secrets, Stamp, Stored, Upload
from config_api.domain.drafts import (
    ConnectionDraft,
    Draft,
    ReportDraft,
    StorageSpaceDraft,
    TaskCopy,
    TaskDraft,
)
from config_api.domain.errors import InvalidError, NotFoundError, Problem, RefusedError, StaleError
from config_api.domain.formats import Source
from config_api.domain.kinds import CONNECTION, KINDS, REPORT, TASK, TEMPLATE, Kind
from config_api.domain.references import references, unknown
from config_api.domain.rights import Actor, Right, demand
from config_api.ports import ConfigurationStore, EgressCheck, Seal, SiteCheck
from contracts.configuration import (
    ConnectionKind,
    Report,
    TaskVersion,
    Template,
    TemplateKind,
    TemplateUses,
)
from contracts.output import NativeKind
from runtime.clock import Clock

_SWITCH_ATTEMPTS = 5
_PROBLEMS = 100


class Configuration:
    """The configuration, as people and programs with the right to it see and change it."""

    def __init__(
        self,
        *,
        store: ConfigurationStore,
        clock: Clock,
        new_id: Callable[[], str],
        seal: Seal,
        check_site: SiteCheck,
        check_egress: EgressCheck,
    ) -> None:
        """Take the ports."""
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._seal = seal
        self._check_site = check_site
        self._check_egress = check_egress

    async def get(self, kind: Kind, key: str, actor: Actor) -> Stored:
        """Return an object. Raises NotFoundError."""
        demand(actor, Right.CONFIGURATION)
        return await self._existing(kind, key)

    async def page(self, kind: Kind, actor: Actor, *, after: str | None, limit: int) -> list[Stored]:
        """Return up to `limit` objects whose ids come after `after`."""
        demand(actor, Right.CONFIGURATION)
        return await self._store.page(kind, after=after, limit=limit)

    async def create(self, kind: Kind, draft: Draft, actor: Actor, *, upload: Upload | None = None) -> Stored:
        """Store a new object. Raises InvalidError with every fault, ConflictError when the id is taken."""
        demand(actor, Right.CONFIGURATION)
        key = draft.id or self._new_id()
        last = await self._store.last_version(key) if kind is TASK else 0
        stamp = self._stamp(actor)
        secrets = await self._checked(kind, key, draft, None)
        write = changes.save(
            kind,
            key,
            draft,
            None,
            stamp,
            sealed=self._sealed(kind, key, draft, stamp, secrets),
            secrets=secrets,
            upload=upload,
            last_version=last,
            trigger_owners=await self._trigger_owners(draft),
        )
        await self._store.commit(write)
        return write.stored

    async def change(
        self,
        kind: Kind,
        key: str,
        draft: Draft,
        actor: Actor,
        *,
        expected: int,
        upload: Upload | None = None,
    ) -> Stored:
        """Replace an object that still has the revision `expected`. Raises StaleError when it has not."""
        demand(actor, Right.CONFIGURATION)
        before = await self._existing(kind, key)
        if draft.id not in {None, key}:
            raise InvalidError(Problem("id", f"is {draft.id!r}, the address says {key!r}", "leave it out"))
        stamp = self._stamp(actor)
        secrets = await self._checked(kind, key, draft, before)
        last = await self._store.last_version(key) if kind is TASK else 0
        write = changes.save(
            kind,
            key,
            draft,
            _at(before, expected),
            stamp,
            sealed=self._sealed(kind, key, draft, stamp, secrets),
            secrets=secrets,
            upload=upload,
            last_version=last,
            trigger_owners=await self._trigger_owners(draft),
        )
        await self._store.commit(write)
        return write.stored

    async def copy_task(self, key: str, names: TaskCopy, actor: Actor) -> Stored:
        """Store a disabled copy of a task, passwords of files included.

        Raises NotFoundError, ConflictError when the id is taken, InvalidError when the task no longer fits
        what it refers to, and Permanent when a password cannot be opened.
        """
        demand(actor, Right.CONFIGURATION)
        before = await self._existing(TASK, key)
        task = TaskVersion.model_validate(before.content)
        found = self._seal.secrets_of(task, task.sealed)
        body = changes.shown(before) | {
            "id": names.id,
            "name": names.name,
            "enabled": False,
            # They are bound to their task, so they are sealed again for the copy.
            "secrets": {path: secret.get_secret_value() for path, secret in found.items()},
        }
        return await self.create(TASK, TaskDraft.model_validate(body), actor)

    async def remove(self, kind: Kind, key: str, actor: Actor, *, expected: int | None) -> None:
        """Delete an object that nothing refers to. Raises InUseError that names who does."""
        demand(actor, Right.CONFIGURATION)
        before = await self._existing(kind, key)
        await self._store.commit(
            changes.remove(before if expected is None else _at(before, expected), self._stamp(actor))
        )

    async def switch(self, kind: Kind, key: str, actor: Actor, *, enabled: bool) -> Stored:
        """Enable or disable an object, whatever its revision; asking twice changes nothing."""
        demand(actor, Right.RUN if kind is TASK else Right.CONFIGURATION)
        for _ in range(_SWITCH_ATTEMPTS):
            before = await self._existing(kind, key)
            write = changes.switch(before, enabled=enabled, stamp=self._stamp(actor))
            if write is None:
                return before
            try:
                await self._store.commit(write)
            except StaleError:
                continue  # somebody changed something else; the switch is to be set all the same
            return await self._existing(kind, key)
        raise StaleError(kind.name, key)

    async def switch_many(
        self, kind: Kind, keys: Sequence[str], actor: Actor, *, enabled: bool
    ) -> dict[str, RefusedError | None]:
        """Enable or disable several objects; one that is refused does not hold up the others."""
        demand(actor, Right.RUN if kind is TASK else Right.CONFIGURATION)
        results: dict[str, RefusedError | None] = {}
        for key in dict.fromkeys(keys):
            try:
                await self.switch(kind, key, actor, enabled=enabled)
                results[key] = None
            except RefusedError as refusal:
                results[key] = refusal
        return results

    async def demand_bound(self, template_id: str, uses: TemplateUses) -> None:
        """Raise InvalidError with each name that a report of the template would not bind any more."""
        problems: list[Problem] = []
        for stored in await self._store.referring(REPORT, f"{TEMPLATE.name}:{template_id}"):
            report = Report.model_validate(stored.document)
            for problem in unbound(uses, report.data):
                message = f"the report {report.id!r} uses the template: {problem.message}"
                problems.append(Problem("file", message, f"change the report first: {problem.remedy}"))
        if problems:
            raise InvalidError(*problems[:_PROBLEMS])

    async def _trigger_owners(self, draft: Draft) -> Mapping[str, str]:
        if not isinstance(draft, TaskDraft) or not draft.triggers:
            return {}
        return await self._store.trigger_owners([trigger.id for trigger in draft.triggers])

    def _stamp(self, actor: Actor) -> Stamp:
        return Stamp(actor, self._clock.now(), self._new_id())

    async def _existing(self, kind: Kind, key: str) -> Stored:
        stored = await self._store.get(kind, key)
        if stored is None:
            raise NotFoundError(kind.name, key)
        return stored

    async def _checked(self, kind: Kind, key: str, draft: Draft, before: Stored | None) -> Secrets:
        """Return what a draft in which nothing is wrong does to secrets. Raises InvalidError otherwise."""
        secrets = changes.secrets_after(kind, key, draft, before)
        problems, templates = await self._reference_problems(draft)
        problems += validation.check(draft, templates)
        if isinstance(draft, ConnectionDraft):
            problems += self._site_problems(draft, secrets)
        if isinstance(draft, ConnectionDraft | StorageSpaceDraft) and not problems:
            problems += await self._check_egress(draft.settings)
        if problems:
            raise InvalidError(*problems)
        return secrets

    def _site_problems(self, draft: ConnectionDraft, secrets: Secrets) -> list[Problem]:
        there = {*secrets.kept, *secrets.fresh}
        problems = self._check_site(draft.kind, draft.settings, sorted(there))
        if problems and secrets.cleared:
            # What is missing only because this change clears it is said in the answer, and by every use.
            complete = sorted(there | set(secrets.cleared))
            return self._check_site(draft.kind, draft.settings, complete) and problems
        return problems

    def _sealed(
        self, kind: Kind, key: str, draft: Draft, stamp: Stamp, secrets: Secrets
    ) -> Mapping[str, str]:
        if not secrets.kept and not secrets.fresh:
            return {}
        holder = changes.holder_of(kind, key, draft, stamp)
        return self._seal.sealed_for(holder, fresh=secrets.fresh, kept=secrets.kept)

    async def _reference_problems(self, draft: Draft) -> tuple[list[Problem], dict[str, Source]]:
        wanted: dict[str, list[str]] = {}
        for reference in references(draft):
            wanted.setdefault(reference.kind, []).append(reference.id)
        found: dict[str, Mapping[str, Mapping[str, Any]]] = {
            kind: await self._store.many(KINDS[kind], sorted(set(keys))) for kind, keys in wanted.items()
        }
        problems = [unknown(each) for each in references(draft) if each.id not in found[each.kind]]
        sources: dict[str, Source] = {}
        if isinstance(draft, TaskDraft):
            sources = await self._sources(found.get(REPORT.name, {}))
        if isinstance(draft, ReportDraft):
            problems += _of_data(draft, found.get(TEMPLATE.name, {}).get(draft.template_id or ""))
            problems += _of_site(draft, found.get(CONNECTION.name, {}).get(draft.connection_id))
        return problems, sources

    async def _sources(self, reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Source]:
        """Return what reports are made from; without those whose template does not exist."""
        used = {key: report.get("template_id") for key, report in reports.items()}
        documents = await self._store.many(TEMPLATE, sorted({str(each) for each in used.values() if each}))
        sources: dict[str, Source] = {}
        for key, template_id in used.items():
            native = reports[key].get("native")
            if template_id is None:
                sources[key] = NativeKind(native["kind"]) if native else None
            elif template_id in documents:
                sources[key] = TemplateKind(documents[template_id]["kind"])
        return sources


def _of_data(draft: ReportDraft, template: Mapping[str, Any] | None) -> list[Problem]:
    if draft.template_id is None and draft.native is None and not draft.data:
        return [Problem("data", "is empty, and there is no template", "add data or a template")]
    uses = Template.model_validate(template).uses if template else None
    return unbound(uses, draft.data) if uses else []


def _of_site(draft: ReportDraft, connection: Mapping[str, Any] | None) -> list[Problem]:
    if draft.native is None or connection is None or connection["kind"] == ConnectionKind.CLOUD.value:
        return []
    message = "is what Qlik Cloud exports by itself, and the connection is to a client-managed site"
    return [
        Problem("native", message, "use a template with the app's data, or no template to export a table")
    ]


def _at(before: Stored, expected: int) -> Stored:
    """Return what was read, as of the revision the caller saw; the store refuses it when that has passed."""
    return Stored(
        kind=before.kind,
        id=before.id,
        document=before.document,
        revision=expected,
        updated_at=before.updated_at,
        updated_by=before.updated_by,
        refs=before.refs,
        content=before.content,
    )
