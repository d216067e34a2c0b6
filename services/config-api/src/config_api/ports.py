"""What the use cases need from outside, named for what they need it for."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr

from config_api.domain.audit import AuditRecord, Head
from config_api.domain.bindings import Inspected
from config_api.domain.changes import Stored, Write
from config_api.domain.errors import Problem
from config_api.domain.findings import Finding
from config_api.domain.hub import HubFile
from config_api.domain.identity import Account, ApiKey, Session
from config_api.domain.kinds import Kind
from config_api.domain.previews import PreviewRequest
from config_api.domain.projection import Document, Target
from config_api.domain.runs import RunRequest
from config_api.domain.sites import SiteApp
from config_api.domain.task_checks import AppQuestion
from contracts.base import ObjectRef, Wire
from contracts.configuration import (
    Connection,
    ConnectionKind,
    Report,
    StorageSpace,
    TemplateKind,
    TemplateUses,
)
from contracts.events import ConfigurationChanged, PreviewRequested, TaskTriggered
from contracts.schedules import TriggerProblem
from contracts.sites import SiteState


class ConfigurationStore(Protocol):
    """Keeps configuration."""

    async def get(self, kind: Kind, key: str) -> Stored | None:
        """Return an object, a task with its current version."""
        ...

    async def many(self, kind: Kind, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the documents of those ids that exist."""
        ...

    async def page(self, kind: Kind, *, after: str | None, limit: int) -> list[Stored]:
        """Return objects in the order of their ids, from after `after` on; tasks with current version."""
        ...

    async def referring(self, kind: Kind, reference: str) -> list[Stored]:
        """Return the objects of a kind that refer to `reference`, which is `kind:id`; by id."""
        ...

    async def last_version(self, task_id: str) -> int:
        """Return the highest version a task of this id ever had; 0 for none."""
        ...

    async def trigger_owners(self, trigger_ids: Sequence[str]) -> dict[str, str]:
        """Return the task of each trigger id that was made while ids were unique over all tasks."""
        ...

    async def commit(self, write: Write) -> None:
        """Apply a change with its event, whole or not at all.

        Raises StaleError when the revision is another one, ConflictError when the id is taken, InUseError
        when what is deleted is referred to, InvalidError when an added reference is not there.
        """
        ...


class TriggerProblems(Protocol):
    """What scheduler and listener found wrong with triggers."""

    async def of(self, task_ids: Sequence[str]) -> list[TriggerProblem]:
        """Return what is wrong with triggers of tasks, oldest first. Raises Transient."""
        ...


class RunStore(Protocol):
    """Keeps requests to run a task, each with the event that starts it."""

    async def ask(self, request: RunRequest, event: TaskTriggered) -> RunRequest:
        """Store a request and its event in one write; return it, or the one that was there."""
        ...


class PreviewStore(Protocol):
    """Keeps requests for previews, each with the event that starts it."""

    async def ask(self, request: PreviewRequest, event: PreviewRequested) -> None:
        """Store a request and its event in one write."""
        ...

    async def find(self, preview_id: str) -> PreviewRequest | None:
        """Return a request."""
        ...

    async def since(self, account_id: str, since: datetime) -> int:
        """Return how many previews an account asked for since then."""
        ...


class Files(Protocol):
    """The object store (runtime.objects)."""

    async def put(self, key: str, data: bytes, *, content_type: str) -> ObjectRef:
        """Store bytes and return how to know them again."""
        ...

    def stream(self, ref: ObjectRef) -> AsyncIterator[bytes]:
        """Yield the bytes a reference stands for. Raises Permanent when they are gone or not the same."""
        ...


class Seal(Protocol):
    """Encrypts secrets at rest."""

    def sealed_for(
        self, holder: Wire, *, fresh: Mapping[str, str], kept: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the tokens of an object's secrets by path, bound to it; `fresh` are in clear."""
        ...

    def secrets_of(self, holder: Wire, sealed: Mapping[str, str]) -> dict[str, SecretStr]:
        """Return the secrets of an object, by path. Raises Permanent when one cannot be opened."""
        ...


class Reseal(Protocol):
    """Encrypts secrets with the newest key."""

    @property
    def newest(self) -> str:
        """The id of the newest key."""
        ...

    def resealed(self, holder: Wire, sealed: Mapping[str, str]) -> dict[str, str]:
        """Return the tokens of an object, sealed with the newest key. Raises Permanent."""
        ...


@dataclass(frozen=True, slots=True)
class SealedObject:
    """A stored object with secrets."""

    collection: str
    id: str
    holder: Wire | None
    """None when the document does not fit its schema."""
    sealed: Mapping[str, str]


class SealedStore(Protocol):
    """Keeps the objects with secrets."""

    def sealed_objects(self) -> AsyncIterator[SealedObject]:
        """Yield every object with secrets."""
        ...

    async def replace_sealed(self, found: SealedObject, tokens: Mapping[str, str]) -> bool:
        """Write the tokens of an object, unless its secrets were changed since it was read."""
        ...


class TemplateCheck(Protocol):
    """Looks into a template before it is accepted."""

    async def __call__(self, kind: TemplateKind, data: bytes) -> Inspected:
        """Return what a template file asks for, and what is wrong with it, with the place in it."""
        ...


class AppCheck(Protocol):
    """Asks a Qlik app whether it has what a report names."""

    async def __call__(
        self, connection: Connection, report: Report, uses: TemplateUses | None
    ) -> list[Finding]:
        """Return what the app does not have; what cannot be asked now is a warning."""
        ...

    async def questions(
        self, connection: Connection, app_id: str, asked: Sequence[AppQuestion]
    ) -> list[Finding]:
        """Return which of the questions the app refuses; what cannot be asked now is a warning."""
        ...


class StorageCheck(Protocol):
    """Tries a storage space."""

    async def __call__(self, space: StorageSpace) -> list[Finding]:
        """Return why a file cannot be written, read and deleted in it; nothing when it can."""
        ...


class SiteCheck(Protocol):
    """Knows what the settings of a Qlik site have to be."""

    def __call__(
        self, kind: ConnectionKind, settings: Mapping[str, Any], secrets: Sequence[str]
    ) -> list[Problem]:
        """Return what is wrong with the settings; `secrets` are the dotted paths that are set."""
        ...


class EgressCheck(Protocol):
    """Knows where this installation may connect to and write."""

    async def __call__(self, settings: Mapping[str, Any]) -> list[Problem]:
        """Return a problem for each setting that leads elsewhere."""
        ...


class SiteApps(Protocol):
    """Asks a Qlik site which apps it has."""

    async def __call__(self, connection: Connection, *, fresh: bool = False) -> tuple[SiteApp, ...]:
        """Return every app its user sees; not from a while ago when `fresh`. Raises SiteError."""
        ...


class SiteStates(Protocol):
    """What the Qlik listener wrote down about the sites it watches."""

    async def all(self) -> dict[str, SiteState]:
        """Return what is known, by connection. Raises Transient."""
        ...

    async def get(self, connection_id: str) -> SiteState | None:
        """Return what is known of one site. Raises Transient."""
        ...


class Accounts(Protocol):
    """Keeps accounts; every change of them carries its event."""

    async def by_email(self, email: str) -> Account | None:
        """Return the account with a normalised address."""
        ...

    async def by_id(self, account_id: str) -> Account | None:
        """Return an account."""
        ...

    async def all(self) -> list[Account]:
        """Return every account, by address."""
        ...

    async def save(self, account: Account, event: ConfigurationChanged, *, new: bool) -> None:
        """Store an account with the event of the change. Raises ConflictError when the address is taken."""
        ...


class Sessions(Protocol):
    """Keeps signed-in browsers."""

    async def open(self, session: Session) -> None:
        """Store a session."""
        ...

    async def find(self, token_hash: str) -> Session | None:
        """Return a session."""
        ...

    async def seen(self, token_hash: str, at: datetime) -> None:
        """Note when a session was used."""
        ...

    async def close(self, token_hash: str) -> None:
        """Forget a session."""
        ...

    async def close_all(self, account_id: str) -> None:
        """Forget every session of an account."""
        ...


class ApiKeys(Protocol):
    """Keeps API keys; every change of them carries its event."""

    async def save(self, key: ApiKey, event: ConfigurationChanged) -> None:
        """Store a key."""
        ...

    async def find(self, key_id: str) -> ApiKey | None:
        """Return a key."""
        ...

    async def all(self, account_id: str | None) -> list[ApiKey]:
        """Return the keys of an account, or of all."""
        ...


class Attempts(Protocol):
    """Remembers failed sign-ins for as long as they count."""

    async def failures(self, who: str, since: datetime) -> list[datetime]:
        """Return when sign-ins as, or from, `who` failed."""
        ...

    async def failed(self, who: str, at: datetime) -> None:
        """Remember a sign-in that failed, or may fail."""
        ...

    async def withdraw(self, who: str, at: datetime) -> None:
        """Take back one failure: the attempt went well."""
        ...

    async def forget(self, who: str) -> None:
        """Forget the failures: somebody signed in."""
        ...


class Devices(Protocol):
    """Remembers the browsers that signed in, so that a stranger's failures do not keep them out."""

    async def remember(self, token_hash: str, account_id: str, until: datetime) -> None:
        """Store that a device signed in."""
        ...

    async def owner(self, token_hash: str) -> str | None:
        """Return the account whose device it is."""
        ...

    async def forget_all(self, account_id: str) -> None:
        """Forget every device of an account."""
        ...


class Passwords(Protocol):
    """Hashes passwords, slowly on purpose."""

    async def hash(self, password: str) -> str:
        """Return the hash to store."""
        ...

    async def matches(self, password: str, stored: str | None) -> bool:
        """Return whether a password is the one; takes as long when there is nothing to compare with."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """What to look for in the audit trail; everything given has to hold."""

    execution_id: str | None = None
    task_id: str | None = None
    recipient_id: str | None = None
    type: str | None = None
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int = 0
    before: int | None = None
    newest_first: bool = False
    limit: int = 100


class AuditTrail(Protocol):
    """Keeps the audit trail. There is no way to change or remove a record."""

    async def head(self) -> Head:
        """Return the newest record that is safely stored."""
        ...

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are recorded."""
        ...

    async def append(self, records: Sequence[AuditRecord]) -> int:
        """Store records in order up to the first that somebody else was faster with; return how many."""
        ...

    def read(self, after: int = 0, limit: int = 0) -> AsyncIterator[AuditRecord]:
        """Yield safely stored records in order; `limit` 0 reads to the end."""
        ...

    def find(self, query: AuditQuery) -> AsyncIterator[AuditRecord]:
        """Yield the records a query asks for, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the views are."""

    seq: int = 0
    clearing: bool = False


class ViewWriter(Protocol):
    """Writes the read models."""

    async def checkpoint(self) -> Checkpoint:
        """Return how far the views are."""
        ...

    async def load(self, wanted: Sequence[Target]) -> dict[Target, Document]:
        """Return those documents that exist."""
        ...

    async def advance(self, since: Checkpoint, seq: int, changed: Mapping[Target, Document]) -> bool:
        """Write documents and move the checkpoint, as a whole; False when somebody else moved it."""
        ...

    async def request_clearing(self) -> None:
        """Make the views start again from nothing."""
        ...

    async def clear_some(self) -> bool:
        """Delete some documents of views that are being cleared; return whether any may be left."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuery:
    """Which executions to list; everything given has to hold."""

    task_id: str | None = None
    outcome: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str] | None = None
    """Page on from this start and id."""
    limit: int = 50


class Views(Protocol):
    """Reads the read models."""

    async def executions(self, query: ExecutionQuery) -> list[Document]:
        """Return executions, newest first."""
        ...

    async def execution(self, execution_id: str) -> Document | None:
        """Return one execution."""
        ...

    async def parts(
        self, view: str, execution_id: str, *, skip: int = 0, limit: int = 1000
    ) -> list[Document]:
        """Return the documents of a view that belong to an execution, in a fixed order."""
        ...

    async def part(self, view: str, key: str) -> Document | None:
        """Return one document of a view."""
        ...

    async def task_runs(self) -> dict[str, Document]:
        """Return what is known of the runs of each task."""
        ...

    async def hub_files(self, recipient_id: str) -> list[HubFile]:
        """Return the Hub files that are visible to a recipient."""
        ...
