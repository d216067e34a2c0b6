"""Deliveries of a plan: one mail a recipient, files in storage, files in the Hub."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.base import Reason
from contracts.configuration import Destination, StorageSpace, StorageTarget, TaskVersion
from contracts.events import Channel
from contracts.ids import delivery_id
from contracts.plan import PlannedDelivery, PlannedHub, PlannedMail, PlannedStorage, PlannedUnit
from generator.domain.mode import Mode
from generator.domain.people import Person
from generator.domain.selections import PlanProblemError
from generator.domain.units import Draft
from generator.domain.wording import Wording
from rendering.file_names import Namer, safe_name


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a plan under their final names, with everything that wants each."""

    units: Mapping[str, PlannedUnit]
    drafts: Mapping[str, list[Draft]]
    lost: Mapping[str, Reason] = field(default_factory=dict)
    """Files that cannot be planned, by unit id: whatever was to carry them fails."""

    def each(self) -> Iterator[tuple[PlannedUnit, Draft]]:
        """Yield every file with each task report that asked for it, in the plan's order."""
        for key, unit in self.units.items():
            for draft in self.drafts[key]:
                yield unit, draft

    def missing(self) -> Iterator[tuple[str, Draft, Reason]]:
        """Yield every file that cannot be planned with each task report that asked for it."""
        for key, reason in self.lost.items():
            for draft in self.drafts[key]:
                yield key, draft, reason


@dataclass(slots=True)
class _Parcel:
    """What one person's mail holds; dicts keep the order and drop what comes twice."""

    attach: dict[str, None] = field(default_factory=dict)
    zipped: dict[str, None] = field(default_factory=dict)
    embed: dict[str, None] = field(default_factory=dict)

    def take(self, unit: str, draft: Draft, *, zip_all: bool) -> None:
        """Add a file the way its task report says; in an archive it need not be attached once more."""
        entry = draft.item.entry
        if entry.attach:
            (self.zipped if zip_all or entry.zip_email else self.attach)[unit] = None
        if entry.embed:
            self.embed[unit] = None

    def units(self) -> tuple[str, ...]:
        return tuple({**self.attach, **self.zipped, **self.embed})


def mails(
    execution_id: str,
    files: Files,
    people: Sequence[Person],
    wording: Wording,
    *,
    mode: Mode,
    excluded: Mapping[str, Reason],
) -> Iterator[PlannedDelivery]:
    """Yield one mail for each person who gets at least one file, or should have.

    A mail that cannot be written is planned as failed. `excluded` says, by recipient id, why somebody gets no
    file of some report; whoever gets no file at all for that reason has a failed mail, too.
    """
    parcels: dict[str, _Parcel] = {}
    for unit, draft in files.each():
        for person in draft.mailed:
            parcel = parcels.setdefault(person.recipient.id, _Parcel())
            parcel.take(unit.id, draft, zip_all=person.wants_zip())
    lost = dict(excluded)
    for _, draft, reason in files.missing():
        if draft.item.entry.attach or draft.item.entry.embed:
            lost |= {person.recipient.id: reason for person in draft.mailed}
    for person in people:
        parcel = parcels.get(person.recipient.id, _Parcel())
        if parcel.units():
            yield _mail_or_failure(execution_id, person, parcel, wording, mode)
        elif person.recipient.id in lost and person.has("email"):
            yield _failed_mail(execution_id, person, (), lost[person.recipient.id])


def _mail_or_failure(
    execution_id: str, person: Person, parcel: _Parcel, wording: Wording, mode: Mode
) -> PlannedDelivery:
    try:
        return _mail(execution_id, person, parcel, wording, mode)
    except PlanProblemError as problem:
        return _failed_mail(execution_id, person, parcel.units(), problem.reason)


def _failed_mail(
    execution_id: str, person: Person, units: tuple[str, ...], reason: Reason
) -> PlannedDelivery:
    recipient = person.recipient
    return PlannedDelivery(
        id=delivery_id(execution_id, Channel.EMAIL, recipient.id),
        channel=Channel.EMAIL,
        target=recipient.email or recipient.name,
        recipient_id=recipient.id,
        units=units,
        failed=reason,
    )


def _mail(
    execution_id: str, person: Person, parcel: _Parcel, wording: Wording, mode: Mode
) -> PlannedDelivery:
    task, recipient = wording.task, person.recipient
    if recipient.email is None:
        raise PlanProblemError(
            "recipient-without-address",
            f"{recipient.name} has no email address, so the mail cannot be sent.",
            "Enter an address for the recipient, or remove the right to get mail.",
        )
    return PlannedDelivery(
        # The id of the recipient, not the address: two people may share one, and each has a mail of his own.
        id=delivery_id(execution_id, Channel.EMAIL, recipient.id),
        channel=Channel.EMAIL,
        target=recipient.email,
        recipient_id=recipient.id,
        units=parcel.units(),
        mail=PlannedMail(
            to=recipient.email,
            cc=task.mail.cc if mode.copies else (),
            bcc=task.mail.bcc if mode.copies else (),
            subject=wording.subject(person),
            body=wording.body(person),
            attach=tuple(unit for unit in parcel.attach if unit not in parcel.zipped),
            zipped=tuple(parcel.zipped),
            zip_name=_archive_name(task) if parcel.zipped else None,
            embed=tuple(parcel.embed),
            unknown=task.mail.unknown,
        ),
    )


def _archive_name(task: TaskVersion) -> str:
    return safe_name(task.name, extension="zip")


def storages(
    execution_id: str, files: Files, spaces: Mapping[str, StorageSpace], wording: Wording, mode: Mode
) -> Iterator[PlannedDelivery]:
    """Yield one delivery per file and storage target, and one per archive where the target asks for one.

    What cannot be planned fails: a file without a name, a space that does not exist, a path with a wrong tag.
    """
    held = mode.held.get(Destination.STORAGE)
    single: dict[tuple[str, str], tuple[PlannedUnit, str]] = {}
    archives: dict[tuple[str, str, str], tuple[str, dict[str, str]]] = {}
    failures: dict[str, PlannedDelivery] = {}
    for key, draft, reason in files.missing():
        for target in draft.item.entry.storage:
            failure = _failed_storage(execution_id, target, draft, key, reason)
            failures[failure.id] = failure
    for unit, draft in files.each():
        for target in draft.item.entry.storage:
            try:
                folder = _folder(target, draft, spaces, wording)
            except PlanProblemError as problem:
                failure = _failed_storage(execution_id, target, draft, unit.id, problem.reason)
                failures[failure.id] = failure
                continue
            if target.zip:
                # One archive per task report and folder, even where task reports share files.
                place = (target.storage_id, folder, draft.item.entry.id)
                archives.setdefault(place, (draft.item.report.name, {}))[1][unit.id] = unit.file_name
            else:
                single[target.storage_id, _joined(folder, unit.file_name)] = (unit, target.storage_id)
    namers: dict[str, Namer] = {}
    for (storage_id, path), (unit, _) in single.items():
        free = namers.setdefault(storage_id, Namer()).unique(path)
        yield _stored(execution_id, spaces[storage_id], {unit.id: free}, shown=free, held=held)
    for (storage_id, folder, _), (name, members) in archives.items():
        path = _joined(folder, safe_name(name, extension="zip"))
        free = namers.setdefault(storage_id, Namer()).unique(path)
        yield _stored(execution_id, spaces[storage_id], members, shown=free, zip_path=free, held=held)
    if held is None:
        yield from failures.values()


def _failed_storage(
    execution_id: str, target: StorageTarget, draft: Draft, unit: str, reason: Reason
) -> PlannedDelivery:
    entry = draft.item.entry
    value = f" ({draft.iteration_value})" if draft.iteration_value is not None else ""
    # An archive is one delivery, whatever of it cannot be planned.
    name = f"{target.storage_id}/{target.path}/{entry.id}" + ("" if target.zip else f"/{unit}")
    return PlannedDelivery(
        id=delivery_id(execution_id, Channel.STORAGE, name, ("not-planned",)),
        channel=Channel.STORAGE,
        target=f"{target.storage_id}: {draft.item.report.name}{'' if target.zip else value}",
        units=(unit,),
        failed=reason,
    )


def _folder(target: StorageTarget, draft: Draft, spaces: Mapping[str, StorageSpace], wording: Wording) -> str:
    if target.storage_id not in spaces:
        raise PlanProblemError(
            "storage-unknown",
            f"The report {draft.item.report.name!r} is saved to the storage space {target.storage_id!r}, "
            "which does not exist.",
            "Choose another storage space for the report.",
        )
    return wording.folder(draft, target.path)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _stored(
    execution_id: str,
    space: StorageSpace,
    paths: dict[str, str],
    *,
    shown: str,
    zip_path: str | None = None,
    held: Reason | None = None,
) -> PlannedDelivery:
    return PlannedDelivery(
        id=delivery_id(execution_id, Channel.STORAGE, f"{space.id}/{shown}", paths),
        channel=Channel.STORAGE,
        target=f"{space.name}: {shown}",
        units=tuple(paths),
        storage=PlannedStorage(storage_id=space.id, paths=paths, zip_path=zip_path),
        held=held,
    )


def publications(execution_id: str, files: Files, mode: Mode) -> Iterator[PlannedDelivery]:
    """Yield one Hub delivery per file that is published and that somebody may see there."""
    held = mode.held.get(Destination.HUB)
    for key in (*files.units, *files.lost):
        published = [draft for draft in files.drafts[key] if draft.item.entry.hub.publish and draft.shown]
        if not published:
            continue
        readers = {person.recipient.id: None for draft in published for person in draft.shown}
        kept = [draft.item.entry.hub.keep for draft in published]
        iteration = published[0].iteration_value
        value = f" ({iteration})" if iteration is not None else ""
        yield PlannedDelivery(
            id=delivery_id(execution_id, Channel.HUB, key),
            channel=Channel.HUB,
            target=f"Hub: {published[0].item.report.name}{value}",
            units=(key,),
            # 0 keeps all versions, so it is the largest number there is.
            hub=PlannedHub(visible_to=tuple(readers), keep=0 if 0 in kept else max(kept)),
            held=held,
            failed=files.lost.get(key) if held is None else None,
        )
