"""What a change of configuration writes: the object, its history and its event, decided in one place."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from config_api.domain.drafts import (
    MASK,
    ConnectionDraft,
    Draft,
    RecipientDraft,
    StorageSpaceDraft,
    TaskDraft,
    TemplateDraft,
)
from config_api.domain.errors import InvalidError, Problem
from config_api.domain.kinds import TASK, Kind
from config_api.domain.references import Reference, references
from config_api.domain.rights import Actor
from contracts.base import ObjectRef, Wire
from contracts.binding import moved, rule_of
from contracts.configuration import TaskHead, TaskVersion, Template, TemplateKind, TemplateUses, TriggerSeries
from contracts.events import ConfigurationChanged

Action = Literal["created", "changed", "enabled", "disabled", "deleted"]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it lies in the store. For a task, `content` is its current version."""

    kind: Kind
    id: str
    document: Mapping[str, Any]
    revision: int
    """Counts every change; the ETag."""
    updated_at: datetime
    updated_by: str
    refs: frozenset[str] = frozenset()
    content: Mapping[str, Any] | None = None
    cleared_secrets: tuple[str, ...] = ()
    """Secrets that the change which made it so has cleared, because what they were entered for changed."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a change does to the secrets of an object."""

    kept: Mapping[str, str]
    """Sealed, as they are."""
    fresh: Mapping[str, str]
    """In clear, still to be sealed."""
    cleared: tuple[str, ...] = ()
    """Those that stay behind, because what they were entered for changes and nobody entered them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One change, applied as a whole or not at all."""

    kind: Kind
    id: str
    action: Action
    document: dict[str, Any] | None
    """What is stored; None deletes."""
    expected: int
    """The revision the object must have; 0: it must not exist."""
    refs: tuple[str, ...] = ()
    """Everything it refers to, as `kind:id`."""
    added: tuple[Reference, ...] = ()
    """What it did not refer to before, and which therefore has to be made sure of."""
    version: dict[str, Any] | None = None
    """An immutable task version to be stored beside it."""
    event: ConfigurationChanged
    at: datetime

    @property
    def stored(self) -> Stored:
        """Return the object as it is once this is written."""
        return Stored(
            kind=self.kind,
            id=self.id,
            document=self.document or {},
            revision=self.expected + 1,
            updated_at=self.at,
            updated_by=self.event.actor,
            refs=frozenset(self.refs),
            content=self.version,
            cleared_secrets=self.event.cleared_secrets,
        )


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who changes something, when, and what the change is known by."""

    actor: Actor
    at: datetime
    change_id: str
    """New for every attempt to change something: two that race must never be taken for one."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A template file that lies in the object store."""

    kind: TemplateKind
    file: ObjectRef
    uses: TemplateUses | None = None


def save(
    kind: Kind,
    key: str,
    draft: Draft,
    before: Stored | None,
    stamp: Stamp,
    *,
    sealed: Mapping[str, str] | None = None,
    secrets: Secrets | None = None,
    upload: Upload | None = None,
    last_version: int = 0,
    trigger_owners: Mapping[str, str] | None = None,
) -> Write:
    """Return the write that creates an object, or changes it when there is a `before`.

    `sealed` are the secrets after the change, encrypted, and `secrets` is how they came about; `upload` is a
    template's new file; `last_version` is the highest version a task of this id ever had, because versions
    are never reused. `trigger_owners` gives the task of each trigger id that was made while ids were unique
    over all tasks.
    """
    version = None
    if isinstance(draft, TaskDraft):
        series = _series(key, draft, before, stamp, trigger_owners or {})
        version = _task_version(key, draft, last_version + 1, stamp, sealed or {}, series=series)
    if isinstance(draft, TaskDraft):
        document = TaskHead(
            id=key, name=draft.name, enabled=_enabled(draft, before), current_version=last_version + 1
        ).model_dump(mode="json")
    elif isinstance(draft, TemplateDraft):
        document = _template(key, draft, before, upload)
    else:
        document = _plain(kind, key, draft, before, sealed or {})
    refs = references(draft)
    known = before.refs if before else frozenset()
    write = Write(
        kind=kind,
        id=key,
        action="changed" if before else "created",
        document=document,
        expected=before.revision if before else 0,
        refs=tuple(sorted({reference.key for reference in refs})),
        added=tuple(reference for reference in refs if reference.key not in known),
        version=version,
        event=_event(kind, key, draft.name, "changed" if before else "created", before=before, stamp=stamp),
        at=stamp.at,
    )
    # A secret that was only sealed again, with another key or binding, is the same secret.
    same = set(secrets.kept) - set(secrets.fresh) if secrets else set()
    fields = changed_fields(before, write.stored, same=same) if before else ()
    count = last_version + 1 if kind is TASK else write.expected + 1
    cleared = secrets.cleared if secrets else ()
    event = write.event.model_copy(
        update={"changed_fields": fields, "version": count, "cleared_secrets": cleared}
    )
    return replace(write, event=event)


def switch(before: Stored, *, enabled: bool, stamp: Stamp) -> Write | None:
    """Return the write that enables or disables an object, or None when it already is so."""
    if before.document["enabled"] is enabled:
        return None
    action: Action = "enabled" if enabled else "disabled"
    return Write(
        kind=before.kind,
        id=before.id,
        action=action,
        document={**before.document, "enabled": enabled},
        expected=before.revision,
        refs=tuple(sorted(before.refs)),
        event=_event(before.kind, before.id, before.document["name"], action, before=before, stamp=stamp),
        at=stamp.at,
    )


def remove(before: Stored, stamp: Stamp) -> Write:
    """Return the write that deletes an object; that nothing refers to it is checked where it is applied."""
    return Write(
        kind=before.kind,
        id=before.id,
        action="deleted",
        document=None,
        expected=before.revision,
        event=_event(before.kind, before.id, before.document["name"], "deleted", before=before, stamp=stamp),
        at=stamp.at,
    )


def shown(stored: Stored) -> dict[str, Any]:
    """Return an object as answers show it: secrets masked, a task with its current version."""
    body = {key: value for key, value in stored.document.items() if key not in {"sealed", "current_version"}}
    if (sealed := _sealed(stored)) is not None:
        body["secrets"] = dict.fromkeys(sorted(sealed), MASK)
    if stored.kind is TASK:
        hidden = {"task_id", "sealed", "series"}
        content = {key: value for key, value in (stored.content or {}).items() if key not in hidden}
        body = {**content, **body, "version": stored.document["current_version"]}
    return body | {
        "revision": stored.revision,
        "updated_at": stored.updated_at.isoformat(),
        "updated_by": stored.updated_by,
    }


def merged_secrets(draft: Draft, before: Stored | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the sealed secrets that stay and the new ones in clear, still to be sealed.

    Raises InvalidError for a masked secret that is not set.
    """
    if not isinstance(draft, ConnectionDraft | StorageSpaceDraft | RecipientDraft | TaskDraft):
        return {}, {}
    kept: dict[str, str] = dict(_sealed(before) or {}) if before else {}
    if isinstance(draft, TaskDraft):
        # The passwords of a report that left the task leave with it.
        there = tuple(f"reports.{report.id}." for report in draft.reports)
        kept = {path: token for path, token in kept.items() if path.startswith(there)}
    fresh: dict[str, str] = {}
    for path, value in draft.secrets.items():
        if value is None:
            kept.pop(path, None)
        elif set(value) != set(MASK):
            fresh[path] = value
        elif path not in kept:
            raise InvalidError(
                Problem(f"secrets.{path}", "is masked, and no secret is set", "send the secret")
            )
    return kept, fresh


def secrets_after(kind: Kind, key: str, draft: Draft, before: Stored | None) -> Secrets:
    """Return what a draft does to the secrets of an object.

    A secret stays only while what it was entered for stays, which contracts.binding decides: whoever may
    change an object but not read its secrets must not be able to send them elsewhere. Raises InvalidError for
    a masked secret that is not set.
    """
    kept, fresh = merged_secrets(draft, before)
    if before is None or not kept or kind is TASK:
        return Secrets(kept, fresh)
    rule = rule_of(kind.model)
    old = kind.model.model_validate(before.document)
    new = kind.model.model_validate(_plain(kind, key, draft, before, {}))
    lost = set(kept) if moved(old, new) else set()
    there = _sealed(before) or {}
    if any(path in fresh or (path in there and path not in kept) for path in rule.trust):
        lost = set(kept) - rule.trust | lost
    cleared = tuple(sorted(lost - set(fresh)))
    return Secrets({path: token for path, token in kept.items() if path not in lost}, fresh, cleared)


def holder_of(kind: Kind, key: str, draft: Draft, stamp: Stamp) -> Wire:
    """Return the object a draft describes, without its secrets, as secrets are bound to it."""
    if isinstance(draft, TaskDraft):
        return TaskVersion.model_validate(_task_version(key, draft, 1, stamp, {}, series={}))
    return kind.model.model_validate(_plain(kind, key, draft, None, {}))


def changed_fields(before: Stored, after: Stored, *, same: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the fields that differ, never their values; a secret by its path.

    `same` are secrets that did not change although they are sealed differently.
    """
    old, new = shown(before), shown(after)
    ignored = {"revision", "updated_at", "updated_by", "version", "created_at", "created_by", "secrets"}
    names = {
        name for name in old.keys() | new.keys() if name not in ignored and old.get(name) != new.get(name)
    }
    sealed_before, sealed_after = _sealed(before) or {}, _sealed(after) or {}
    for path in sealed_before.keys() | sealed_after.keys():
        if path not in same and sealed_before.get(path) != sealed_after.get(path):
            names.add(f"secrets.{path}")
    return tuple(sorted(names))


def _sealed(stored: Stored) -> Mapping[str, str] | None:
    """Return the secrets of an object as they are stored; None for a kind that has none."""
    where = (stored.content or {}) if stored.kind is TASK else stored.document
    found: Mapping[str, str] | None = where.get("sealed")
    return found


def _plain(
    kind: Kind, key: str, draft: Draft, before: Stored | None, sealed: Mapping[str, str]
) -> dict[str, Any]:
    content = draft.model_dump(mode="json", exclude={"id", "secrets"})
    if isinstance(draft, RecipientDraft):
        content["enabled"] = _enabled(draft, before)
    if "sealed" in kind.model.model_fields:
        content["sealed"] = dict(sealed)
    if isinstance(draft, ConnectionDraft):
        # The settings are a whole qlik.QlikSite but for its secrets, and that names its kind, too.
        content["settings"] = {**draft.settings, "kind": draft.kind.value}
    if "version" in kind.model.model_fields:
        content["version"] = (before.revision if before else 0) + 1
    return kind.model.model_validate({"id": key, **content}).model_dump(mode="json")


def _template(key: str, draft: TemplateDraft, before: Stored | None, upload: Upload | None) -> dict[str, Any]:
    if upload is None and before is None:
        raise InvalidError(Problem("file", "is missing", "send the template file as multipart/form-data"))
    old = Template.model_validate(before.document) if before else None
    made = upload or old
    version = 1 if old is None else old.version + (1 if upload and upload.file != old.file else 0)
    found = {"kind": made.kind, "file": made.file, "uses": made.uses} if made else {}
    return Template.model_validate(
        {"id": key, "name": draft.name, "version": version, "tags": draft.tags, **found},
        from_attributes=True,
    ).model_dump(mode="json")


def _series(
    key: str, draft: TaskDraft, before: Stored | None, stamp: Stamp, owners: Mapping[str, str]
) -> dict[str, TriggerSeries]:
    """Return what identifies the runs of each trigger: as before while it stays, new when it is added.

    A trigger that was made while ids were unique over all tasks keeps its identity, also when it is added to
    its task again: its due times have records under it (ADR-0021).
    """
    content = (before.content or {}) if before else {}
    there = {str(each["id"]) for each in content.get("triggers", ())}
    known = {
        trigger_id: TriggerSeries.model_validate(each)
        for trigger_id, each in content.get("series", {}).items()
    }
    return {
        trigger.id: known.get(trigger.id, TriggerSeries(by_trigger_id=True))
        if trigger.id in there
        else TriggerSeries(since=stamp.at, by_trigger_id=owners.get(trigger.id) == key)
        for trigger in draft.triggers
    }


def _task_version(
    key: str,
    draft: TaskDraft,
    number: int,
    stamp: Stamp,
    sealed: Mapping[str, str],
    *,
    series: Mapping[str, TriggerSeries],
) -> dict[str, Any]:
    content = draft.model_dump(mode="json", exclude={"id", "enabled", "secrets"})
    about = {"task_id": key, "version": number, "created_at": stamp.at, "created_by": stamp.actor.name}
    about |= {"sealed": dict(sealed), "series": dict(series)}
    return TaskVersion.model_validate(content | about).model_dump(mode="json")


def _enabled(draft: TaskDraft | RecipientDraft, before: Stored | None) -> bool:
    """Return the switch after a change: a change that does not speak of it must not set it."""
    if draft.enabled is not None:
        return draft.enabled
    return bool(before.document["enabled"]) if before else True


def _event(
    kind: Kind, key: str, name: str, action: Action, *, before: Stored | None, stamp: Stamp
) -> ConfigurationChanged:
    revision = (before.revision if before else 0) + 1
    version = before.document["current_version"] if before and kind is TASK else revision
    return ConfigurationChanged(
        change_id=stamp.change_id,
        entity=kind.name,
        entity_id=key,
        name=name,
        action=action,
        version=version,
        actor=stamp.actor.name,
        changed_at=stamp.at,
    )
